using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace SkillLoc.Serve;

/// <summary>The endpoints of the service.</summary>
internal static class Endpoints
{
    private static readonly TimeSpan LoadingTime = TimeSpan.FromSeconds(5);

    /// <summary>Adds the endpoints that list skills and classify texts.</summary>
    public static void MapClassification(this WebApplication app)
    {
        app.MapGet("/skills", Skills)
            .WithTags("Skills")
            .WithSummary("Lists the skills.")
            .WithDescription("With their labels and, where it was measured, their calibration.")
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        app.MapPost("/classify/{skill}", Classify)
            .WithTags("Skills")
            .WithSummary("Classifies one text or several.")
            .WithDescription(
                "Texts of different requests are scored together. A request waits while others are scored, and is refused with 429 and "
                    + "Retry-After when too many wait."
            )
            .Produces<ClassifyResponse>()
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
            .ProducesProblem(StatusCodes.Status429TooManyRequests)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
    }

    private static Results<Ok<IEnumerable<SkillDescription>>, ProblemHttpResult> Skills(SkillStore store, HttpContext context) =>
        store.IsLoaded ? TypedResults.Ok(store.Skills.Values.Select(skill => skill.Description)) : NotReady(context);

    private static async Task<IResult> Classify(
        string skill,
        ClassifyRequest request,
        SkillStore store,
        IOptions<ServeOptions> options,
        ServeMetrics metrics,
        HttpContext context,
        CancellationToken cancellation
    )
    {
        if (!store.IsLoaded)
        {
            return NotReady(context);
        }

        if (!store.Skills.TryGetValue(skill, out Skill? known))
        {
            return store.Failures.TryGetValue(skill, out string? failure)
                ? Problem(StatusCodes.Status503ServiceUnavailable, $"The skill '{skill}' could not be loaded: {failure}")
                : Problem(
                    StatusCodes.Status404NotFound,
                    $"There is no skill '{skill}'; known are {string.Join(", ", store.Skills.Keys.Select(name => $"'{name}'"))}."
                );
        }

        if (Check(request, known.Description, options.Value) is { } problem)
        {
            return problem;
        }

        TextRow[] rows = Rows(request, skill);
        try
        {
            Task<Classification[]> results = known.Queue.ScoreAsync(rows, cancellation);
            metrics.Taken(skill, rows.Length);
            return TypedResults.Ok(new ClassifyResponse(skill, await results));
        }
        catch (QueueFullException full)
        {
            return Problems.RetryLater(context, StatusCodes.Status429TooManyRequests, full.RetryAfter, full.Message);
        }
    }

    private static TextRow[] Rows(ClassifyRequest request, string skill) =>
        request.Text is { } text
            ?
            [
                new()
                {
                    Text = text,
                    TextPair = request.TextPair ?? "",
                    Skill = skill,
                },
            ]
            :
            [
                .. request.Texts!.Select(
                    (one, i) =>
                        new TextRow
                        {
                            Text = one!,
                            TextPair = request.TextPairs?[i] ?? "",
                            Skill = skill,
                        }
                ),
            ];

    /// <summary>What is wrong with a request; null for nothing.</summary>
    private static ProblemHttpResult? Check(ClassifyRequest request, SkillDescription skill, ServeOptions limits)
    {
        if (
            request.Text is null == request.Texts is null
            || (request.Text is null ? request.TextPair : (object?)request.TextPairs) is not null
        )
        {
            return Problem(
                StatusCodes.Status400BadRequest,
                "The request must have either 'text', and 'textPair' for pairs, or 'texts', and 'textPairs'."
            );
        }

        IReadOnlyList<string?> texts = request.Texts ?? [request.Text];
        IReadOnlyList<string?>? pairs = request.TextPairs ?? (request.TextPair is null ? null : [request.TextPair]);
        if (texts.Count == 0)
        {
            return Problem(StatusCodes.Status400BadRequest, "'texts' must not be empty.");
        }

        if (texts.Count > limits.MaxTexts)
        {
            return Problem(
                StatusCodes.Status413PayloadTooLarge,
                $"The request has {texts.Count} texts; it may have {limits.MaxTexts}: send several requests."
            );
        }

        if (skill.IsPair != pairs is not null || (pairs is not null && pairs.Count != texts.Count))
        {
            return Problem(
                StatusCodes.Status400BadRequest,
                skill.IsPair
                    ? $"The skill '{skill.Name}' scores pairs: each text needs a second one."
                    : $"The skill '{skill.Name}' scores single texts: leave the second ones out."
            );
        }

        for (int i = 0; i < texts.Count; i++)
        {
            string? text = texts[i],
                pair = pairs is null ? "" : pairs[i];
            if (text is null || pair is null)
            {
                return Problem(StatusCodes.Status400BadRequest, $"Text {i} is null.");
            }

            if (Math.Max(text.Length, pair.Length) is var length && length > limits.MaxTextLength)
            {
                return Problem(
                    StatusCodes.Status413PayloadTooLarge,
                    $"Text {i} has {length} characters; it may have {limits.MaxTextLength}."
                );
            }
        }

        return null;
    }

    private static ProblemHttpResult NotReady(HttpContext context) =>
        Problems.RetryLater(
            context,
            StatusCodes.Status503ServiceUnavailable,
            LoadingTime,
            "The skills are being loaded; /health/ready tells when they are."
        );

    private static ProblemHttpResult Problem(int status, string detail) => TypedResults.Problem(detail, statusCode: status);
}

using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;

namespace SkillLoc.Serve;

/// <summary>Errors as problem details (RFC 9457).</summary>
internal static class Problems
{
    /// <summary>The status of an answer to a request that failed with an exception.</summary>
    public static int StatusOf(Exception error) =>
        error is BadHttpRequestException bad ? bad.StatusCode : StatusCodes.Status500InternalServerError;

    /// <summary>Says what was wrong with a request; of errors of ours the log alone tells more.</summary>
    public static void Explain(ProblemDetailsContext context)
    {
        if (context.Exception is BadHttpRequestException bad)
        {
            context.ProblemDetails.Detail = bad.InnerException is { } inner ? $"{bad.Message} {inner.Message}" : bad.Message;
        }
    }

    /// <summary>An answer that asks to come again later.</summary>
    public static ProblemHttpResult RetryLater(HttpContext context, int status, TimeSpan after, string detail)
    {
        double seconds = Math.Clamp(Math.Ceiling(after.TotalSeconds), 1, 3600);
        context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        return TypedResults.Problem(detail, statusCode: status);
    }
}

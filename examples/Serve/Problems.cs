using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;

namespace SkillLoc.Serve;

/// <summary>Errors as problem details (RFC 9457).</summary>
internal static class Problems
{
    /// <summary>An answer that asks to come again later.</summary>
    public static ProblemHttpResult RetryLater(HttpContext context, int status, TimeSpan after, string detail)
    {
        double seconds = Math.Clamp(Math.Ceiling(after.TotalSeconds), 1, 3600);
        context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        return TypedResults.Problem(detail, statusCode: status);
    }
}

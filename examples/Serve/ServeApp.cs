using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;
using OpenTelemetry.Metrics;

namespace SkillLoc.Serve;

/// <summary>Puts the service together.</summary>
public static class ServeApp
{
    private static readonly Dictionary<string, string> Switches = new(StringComparer.Ordinal)
    {
        ["--skills"] = "Serve:Skills",
        ["--base"] = "Serve:Base",
        ["--train"] = "Serve:Train",
    };

    /// <summary>Creates the application.</summary>
    /// <param name="args">Its arguments: <c>--skills</c>, <c>--base</c>, <c>--train</c>, <c>--urls</c>, and any setting as
    /// <c>--Serve:MaxBatch 64</c>.</param>
    /// <returns>The application, which loads its skills when it starts.</returns>
    public static WebApplication Create(string[] args)
    {
        // The page and the settings lie beside the program.
        WebApplicationBuilder builder = WebApplication.CreateBuilder(
            new WebApplicationOptions
            {
                ContentRootPath = AppContext.BaseDirectory,
                ApplicationName = typeof(ServeApp).Assembly.GetName().Name,
            }
        );
        builder.Configuration.AddCommandLine(args, Switches);
        builder.Services.AddOptions<ServeOptions>().BindConfiguration("Serve").ValidateDataAnnotations().ValidateOnStart();
        AddLimits(builder);
        builder.Services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.AllowDuplicateProperties = false;
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
        });
        builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        builder.Services.AddProblemDetails();
        builder.Services.AddOpenApi();
        builder.Services.AddSingleton<ServeMetrics>();
        builder.Services.AddSingleton<SkillStore>();
        builder.Services.AddHostedService(services => services.GetRequiredService<SkillStore>());
        builder.Services.AddHealthChecks().AddCheck<SkillStore>("skills");
        builder
            .Services.AddOpenTelemetry()
            .WithMetrics(metrics =>
                metrics
                    .AddMeter(ServeMetrics.MeterName, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel")
                    .AddPrometheusExporter()
            );

        WebApplication app = builder.Build();
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        app.Use(Refuse);
        app.UseDefaultFiles();
        app.UseStaticFiles(
            new StaticFileOptions
            {
                OnPrepareResponse = file =>
                    file.Context.Response.Headers.ContentSecurityPolicy = "default-src 'self'; frame-ancestors 'none'",
            }
        );
        app.UseRouting();
        app.UseRequestTimeouts();
        app.MapOpenApi();
        app.MapPrometheusScrapingEndpoint();
        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false });
        app.MapHealthChecks("/health/ready");
        app.MapClassification();
        return app;
    }

    private static void AddLimits(WebApplicationBuilder builder)
    {
        builder.WebHost.ConfigureKestrel(
            (context, kestrel) =>
            {
                kestrel.AddServerHeader = false;
                kestrel.Limits.MaxRequestBodySize = Settings(context.Configuration).MaxBodyBytes;
            }
        );
        ServeOptions settings = Settings(builder.Configuration);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = settings.DrainTimeout);
        builder.Services.AddRequestTimeouts(timeouts =>
            timeouts.DefaultPolicy = new RequestTimeoutPolicy
            {
                Timeout = settings.Timeout,
                TimeoutStatusCode = StatusCodes.Status503ServiceUnavailable,
                WriteTimeoutResponse = context =>
                    Problems
                        .RetryLater(context, StatusCodes.Status503ServiceUnavailable, settings.Timeout, "The request took too long.")
                        .ExecuteAsync(context),
            }
        );

        static ServeOptions Settings(IConfiguration configuration) => configuration.GetSection("Serve").Get<ServeOptions>() ?? new();
    }

    /// <summary>Answers requests that cannot be read, and counts what is refused.</summary>
    private static async Task Refuse(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (BadHttpRequestException error) when (!context.Response.HasStarted)
        {
            string detail = error.InnerException is { } inner ? $"{error.Message} {inner.Message}" : error.Message;
            await TypedResults.Problem(detail, statusCode: error.StatusCode).ExecuteAsync(context);
        }

        if (context.Response.StatusCode >= StatusCodes.Status400BadRequest)
        {
            context.RequestServices.GetRequiredService<ServeMetrics>().Rejected(context.Response.StatusCode);
        }
    }
}

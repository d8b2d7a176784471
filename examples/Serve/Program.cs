// Serve [--skills FOLDER] [--base CHECKPOINT] [--train ROWS.tsv] [--urls http://127.0.0.1:5080]: text classifiers over HTTP.
using Microsoft.Extensions.Options;
using SkillLoc.Serve;

try
{
    await using WebApplication app = ServeApp.Create(args);
    await app.RunAsync();
    return Environment.ExitCode;
}
catch (Exception error) when (error is OptionsValidationException or IOException or FormatException)
{
    // A setting that cannot be, or a port that is taken.
    Console.Error.WriteLine(error.Message);
    return 2;
}

// Serve [--skills FOLDER] [--base CHECKPOINT] [--train ROWS.tsv] [--urls http://127.0.0.1:5080]: text classifiers over HTTP.
using SkillLoc.Serve;

await using WebApplication app = ServeApp.Create(args);
await app.RunAsync();
return Environment.ExitCode;

// ServeLoad --skill NAME --texts FILE [--url http://127.0.0.1:5080]: how many requests a running service answers in a second, and how long
// each takes at 80 % of that.
using System.CommandLine;
using SkillLoc.ServeLoad;

Option<string> url = new("--url") { Description = "the service", DefaultValueFactory = _ => "http://127.0.0.1:5080" };
Option<string> skill = new("--skill") { Description = "the skill", Required = true };
Option<string> texts = new("--texts") { Description = "a file whose lines are sent, of tab-separated ones the last cell", Required = true };
Option<int> clients = new("--clients") { Description = "clients at once, to find the most it can do", DefaultValueFactory = _ => 64 };
Option<int> seconds = new("--seconds") { Description = "how long each run takes", DefaultValueFactory = _ => 20 };
Option<double> share = new("--share") { Description = "the share of that at which latencies are measured", DefaultValueFactory = _ => 0.8 };
RootCommand command = new("Measures a running service.") { url, skill, texts, clients, seconds, share };
command.SetAction(
    async (arguments, _) =>
    {
        string[] lines =
        [
            .. File.ReadLines(arguments.GetValue(texts)!).Skip(1).Select(line => line.Split('\t')[^1]).Where(line => line.Length > 0),
        ];
        new Random(1).Shuffle(lines);
        using var http = new HttpClient { BaseAddress = new(arguments.GetValue(url)!.TrimEnd('/') + "/") };
        var load = new LoadRun(http, arguments.GetValue(skill)!, lines);
        var time = TimeSpan.FromSeconds(arguments.GetValue(seconds));
        await load.Saturate(arguments.GetValue(clients), TimeSpan.FromSeconds(3));
        LoadResult most = await load.Saturate(arguments.GetValue(clients), time);
        Console.WriteLine($"{arguments.GetValue(clients)} clients at once: {most}");
        LoadResult usual = await load.AtRate(arguments.GetValue(share) * most.Rate, time, seed: 1);
        Console.WriteLine($"At {arguments.GetValue(share):P0} of that: {usual}");
        return most.Failed.Count + usual.Failed.Count == 0 ? 0 : 1;
    }
);
return await command.Parse(args).InvokeAsync();

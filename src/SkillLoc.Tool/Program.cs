using System.CommandLine;
using SkillLoc;
using SkillLoc.PublishedModels;
using SkillLoc.Studies;
using SkillLoc.Terminal;
using SkillLoc.Tool;
using Spectre.Console;

// Plans and commands name checkpoints as well as folders.
Checkpoints.Register();
ArcticXs.Register();

Argument<string> recipe = new("recipe") { Description = "A recipe in mergekit's YAML vocabulary." };
Option<string> output = new("--out") { Description = "The folder or file to write.", Required = true };
Option<int?> seed = new("--seed") { Description = "Seed of methods that drop at random, in place of the recipe's." };
Option<string?> shard = new("--max-shard-size") { Description = "The most bytes of a file of weights, such as 5GB; without it one file." };
Command merge = new("merge", "Merges models as a recipe says.") { recipe, output, seed, shard };
merge.SetAction(parsed =>
    Commands.Run(() => Commands.Merge(parsed.GetValue(recipe)!, parsed.GetValue(output)!, parsed.GetValue(seed), parsed.GetValue(shard)))
);

Argument<string> path = new("path") { Description = "A checkpoint folder, an adapter's folder, or a file of tensors." };
Command inspect = new("inspect", "Says what a folder or file holds.") { path };
inspect.SetAction(parsed => Commands.Run(() => Commands.Inspect(parsed.GetValue(path)!, Console.Out)));

Argument<string> source = new("source") { Description = "A graft's file or an adapter's folder." };
Option<string> basis = new("--base") { Description = "The base model's folder.", Required = true };
Option<string> kind = new Option<string>("--to") { Description = "What to write.", Required = true }.AcceptOnlyFromAmong(
    "checkpoint",
    "adapter",
    "graft"
);
Command convert = new("convert", "Writes a graft as an adapter of PEFT or an adapter as a graft, or either with its base as a checkpoint.")
{
    source,
    basis,
    kind,
    output,
};
convert.SetAction(parsed =>
    Commands.Run(() =>
        Commands.Convert(parsed.GetValue(source)!, parsed.GetValue(basis)!, parsed.GetValue(kind)!, parsed.GetValue(output)!)
    )
);

Argument<string[]> grafts = new("grafts") { Description = "Grafts of one base.", Arity = ArgumentArity.OneOrMore };
Command graft = new("graft", "Stitches grafts of one base into one graft.") { grafts, output };
graft.SetAction(parsed => Commands.Run(() => Commands.Stitch(parsed.GetValue(grafts)!, parsed.GetValue(output)!)));

Command study = StudyCommand.Create(
    [
        SkillLoc.GraftingStudy.Study.Kind,
        SkillLoc.SkillNeuronStudy.Study.Kind,
        SkillLoc.ConnectivityStudy.Study.Kind,
        SkillLoc.MergingStudy.Study.Kind,
    ],
    (options, work) =>
        Console.IsOutputRedirected || Console.IsErrorRedirected ? work(options) : LivePage.Show(AnsiConsole.Console, options, work)
);

ParseResult parsed = new RootCommand("Merges, grafts and converts language models, and works through studies of them.")
{
    merge,
    graft,
    inspect,
    convert,
    study,
}.Parse(args);
int code = parsed.Invoke();

// A scheduler must not try a command again that cannot be understood.
return parsed.Errors.Count > 0 ? (int)StudyExit.BadPlan : code;

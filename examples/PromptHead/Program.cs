using System.CommandLine;
using SkillLoc.PromptHead;

Argument<string> folder = new("folder") { Description = "A checkpoint folder." };
Argument<string> from = new("from") { Description = "The checkpoint folder that training began with." };
Argument<string> patch = new("patch") { Description = "The file to write." };
Argument<int> count = new("count") { Description = "How many changes to keep." };
Argument<string> output = new("output") { Description = "The folder to write." };
Argument<string> data = new("data") { Description = "The folder of labelled texts, with sst-2 in it." };
Option<double[]> rates = new("--learning-rates")
{
    Description = "Learning rates to choose from for fine-tuning; none leaves it away.",
    DefaultValueFactory = _ => [],
    AllowMultipleArgumentsPerToken = true,
};
Option<int[]> seeds = new("--seeds")
{
    Description = "Seeds of fine-tuning, with the rate and words chosen.",
    DefaultValueFactory = _ => [1],
    AllowMultipleArgumentsPerToken = true,
};
Option<int> epochs = new("--epochs") { Description = "Epochs of fine-tuning.", DefaultValueFactory = _ => 4 };
Option<bool> test = new("--test") { Description = "Measure on the test rows (SST-2 dev) too, with what the validation rows chose." };

Command begin = new("begin", "Writes MiniLM with an empty prompt head, for examples/Pretrain to begin with.") { folder };
begin.SetAction(parsed => PromptHeadFiles.Begin(parsed.GetValue(folder)!));
Command difference = new("patch", "Writes what training changed, for models/minilm-prompt-head.") { from, folder, patch };
difference.SetAction(parsed => PromptHeadFiles.WritePatch(parsed.GetValue(from)!, parsed.GetValue(folder)!, parsed.GetValue(patch)!));
Command shipped = new("folder", "Says where the folder is that the package gives, and writes it if need be.");
shipped.SetAction(_ => Console.WriteLine(SkillLoc.Checkpoints.MiniLM()));
Command graft = new("graft", "Writes a checkpoint with only the largest changes of the encoder, to be measured.")
{
    from,
    folder,
    count,
    output,
};
graft.SetAction(parsed =>
    PromptHeadFiles.WriteGrafted(parsed.GetValue(from)!, parsed.GetValue(folder)!, parsed.GetValue(count), parsed.GetValue(output)!)
);
Command measure = new("measure", "Measures a checkpoint on SST-2: zero-shot, and fine-tuned on 1,000 rows.")
{
    folder,
    data,
    rates,
    seeds,
    epochs,
    test,
};
measure.SetAction(parsed =>
    new Sentiment(parsed.GetValue(folder)!, parsed.GetValue(data)!).Measure(
        parsed.GetValue(rates)!,
        parsed.GetValue(seeds)!,
        parsed.GetValue(epochs),
        parsed.GetValue(test)
    )
);
return new RootCommand("Makes and measures the prompt head of MiniLM (models/minilm-prompt-head).")
{
    begin,
    difference,
    shipped,
    graft,
    measure,
}
    .Parse(args)
    .Invoke();

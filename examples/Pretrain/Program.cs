using System.CommandLine;
using System.CommandLine.Parsing;
using SkillLoc.Pretrain;
using SkillLoc.Studies;
using Spectre.Console;

var defaults = new PretrainOptions { Text = [], Out = "" };
Option<string[]> text = new("--text")
{
    Description =
        "Text files, one passage a line. FILE#1 takes column 1 of a tab-separated file (counted from 0), FILE#3,4 two of them, "
        + "FILE#rest what follows a line's first space.",
    AllowMultipleArgumentsPerToken = true,
    Required = true,
};
Option<string[]> leaveOut = new("--leave-out")
{
    Description = "Files, written as for --text, whose texts are not trained on wherever they occur: test sets.",
    AllowMultipleArgumentsPerToken = true,
};
Option<string> output = new("--out")
{
    Description = "The checkpoint folder to write. Training resumes when it holds one.",
    Required = true,
};
Option<string?> from = new("--from") { Description = "A checkpoint folder to go on from; without it a new RoBERTa is trained." };
Option<int> vocabulary = Number("--vocabulary", "Tokens in a new model's vocabulary.", defaults.Vocabulary);
Option<string[]> words = new("--words")
{
    Description = "Words that become one token each in a new vocabulary.",
    AllowMultipleArgumentsPerToken = true,
};
Option<int> hidden = Number("--hidden", "Length of a new model's hidden states.", defaults.Hidden);
Option<int> layers = Number("--layers", "Layers of a new model.", defaults.Layers);
Option<int> heads = Number("--heads", "Attention heads of a new model.", defaults.Heads);
Option<int> feedForward = Number("--ffn", "Feed-forward neurons in a layer of a new model.", defaults.FeedForward);
Option<(int Shortest, int Longest)> lengths = new("--lengths")
{
    Description = "Passages are cut to pieces of SHORTEST..LONGEST tokens.",
    CustomParser = ParseLengths,
    DefaultValueFactory = _ => (defaults.ShortestPiece, defaults.LongestPiece),
};
Option<int> tokensPerBatch = Number("--tokens-per-batch", "Tokens of one update, padding included.", defaults.TokensPerBatch);
Option<double> maskRate = Share("--mask-rate", "Share of tokens to predict.", defaults.MaskRate);
Option<double> commonShare = Share(
    "--common-share",
    "Tokens that are more than this share of the texts are predicted less often than others; 0 chooses all alike.",
    defaults.CommonShare
);
Option<double> learningRate = Share("--learning-rate", "Highest learning rate.", defaults.LearningRate);
Option<string> train = new("--train")
{
    Description = "What is trained beside the head: all, encoder (no embeddings), last:N (layers), lora:R (updates of rank R) or head.",
    DefaultValueFactory = _ => defaults.Train,
};
Option<double> backboneRate = Share(
    "--backbone-rate",
    "The backbone's learning rate as a share of --learning-rate, which is the head's.",
    defaults.BackboneRate
);
Option<bool> headStart = new("--head-start")
{
    Description = "Sets the head in closed form before training: for an encoder that never had one.",
};
Option<double> warmUp = Share("--warm-up", "Share of the training in which the learning rate rises.", defaults.WarmUp);
Option<string> decay = new Option<string>("--decay")
{
    Description = "How the learning rate falls.",
    DefaultValueFactory = _ => "linear",
}.AcceptOnlyFromAmong("linear", "cosine");
Option<double> weightDecay = Share("--weight-decay", "AdamW's weight decay of matrices.", defaults.WeightDecay);
Option<double> minutes = new("--minutes") { Description = "How long to train.", DefaultValueFactory = _ => defaults.Minutes };
Option<int?> steps = new("--steps") { Description = "How many updates to make, instead of --minutes; 0 only measures." };
Option<int> seed = new("--seed") { Description = "Seed of weights, order, pieces and masks.", DefaultValueFactory = _ => defaults.Seed };
Option<double> heldOut = Share("--held-out", "Share of passages kept back to measure on.", defaults.HeldOut);
Option<double> evaluation = new("--evaluation-minutes")
{
    Description = "Minutes between measurements.",
    DefaultValueFactory = _ => defaults.EvaluationMinutes,
};
Option<double> checkpoint = new("--checkpoint-minutes")
{
    Description = "Minutes between checkpoints.",
    DefaultValueFactory = _ => defaults.CheckpointMinutes,
};
Option<string> device = new Option<string>("--device")
{
    Description = "Where to compute.",
    DefaultValueFactory = _ => defaults.Device,
}.AcceptOnlyFromAmong("cpu", "cuda");
Option<bool> half = new("--half") { Description = "Store the finished weights as float16." };

RootCommand command = new("Trains a masked language model on text files, or goes on from a checkpoint.")
{
    text,
    leaveOut,
    output,
    from,
    vocabulary,
    words,
    hidden,
    layers,
    heads,
    feedForward,
    lengths,
    tokensPerBatch,
    maskRate,
    learningRate,
    train,
    backboneRate,
    headStart,
    commonShare,
    warmUp,
    decay,
    weightDecay,
    minutes,
    steps,
    seed,
    heldOut,
    evaluation,
    checkpoint,
    device,
    half,
};
command.SetAction(parsed =>
{
    var options = new PretrainOptions
    {
        Text = parsed.GetValue(text)!,
        LeaveOut = parsed.GetValue(leaveOut) ?? [],
        Out = parsed.GetValue(output)!,
        From = parsed.GetValue(from),
        Vocabulary = parsed.GetValue(vocabulary),
        Words = parsed.GetValue(words) ?? [],
        Hidden = parsed.GetValue(hidden),
        Layers = parsed.GetValue(layers),
        Heads = parsed.GetValue(heads),
        FeedForward = parsed.GetValue(feedForward),
        ShortestPiece = parsed.GetValue(lengths).Shortest,
        LongestPiece = parsed.GetValue(lengths).Longest,
        TokensPerBatch = parsed.GetValue(tokensPerBatch),
        MaskRate = parsed.GetValue(maskRate),
        LearningRate = parsed.GetValue(learningRate),
        CommonShare = parsed.GetValue(commonShare),
        Train = parsed.GetValue(train)!,
        BackboneRate = parsed.GetValue(backboneRate),
        HeadStart = parsed.GetValue(headStart),
        WarmUp = parsed.GetValue(warmUp),
        Cosine = parsed.GetValue(decay) == "cosine",
        WeightDecay = parsed.GetValue(weightDecay),
        Minutes = parsed.GetValue(minutes),
        Steps = parsed.GetValue(steps),
        Seed = parsed.GetValue(seed),
        HeldOut = parsed.GetValue(heldOut),
        EvaluationMinutes = parsed.GetValue(evaluation),
        CheckpointMinutes = parsed.GetValue(checkpoint),
        Device = parsed.GetValue(device)!,
        Half = parsed.GetValue(half),
    };
    if (Console.IsOutputRedirected)
    {
        AnsiConsole.Profile.Width = 1000; // a log has no width to wrap at
    }

    try
    {
        return StopSignals.Run(stop =>
        {
            using var pretraining = new Pretraining(options, AnsiConsole.Console);
            pretraining.Run(stop);
            return 0;
        });
    }
    catch (Exception e)
        when (e
                is IOException
                    or InvalidDataException
                    or FormatException
                    or ArgumentException
                    or InvalidOperationException
                    or NotSupportedException
                    or DllNotFoundException
        )
    {
        AnsiConsole.MarkupLineInterpolated($"[red]{e.Message}[/]");
        return 1;
    }
});
return command.Parse(args).Invoke();

static Option<int> Number(string name, string description, int value)
{
    var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value };
    option.Validators.Add(result => Check(result, result.GetValueOrDefault<int>() >= 1, "must be at least 1"));
    return option;
}

static Option<double> Share(string name, string description, double value)
{
    var option = new Option<double>(name) { Description = description, DefaultValueFactory = _ => value };
    option.Validators.Add(result => Check(result, result.GetValueOrDefault<double>() is >= 0 and <= 1, "must lie between 0 and 1"));
    return option;
}

static void Check(OptionResult result, bool holds, string demand)
{
    if (!holds)
    {
        result.AddError($"{result.Option.Name} {demand}.");
    }
}

static (int Shortest, int Longest) ParseLengths(ArgumentResult result)
{
    string[] ends = result.Tokens[0].Value.Split("..");
    if (
        ends.Length == 2
        && int.TryParse(ends[0], out int shortest)
        && int.TryParse(ends[1], out int longest)
        && shortest >= 8
        && longest >= shortest
    )
    {
        return (shortest, longest);
    }

    result.AddError("--lengths is written SHORTEST..LONGEST, as in 16..128, and pieces have at least 8 tokens.");
    return default;
}

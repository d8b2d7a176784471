using System.CommandLine;
using SkillLoc;
using SkillLoc.Demo;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Prompts;
using SkillLoc.Studies;
using SkillLoc.Trainers;

const string SpamTemplate = "*cls**mask*:*+sent_0**sep+*";
const string SpamMapping = "{'ham':'discussion','spam':'offer'}";

Option<string?> checkpoint = new("--checkpoint")
{
    Description =
        "a Hugging Face checkpoint folder (an encoder such as BERT or RoBERTa, or GPT-2) instead of all-MiniLM-L6-v2 with a "
        + "prompt head",
};
Option<string> corpus = new("--corpus")
{
    Description = "the SpamAssassin corpus, which `make demo` fetches",
    DefaultValueFactory = _ => "artifacts/data/spam-assassin",
};
Option<string?> data = new("--data")
{
    Description =
        "your own data instead: a .tsv or .csv file with a header and the columns label, text and, for pairs, second text; "
        + "or a folder that holds one folder of .txt files per label",
};
Option<string?> test = new("--test") { Description = "with --data: more data to measure on, in one of the same formats" };
Option<string?> ood = new("--ood") { Description = "with --data: data of another distribution to measure on" };
Option<string?> task = new("--task")
{
    Description = $"one of {string.Join(", ", PromptTasks.All.Where(known => !known.IsRegression).Select(known => known.Name))}",
};
Option<string?> template = new("--template") { Description = "instead of --task: a template, such as *cls**sent_0*_It_was*mask*.*sep+*" };
Option<string?> mapping = new("--mapping") { Description = "instead of --task: the labels' words, such as {'0':'terrible','1':'great'}" };
Option<string> output = new("--output") { Description = "where everything is written", DefaultValueFactory = _ => "artifacts/demo" };
Option<double[]> sparsity = new("--sparsity")
{
    Description = "sizes that the grafts start from, as shares of the encoder",
    DefaultValueFactory = _ => [1e-4, 1e-3, 1e-2],
    AllowMultipleArgumentsPerToken = true,
};
Option<OptimizerKind> optimizer = new("--optimizer") { Description = "of fine-tuning", DefaultValueFactory = _ => OptimizerKind.Sgd };
Option<double> learningRate = new("--learning-rate")
{
    Description = "of fine-tuning; 0.1 suits SGD and MiniLM, 0.5 mini-roberta",
    DefaultValueFactory = _ => 0.1,
};
Option<int> epochs = new("--epochs") { Description = "of fine-tuning", DefaultValueFactory = _ => 3 };
Option<int> graftEpochs = new("--graft-epochs") { Description = "of training each graft's mask", DefaultValueFactory = _ => 8 };
Option<double> graftLearningRate = new("--graft-learning-rate")
{
    Description = "of the mask's scores; large models want 1e7",
    DefaultValueFactory = _ => 1e8,
};
Option<int> rows = new("--rows")
{
    Description = "at most so many rows of a test set, and twice as many to train on",
    DefaultValueFactory = _ => 300,
};
Option<int[]> seeds = new("--seeds")
{
    Description = "the whole job once for each: mean and standard deviation are shown",
    DefaultValueFactory = _ => [1],
    AllowMultipleArgumentsPerToken = true,
};
Option<bool> choose = new("--choose") { Description = "measure on the validation rows only, to choose settings by" };
Option<int> maxLength = new("--max-length")
{
    Description = "the longest row in tokens; the rest of its text is cut",
    DefaultValueFactory = _ => 64,
};
RootCommand command = new("Fine-tunes a language model, localises the skill in a few of its parameters, and measures what that keeps.")
{
    checkpoint,
    corpus,
    data,
    test,
    ood,
    task,
    template,
    mapping,
    output,
    sparsity,
    optimizer,
    learningRate,
    epochs,
    graftEpochs,
    graftLearningRate,
    rows,
    maxLength,
    seeds,
    choose,
};
command.SetAction(arguments =>
    StopSignals.Run(stop =>
    {
        try
        {
            var options = new DemoOptions
            {
                Checkpoint = arguments.GetValue(checkpoint) ?? Checkpoints.MiniLM(),
                Corpus = arguments.GetValue(corpus)!,
                Data = arguments.GetValue(data),
                Test = arguments.GetValue(test),
                OutOfDistribution = arguments.GetValue(ood),
                Task = arguments.GetValue(task) is { } name
                    ? PromptTasks.Find(name)
                    : new(
                        "demo",
                        PromptTemplate.Parse(arguments.GetValue(template) ?? SpamTemplate),
                        Verbalizer.ParseMapping(arguments.GetValue(mapping) ?? SpamMapping)
                    ),
                Output = arguments.GetValue(output)!,
                Sparsities = arguments.GetValue(sparsity)!,
                Optimizer = arguments.GetValue(optimizer),
                LearningRate = arguments.GetValue(learningRate),
                Epochs = arguments.GetValue(epochs),
                GraftEpochs = arguments.GetValue(graftEpochs),
                GraftLearningRate = arguments.GetValue(graftLearningRate),
                Rows = arguments.GetValue(rows),
                MaxLength = arguments.GetValue(maxLength),
                Seeds = arguments.GetValue(seeds)!,
                Choosing = arguments.GetValue(choose),
                Command = args.Length == 0 ? "make demo" : $"make demo ARGS=\"{string.Join(' ', args)}\"",
            };
            CheckpointFolder.CheckWritable(Path.Combine(options.Output, "fine-tuned"));
            new SkillLocalization(options, ConsoleProgress.OfTerminal(), stop).Run();
            return 0;
        }
        catch (Exception error)
            when (error
                    is IOException
                        or UnauthorizedAccessException
                        or InvalidDataException
                        or ArgumentException
                        or FormatException
                        or InvalidOperationException
                        or NotSupportedException
                        or DllNotFoundException
            )
        {
            Console.Error.WriteLine($"demo: {error.Message}");
            return 1;
        }
    })
);
return command.Parse(args).Invoke();

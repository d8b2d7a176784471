using System.Text;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;
using SkillLoc.Pretrain;
using Spectre.Console;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.EndToEnd.Tests;

public sealed class PretrainTests : IDisposable
{
    private static readonly string[] Days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("pretrain-tests");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void TheLossFallsFromThatOfGuessing()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        HeldOutResult untrained = Train("a", steps: 0)[0];
        HeldOutResult trained = Train("a", steps: 40)[0];

        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        using var model = LanguageModel.Load(PathOf("a"));
        Assert.Equal(Math.Log(model.Config.VocabularySize), untrained.Loss, 0.2);
        Assert.True(trained.Loss < untrained.Loss - 1.5, $"{untrained} -> {trained}");
    }

    [Fact]
    public void TheFolderLoadsAsAModelAndItsTokenizer()
    {
        Train("a", steps: 2, change: options => options with { Half = true, Words = ["terrible"] });

        var tokenizer = CheckpointTokenizer.Load(PathOf("a"));
        using var model = LanguageModel.Load(PathOf("a"));
        int[] ids = [tokenizer.ClsId, .. tokenizer.Encode(" after monday comes tuesday"), tokenizer.SepId];
        using var batch = TokenBatch.Create([new EncodedText(ids, null, 1)], tokenizer.PadId);
        using Tensor hidden = model.EncodeAt(batch);
        using Tensor scores = model.WordScores(hidden);
        Assert.Equal([1L, model.Config.VocabularySize], scores.shape);
        Assert.Equal(" after monday comes tuesday", tokenizer.Decode(ids[1..^1]));
        Assert.NotNull(tokenizer.TokenId("Ġterrible"));
        Assert.Contains("float16", File.ReadAllText(Path.Join(PathOf("a"), "config.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void ATrainingResumesWhereItEnded()
    {
        HeldOutResult first = Train("a", steps: 10)[0];
        TrainingState state = TrainingState.Load(PathOf("a"))!;
        HeldOutResult read = Train("a", steps: 10)[0];
        HeldOutResult second = Train("a", steps: 30)[0];

        Assert.Equal(10, state.Step);
        Assert.Equal(first, read);
        Assert.True(second.Loss < first.Loss, $"{first} -> {second}");
        TrainingState last = TrainingState.Load(PathOf("a"))!;
        Assert.Equal(30, last.Step);
        Assert.True(last.Tokens > state.Tokens && last.Seconds > state.Seconds);
    }

    [Fact]
    public void TheSameSeedGivesTheSameWeights()
    {
        Train("a", steps: 3);
        Train("b", steps: 3);
        Train("c", steps: 3, change: options => options with { Seed = 2 });

        Assert.Equal(WeightsOf("a"), WeightsOf("b"));
        Assert.NotEqual(WeightsOf("a"), WeightsOf("c"));
    }

    [Fact]
    public void AnotherCheckpointIsNotOverwritten()
    {
        Train("a", steps: 0);
        File.Delete(Path.Join(PathOf("a"), TrainingState.FileName));
        byte[] weights = WeightsOf("a");

        Assert.Throws<IOException>(() => Train("a", steps: 1));
        Assert.Equal(weights, WeightsOf("a"));
    }

    [Fact]
    public void TextsComeFromLinesColumnsAndBehindLabelsInEitherEncoding()
    {
        string path = PathOf("text");
        File.WriteAllBytes(
            path,
            [.. Encoding.UTF8.Preamble, .. "1 crème\tb\r\n"u8, .. Encoding.Latin1.GetBytes("0 brûlée\td\n"), .. "\n2 x\ty"u8]
        );

        Assert.Equal(["1 crème\tb", "0 brûlée\td", "2 x\ty"], TextSource.Parse(path).Passages());
        Assert.Equal(["crème\tb", "brûlée\td", "x\ty"], TextSource.Parse(path + "#rest").Passages());
        Assert.Equal(["b", "1 crème", "d", "0 brûlée", "y", "2 x"], TextSource.Parse(path + "#1,0").Passages());
        Assert.Contains(
            "line 1",
            Assert.Throws<InvalidDataException>(() => TextSource.Parse(path + "#2").Passages().ToList()).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<FormatException>(() => TextSource.Parse(path + "#-1"));
    }

    [Fact]
    public void PiecesAreOfTheAskedLengthsAndLeaveNothingOut()
    {
        Train("a", steps: 0);
        var tokenizer = CheckpointTokenizer.Load(PathOf("a"));
        string[] texts =
        [
            .. Enumerable.Range(0, 30).Select(i => string.Join(' ', Enumerable.Range(i, 40 + i).Select(j => Days[j * i % 7]))),
        ];
        var passages = new Passages([.. texts, texts[1].ToUpperInvariant(), texts[2]], [texts[3] + " ."], tokenizer, heldOut: 0);

        int[][][] batches = [.. passages.Batches(pass: 0, seed: 1, shortest: 8, longest: 32, tokensPerBatch: 100)];

        Assert.Equal(29, passages.Count);
        Assert.All(batches, batch => Assert.InRange(batch.Length * batch.Max(piece => piece.Length), 8, 100));
        Assert.All(batches.SelectMany(batch => batch), piece => Assert.InRange(piece.Length, 8, 32));
        Assert.All(batches.SelectMany(batch => batch), piece => Assert.Equal((tokenizer.ClsId, tokenizer.SepId), (piece[0], piece[^1])));
        long tokens = batches.Sum(batch => batch.Sum(piece => piece.Length - 2L));
        Assert.InRange(tokens, passages.Tokens - (5 * passages.Count), passages.Tokens);
        Assert.NotEqual(batches[0], passages.Batches(pass: 1, seed: 1, shortest: 8, longest: 32, tokensPerBatch: 100).First());
    }

    [Fact]
    public void FifteenPercentAreChosenAndEightOfTenOfThemMasked()
    {
        Train("a", steps: 0);
        var tokenizer = CheckpointTokenizer.Load(PathOf("a"));
        int word = tokenizer.Encode(" monday")[0];
        int[][] pieces =
        [
            .. Enumerable.Range(0, 200).Select(i => (int[])[tokenizer.ClsId, .. Enumerable.Repeat(word, 50 + (i % 50)), tokenizer.SepId]),
        ];

        using var masked = MaskedPieces.Create(pieces, 0.15, tokenizer, new Random(1));

        int length = pieces.Max(piece => piece.Length);
        long[] seen = masked.Batch.Ids.data<long>().ToArray(),
            places = masked.Places.data<long>().ToArray();
        int inner = pieces.Sum(piece => piece.Length - 2);
        Assert.InRange((double)places.Length / inner, 0.14, 0.16);
        Assert.InRange(places.Count(place => seen[place] == tokenizer.MaskId) / (double)places.Length, 0.77, 0.83);
        Assert.InRange(places.Count(place => seen[place] == word) / (double)places.Length, 0.07, 0.13);
        Assert.All(masked.Hidden.data<long>().ToArray(), id => Assert.Equal(word, id));
        HashSet<long> chosen = places.ToHashSet();
        for (int row = 0; row < pieces.Length; row++)
        {
            for (int i = 0; i < pieces[row].Length; i++)
            {
                long place = ((long)row * length) + i;
                Assert.True(chosen.Contains(place) ? i > 0 && i < pieces[row].Length - 1 : seen[place] == pieces[row][i]);
            }
        }
    }

    [Theory]
    [InlineData("head", 0, true)]
    [InlineData("last:1", 1, true)]
    [InlineData("encoder", 2, true)]
    [InlineData("all", 2, false)]
    [InlineData("lora:4", 2, true)]
    public void OnlyWhatIsAskedForIsTrained(string part, int layers, bool keepsEmbeddings)
    {
        Train("a", steps: 0, change: options => options with { Layers = 2 });
        Train("b", steps: 20, change: options => options with { From = PathOf("a"), Train = part });
        using LanguageModel before = LanguageModel.Load(PathOf("a")),
            after = LanguageModel.Load(PathOf("b"));
        string[] changed = [.. before.Parameters.Where(pair => !pair.Value.Equals(after.Parameters[pair.Key])).Select(pair => pair.Key)];

        Assert.Contains("lm_head.dense.weight", changed);
        Assert.Equal(keepsEmbeddings, !changed.Any(name => name.Contains("embeddings.", StringComparison.Ordinal)));
        Assert.Equal(
            layers,
            Enumerable.Range(0, 2).Count(i => changed.Any(name => name.Contains($"layer.{i}.", StringComparison.Ordinal)))
        );
        Assert.Equal(
            part is not "lora:4" && layers > 0,
            changed.Any(name => name.EndsWith("output.LayerNorm.weight", StringComparison.Ordinal))
        );
    }

    [Theory]
    [InlineData("last:3")]
    [InlineData("last:0")]
    [InlineData("lora:0")]
    [InlineData("some")]
    public void OtherPartsAreRefused(string part) =>
        Assert.Contains(
            part,
            Assert
                .Throws<ArgumentException>(() => Train("a", steps: 1, change: options => options with { Layers = 2, Train = part }))
                .Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void AHeadInClosedFormPredictsWhatAnEncoderKnows()
    {
        // An encoder that knows the weeks, with the head of one that knows nothing.
        Train("known", steps: 200, change: options => options with { Train = "encoder" });
        Train("new", steps: 0, change: options => options with { Seed = 2 });
        using LanguageModel known = LanguageModel.Load(PathOf("known")),
            fresh = LanguageModel.Load(PathOf("new"));
        SkillLoc.Models.Checkpoints.CheckpointFolder.Save(
            PathOf("a"),
            known.Config,
            known.Parameters.Select(pair => (pair.Key, (Tensor)(TrainedPart.IsHead(pair.Key) ? fresh.Parameters[pair.Key] : pair.Value))),
            CheckpointTokenizer.Load(PathOf("known")).Files
        );

        HeldOutResult without = Train("b", steps: 0, change: options => options with { From = PathOf("a") })[0];
        HeldOutResult with = Train("c", steps: 0, change: options => options with { From = PathOf("a"), HeadStart = true })[0];
        Assert.True(with.Loss < without.Loss - 2 && with.Accuracy > without.Accuracy + 0.2, $"{without} -> {with}");
    }

    [Fact]
    public void CommonTokensAreChosenLessOftenAndAsManyAltogether()
    {
        Train("a", steps: 0);
        var tokenizer = CheckpointTokenizer.Load(PathOf("a"));
        int monday = tokenizer.Encode(" monday")[0],
            friday = tokenizer.Encode(" friday")[0];
        string text = string.Join(' ', Enumerable.Repeat("monday", 80).Append("friday"));
        var passages = new Passages(Enumerable.Range(0, 300).Select(i => $"{i} {text}"), [], tokenizer, heldOut: 0);

        Assert.Null(passages.MaskWeights(0, tokenizer.VocabularySize));
        double[] weights = passages.MaskWeights(0.1, tokenizer.VocabularySize)!;

        long[] counts = passages.Frequencies(tokenizer.VocabularySize);
        Assert.Equal(1, counts.Zip(weights, (count, weight) => count * weight).Sum() / counts.Sum(), 1e-9);
        Assert.Equal(Math.Sqrt(0.1 / (counts[monday] / (double)counts.Sum())), weights[monday] / weights[friday], 1e-9);
        int[][] pieces =
        [
            .. Enumerable.Repeat(
                (int[])[tokenizer.ClsId, .. Enumerable.Repeat(monday, 60), .. Enumerable.Repeat(friday, 60), tokenizer.SepId],
                100
            ),
        ];
        using var masked = MaskedPieces.Create(pieces, 0.1, tokenizer, new Random(1), weights: weights);
        long[] hidden = masked.Hidden.data<long>().ToArray();
        Assert.Equal(weights[monday] / weights[friday], hidden.Count(id => id == monday) / (double)hidden.Count(id => id == friday), 0.06);
    }

    private string PathOf(string name) => Path.Join(_folder.FullName, name);

    private byte[] WeightsOf(string name) => File.ReadAllBytes(Path.Join(PathOf(name), "model.safetensors"));

    /// <summary>Trains a tiny model on weeks, in which every word follows from its neighbours.</summary>
    private IReadOnlyList<HeldOutResult> Train(string name, int steps, Func<PretrainOptions, PretrainOptions>? change = null)
    {
        string text = PathOf("days.txt");
        File.WriteAllLines(
            text,
            Enumerable.Range(0, 400).Select(i => $"{i} " + string.Join(' ', Enumerable.Range(i, 20).Select(j => Days[j % 7])))
        );
        var options = new PretrainOptions
        {
            Text = [text],
            Out = PathOf(name),
            Vocabulary = 320,
            Hidden = 32,
            Layers = 1,
            Heads = 2,
            FeedForward = 64,
            LongestPiece = 16,
            ShortestPiece = 8,
            TokensPerBatch = 512,
            LearningRate = 1e-2,
            HeldOut = 0.1,
            Steps = steps,
        };
        using var pretraining = new Pretraining(
            change?.Invoke(options) ?? options,
            AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(TextWriter.Null) })
        );
        return pretraining.Run();
    }
}

using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Grafts;

public sealed class GraftBasePatchTests : IDisposable
{
    private const string Bias = "roberta.encoder.layer.1.output.dense.bias";
    private const string Norm = "roberta.encoder.layer.1.output.LayerNorm.bias";

    private readonly LanguageModel _model = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
    private readonly LanguageModel _tuned = LanguageModel.Load(Oracles.PathOf("tiny-roberta-finetuned"));
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose()
    {
        _model.Dispose();
        _tuned.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void TiesGoToTheLowerIndexInAnyOrderOfSparsities()
    {
        // |D| = 5, 4, 4, 3, 1 and K = 3 (worked values, G), then the same over two parameters and for all K.
        Set(_model, Bias, 0);
        Set(_tuned, Bias, 0, 5, -4, 4, 3, 1);
        using GraftMask mask = Mask(Bias);
        mask.SetBasePatch(3.0 / 48);
        Assert.Equal([0, 1, 2], Assert.Single(mask.Parts()).Indices);
        Assert.Equal([5, -4, 4], mask.Parts()[0].Values);

        Set(_model, Norm, 0);
        Set(_tuned, Norm, 0, 4, 5, 1);
        using GraftMask both = Mask(Bias, Norm);
        int[] order = [0, 49, 1, 2, 48, 3, 4, 50];
        both.RankMovement(8.0 / 96);
        foreach (int count in new[] { 8, 1, 0, 5, 7, 3, 20 })
        {
            both.SetBasePatch((count + 0.5) / 96);
            IEnumerable<int> expected = count <= 8 ? order.Take(count) : order.Concat(Enumerable.Range(0, 96).Except(order)).Take(count);
            Assert.Equal(expected.Order(), Flat(both));
            Assert.Equal(count, both.BaseCount);
        }
    }

    [Fact]
    public void ALimitKeepsTheCoordinatesFurthestPastTheThreshold()
    {
        // beta = 10. Base patch {0, 1, 2} with margins 9, 9.5 and -1 (out); outside 12, 3 and 0.5 (in), the others -9.
        Set(_model, Bias, 0);
        Set(_tuned, Bias, 0, 5, 4, 3, 2, 2, 2);
        using GraftMask mask = Mask(Bias);
        mask.SetBasePatch(3.0 / 48);
        mask.SetScores(Bias, [1, 0.5f, 11, 22, 13, 10.5f, .. Enumerable.Repeat(1f, 42)]);
        (long? Limit, int[] Expected)[] cases =
        [
            (null, [0, 1, 3, 4, 5]),
            (9, [0, 1, 3, 4, 5]),
            (5, [0, 1, 3, 4, 5]),
            (4, [0, 1, 3, 4]),
            (3, [0, 1, 3]),
            (2, [1, 3]),
            (1, [3]),
            (0, []),
        ];
        foreach ((long? limit, int[] expected) in cases)
        {
            mask.Limit = limit;
            Assert.Equal(expected, Flat(mask));
            mask.ApplyRounded();
            Assert.Equal(expected.Length, Enumerable.Range(0, 6).Count(i => _model.Parameters[Bias].data<float>()[i] != 0));
        }

        // Of coordinates that tie at the limit none is in.
        mask.SetScores(Bias, [0, 0, 11, 20, 20, 25, .. Enumerable.Repeat(1f, 42)]);
        mask.Limit = 3;
        Assert.Equal([5], Flat(mask));
    }

    [Fact]
    public void TheRankingOfMillionsIsThatOfASort()
    {
        // More scalars than are ranked in one piece, and whole numbers, so that most of them tie.
        var config = ModelConfig.Roberta(256, 2, 4, 1024, 50, 66, 0);
        using LanguageModel pre = LanguageModel.Create(config, seed: 1),
            tuned = LanguageModel.Create(config, seed: 2);
        string[] names = [.. new ParameterSelection().Of(pre)];
        var movement = new List<float>();
        using (no_grad())
        {
            foreach (string name in names)
            {
                using DisposeScope scope = NewDisposeScope();
                pre.Parameters[name].zero_();
                tuned.Parameters[name].mul_(500).round_();
                movement.AddRange(tuned.Parameters[name].abs().data<float>().ToArray());
            }
        }

        Assert.True(movement.Count > 1_500_000);
        float[] negative = [.. movement.Select(value => -value)];
        int[] sorted = [.. Enumerable.Range(0, movement.Count)];
        Array.Sort(negative, sorted);
        foreach (
            IGrouping<float, int> tied in sorted
                .Select((place, i) => (place, i))
                .GroupBy(pair => negative[pair.i], pair => pair.i)
                .ToArray()
        )
        {
            Array.Sort(sorted, tied.First(), tied.Count());
        }

        using var mask = new GraftMask(pre, tuned, names);
        foreach (int count in new[] { 300, 200_000 })
        {
            mask.SetBasePatch((count + 0.5) / movement.Count);
            var offsets = new Dictionary<string, int>(StringComparer.Ordinal);
            int offset = 0;
            foreach (string name in names)
            {
                offsets[name] = offset;
                offset += (int)pre.Parameters[name].numel();
            }

            Assert.Equal(sorted.Take(count).Order(), mask.Parts().SelectMany(part => part.Indices.Select(i => i + offsets[part.Name])));
        }
    }

    [Fact]
    public void ARandomPatchHasTheSizeAskedForAndFollowsItsSeed()
    {
        using GraftMask mask = Mask();
        mask.SetRandomBasePatch(0.1, seed: 4);
        int[] first = Flat(mask);
        Assert.Equal(mask.Count / 10, first.Length);
        Assert.Equal(first.Distinct().Order(), first);

        // Both halves get half of it, within five standard deviations of a hypergeometric draw.
        double deviation = Math.Sqrt(first.Length * 0.25 * 0.9);
        Assert.InRange(first.Count(i => i < mask.Count / 2), (first.Length / 2) - (5 * deviation), (first.Length / 2) + (5 * deviation));
        mask.SetRandomBasePatch(0.1, seed: 5);
        Assert.InRange(first.Intersect(Flat(mask)).Count(), 0, first.Length / 2);
        mask.SetRandomBasePatch(0.1, seed: 4);
        Assert.Equal(first, Flat(mask));
        mask.SetRandomBasePatch(1, seed: 4);
        Assert.Equal(mask.Count, mask.BaseCount);
    }

    [Fact]
    public void WholeParametersCanBeThePatch()
    {
        using GraftMask mask = Mask();
        mask.SetBasePatch(name => name.EndsWith("bias", StringComparison.Ordinal));
        string[] biases = [.. new ParameterSelection { BiasOnly = true }.Of(_model)];
        Assert.Equal(biases, mask.Parts().Select(part => part.Name));
        Assert.Equal(biases.Sum(name => _model.Parameters[name].numel()), mask.BaseCount);
        Assert.All(mask.Parts(), part => Assert.Equal(Enumerable.Range(0, part.Indices.Length), part.Indices));
    }

    [Fact]
    public void CoordinatesOfEarlierGraftsAreNeverPartOfTheMask()
    {
        int[] taken = [0, 5, 47];
        var earlier = new Graft { BaseFingerprint = _model.Fingerprint(), Parts = [new(Bias, taken, [30, 40, 50])] };
        earlier.MergeInto(_model, earlier.BaseFingerprint);
        using var mask = new GraftMask(_model, _tuned, [Bias, Norm], sigmoidBias: 0.25, taken: [earlier]);
        Assert.Equal(93, mask.Count);
        Action[] patches =
        [
            () => mask.SetBasePatch(1),
            () => mask.SetBasePatch(0.99),
            () => mask.SetRandomBasePatch(1, 1),
            () => mask.SetBasePatch(_ => true),
            () => mask.SetBasePatch(_ => false),
        ];
        foreach (Action patch in patches)
        {
            patch();

            // With beta below the scores, all that is free and outside the patch is in the mask.
            foreach (bool high in new[] { false, true })
            {
                mask.SetScores(Bias, Enumerable.Repeat(high ? 1f : 0f, 48).ToArray());
                Assert.DoesNotContain(mask.Parts().Where(part => part.Name == Bias).SelectMany(part => part.Indices), taken.Contains);
                mask.ApplyRounded();
                Assert.Equal([30, 40, 50], taken.Select(i => Values(_model, Bias)[i]));
                mask.ApplySoft();
                Assert.Equal([30, 40, 50], taken.Select(i => Values(_model, Bias)[i]));
            }
        }

        mask.SetScores(Bias, new float[48]);
        mask.SetBasePatch(0.99);
        Assert.Equal(92, mask.BaseCount);
    }

    [Fact]
    public void OutsideOfTheMaskCanBeZero()
    {
        using (var mask = new GraftMask(_model, _tuned, [Bias, Norm], outside: GraftOutside.Zero))
        {
            mask.SetBasePatch(0.25);
            int[] chosen = Flat(mask);
            float[] tuned = [.. Values(_tuned, Bias), .. Values(_tuned, Norm)],
                pre = [.. Values(_model, Bias), .. Values(_model, Norm)];
            float least = chosen.Min(i => Math.Abs(tuned[i] - pre[i]));
            Assert.All(Enumerable.Range(0, 96).Except(chosen), i => Assert.True(Math.Abs(tuned[i] - pre[i]) <= least));
            mask.ApplyRounded();
            Assert.Equal(
                Enumerable.Range(0, 96).Select(i => chosen.Contains(i) ? tuned[i] : 0),
                [.. Values(_model, Bias), .. Values(_model, Norm)]
            );

            // With scores at beta the soft mask is 1/2 everywhere.
            mask.SetScores(Bias, Enumerable.Repeat(10f, 48).ToArray());
            mask.ApplySoft();
            Assert.Equal(tuned.Take(48).Select(value => value / 2), Values(_model, Bias));
            mask.Reset();
        }

        using var again = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        Assert.Equal(again.Fingerprint(), _model.Fingerprint());
    }

    [Fact]
    public void TheGradientOfAMaskWithZerosOutsideIsThatOfItsWeights()
    {
        // d loss / d S = (1 - 2b) g ft s (1 - s), with g = 1 for the sum of the weights.
        using var mask = new GraftMask(_model, _tuned, [Bias], sigmoidBias: 1, outside: GraftOutside.Zero);
        mask.SetBasePatch(0.5);
        HashSet<int> patch = [.. Flat(mask)];
        mask.SetScores(Bias, Enumerable.Repeat(0.5f, 48).ToArray());
        mask.RequireGradients(true);
        using (DisposeScope scope = NewDisposeScope())
        {
            _model.Parameters[Bias].sum().backward();
        }

        mask.Step(2);
        mask.RequireGradients(false);
        double s = 1 / (1 + Math.Exp(0.5));
        float[] tuned = Values(_tuned, Bias),
            scores = mask.Scores(Bias);
        for (int i = 0; i < 48; i++)
        {
            Assert.Equal(0.5 - (2 * (patch.Contains(i) ? -1 : 1) * tuned[i] * s * (1 - s)), scores[i], 1e-6);
        }
    }

    [Fact]
    public void AGraftsCoordinatesCanBeThePatch()
    {
        string path = Path.Join(_folder, "g.safetensors"),
            fingerprint = _model.Fingerprint();
        new Graft { BaseFingerprint = fingerprint, Parts = [new(Bias, [3, 7], [1, 2])] }.Save(path);
        using GraftMask mask = Mask(Bias, Norm);
        mask.ReadBasePatch(path, fingerprint);
        Assert.Equal([3, 7], Flat(mask));
        Assert.Equal(new[] { 3, 7 }.Select(i => Values(_tuned, Bias)[i]), mask.Parts()[0].Values);

        string other = new('b', 64);
        string message = Assert.Throws<InvalidDataException>(() => mask.ReadBasePatch(path, other)).Message;
        Assert.Contains(other, message, StringComparison.Ordinal);
        Assert.Contains(fingerprint, message, StringComparison.Ordinal);
        using GraftMask elsewhere = Mask(Norm);
        Assert.Contains(
            Bias,
            Assert.Throws<InvalidDataException>(() => elsewhere.ReadBasePatch(path, fingerprint)).Message,
            StringComparison.Ordinal
        );
        new Graft { BaseFingerprint = fingerprint, Parts = [new(Bias, [3, 48], [1, 2])] }.Save(path);
        Assert.Contains(
            "48",
            Assert.Throws<InvalidDataException>(() => mask.ReadBasePatch(path, fingerprint)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void StoredMasksAreProbabilitiesUnlessOneIsAboveOne()
    {
        using GraftMask mask = Mask(Bias, Norm);
        float[] bias = new float[48],
            norm = new float[48];
        (bias[1], bias[2], bias[3], norm[0], norm[9]) = (1, 0.6f, 0.4f, 0.9f, -2);
        Write(bias, norm);
        mask.ReadBasePatch(Path.Join(_folder, "m.safetensors"), "");
        Assert.Equal([1, 2, 48], Flat(mask));

        // Now they are scores: only what is above beta = 10 counts.
        (norm[0], norm[4]) = (9.9f, 10.1f);
        Write(bias, norm);
        mask.ReadBasePatch(Path.Join(_folder, "m.safetensors"), "");
        Assert.Equal([52], Flat(mask));

        string message = Assert
            .Throws<InvalidDataException>(() =>
            {
                using GraftMask more = Mask();
                more.ReadBasePatch(Path.Join(_folder, "m.safetensors"), "");
            })
            .Message;
        Assert.Contains("is missing", message, StringComparison.Ordinal);
        Assert.Contains("more", message, StringComparison.Ordinal);
        Write(bias, norm[..40]);
        message = Assert.Throws<InvalidDataException>(() => mask.ReadBasePatch(Path.Join(_folder, "m.safetensors"), "")).Message;
        Assert.Contains($"'{Norm}' is [40] and should be [48]", message, StringComparison.Ordinal);

        void Write(float[] first, float[] second)
        {
            using DisposeScope scope = NewDisposeScope();
            SafetensorsWriter.Write(Path.Join(_folder, "m.safetensors"), [(Bias, tensor(first)), (Norm, tensor(second))]);
        }
    }

    [Fact]
    public void NoTensorIsLeft()
    {
        Work();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Work();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Work()
        {
            using var mask = new GraftMask(
                _model,
                _tuned,
                [Bias, Norm],
                taken: [new Graft { BaseFingerprint = "", Parts = [new(Bias, [1], [0])] }]
            );
            mask.RankMovement(0.5);
            mask.SetBasePatch(0.25);
            mask.SetBasePatch(1);
            mask.SetRandomBasePatch(0.5, 1);
            mask.SetBasePatch(_ => true);
            mask.ClearScores();
            mask.DrawScores(1);
            _ = mask.Parts();
            mask.ApplySoft();
            mask.ApplyRounded();
            mask.Reset();
            new GraftMaskState
            {
                Identity = new Dictionary<string, string> { ["rows"] = "1" },
                Epoch = 1,
                Score = 1,
                BestScore = 1,
                Best = mask.Parts(),
                Metrics = new Dictionary<string, double>(),
            }.Save(Path.Join(_folder, "s"), mask);
            GraftMaskState.Load(Path.Join(_folder, "s"), mask, new Dictionary<string, string> { ["rows"] = "1" });
        }
    }

    private static float[] Values(LanguageModel model, string name) => model.Parameters[name].data<float>().ToArray();

    private static void Set(LanguageModel model, string name, float fill, params float[] first)
    {
        float[] values = [.. first, .. Enumerable.Repeat(fill, (int)model.Parameters[name].numel() - first.Length)];
        using IDisposable noGradients = no_grad();
        using Tensor given = tensor(values);
        model.Parameters[name].copy_(given);
    }

    private GraftMask Mask(params string[] names) => new(_model, _tuned, names.Length > 0 ? names : new ParameterSelection().Of(_model));

    /// <summary>The rounded mask as indices over the considered parameters in their order.</summary>
    private int[] Flat(GraftMask mask)
    {
        var offsets = new Dictionary<string, int>(StringComparer.Ordinal);
        int offset = 0;
        foreach (
            string name in mask.Count switch
            {
                48 => [Bias],
                96 or 93 => [Bias, Norm],
                _ => new ParameterSelection().Of(_model),
            }
        )
        {
            offsets[name] = offset;
            offset += (int)_model.Parameters[name].numel();
        }

        return [.. mask.Parts().SelectMany(part => part.Indices.Select(i => i + offsets[part.Name]))];
    }
}

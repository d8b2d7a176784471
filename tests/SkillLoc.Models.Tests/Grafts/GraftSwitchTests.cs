using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Grafts;

public sealed class GraftSwitchTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(ScalarType.Float32, GraftOutside.PreTrained)]
    [InlineData(ScalarType.Float32, GraftOutside.Zero)]
    [InlineData(ScalarType.BFloat16, GraftOutside.PreTrained)]
    [InlineData(ScalarType.Float64, GraftOutside.PreTrained)]
    public void AGraftGoesInAndOutBitForBit(ScalarType type, GraftOutside outside)
    {
        long live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using (var model = LanguageModel.Load(Oracles.PathOf("tiny-roberta"), dtype: type))
        using (var applied = LanguageModel.Load(Oracles.PathOf("tiny-roberta"), dtype: type))
        {
            string before = model.Fingerprint();
            Graft graft = Graft(before, outside);
            graft.MergeInto(applied, before);
            Assert.NotEqual(before, applied.Fingerprint());

            using GraftSwitch change = graft.Prepare(model);
            Assert.Equal(before, model.Fingerprint());
            Assert.Equal(graft.Count, change.Count);
            for (int i = 0; i < 2; i++)
            {
                change.Apply();
                change.Apply();
                Assert.True(change.IsApplied);
                Assert.Equal(applied.Fingerprint(), model.Fingerprint());
                change.Remove();
                change.Remove();
                Assert.False(change.IsApplied);
                Assert.Equal(before, model.Fingerprint());
            }

            using (graft.Apply(model, before))
            {
                Assert.Equal(applied.Fingerprint(), model.Fingerprint());
            }

            Assert.Equal(before, model.Fingerprint());
        }

        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void AGraftForAnotherModelIsRefused()
    {
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        string fingerprint = model.Fingerprint(),
            other = new('c', 64);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => Graft(other, GraftOutside.PreTrained).Prepare(model));
        Assert.Contains(other, error.Message, StringComparison.Ordinal);
        Assert.Contains(fingerprint, error.Message, StringComparison.Ordinal);
        Graft stranger = new()
        {
            BaseFingerprint = fingerprint,
            Outside = GraftOutside.Zero,
            Considered = ["none"],
            Parts = [],
        };
        Assert.Contains("'none'", Assert.Throws<InvalidDataException>(() => stranger.Prepare(model)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsOutsideTravelsInTheFileAndOldFilesLoad()
    {
        string path = Path.Join(_folder, "g.safetensors");
        Graft zero = Graft(new('a', 64), GraftOutside.Zero);
        zero.Save(path);
        var loaded = Models.Grafts.Graft.Load(path);
        Assert.Equal(GraftOutside.Zero, loaded.Outside);
        Assert.Equal(zero.Considered, loaded.Considered);
        using (var file = SafetensorsFile.Open(path))
        {
            Assert.Equal("2", file.Metadata["version"]);
        }

        // A file of version 1, as it was written before there were zeros.
        using (DisposeScope scope = NewDisposeScope())
        {
            SafetensorsWriter.Write(
                path,
                [("w.indices", tensor(new[] { 3 })), ("w.values", tensor(new[] { 0.5f }))],
                new Dictionary<string, string>
                {
                    ["format"] = "skillloc-graft",
                    ["version"] = "1",
                    ["base_fingerprint"] = "f",
                    ["task"] = "t",
                    ["settings"] = "",
                    ["sparsity"] = "0.1",
                    ["considered"] = "10",
                }
            );
        }

        loaded = Models.Grafts.Graft.Load(path);
        Assert.Equal(GraftOutside.PreTrained, loaded.Outside);
        Assert.Empty(loaded.Considered);
        Assert.Equal([3], Assert.Single(loaded.Parts).Indices);
    }

    private static Graft Graft(string fingerprint, GraftOutside outside)
    {
        using var model = LanguageModel.Load(Oracles.PathOf("tiny-roberta"));
        using var tuned = LanguageModel.Load(Oracles.PathOf("tiny-roberta-finetuned"));
        IReadOnlyList<string> considered = new ParameterSelection().Of(model);
        using var mask = new GraftMask(model, tuned, considered);
        mask.SetBasePatch(0.01);
        return new()
        {
            BaseFingerprint = fingerprint,
            Parts = mask.Parts(),
            Outside = outside,
            Considered = outside == GraftOutside.Zero ? considered : [],
        };
    }
}

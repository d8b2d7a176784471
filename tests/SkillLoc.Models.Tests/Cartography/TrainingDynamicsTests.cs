using SkillLoc.Models.Cartography;

namespace SkillLoc.Models.Tests.Cartography;

public sealed class TrainingDynamicsTests : IDisposable
{
    private readonly string _file = Path.Join(Path.GetTempPath(), Path.GetRandomFileName());

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void MeasuresAreTheWorkedValues()
    {
        var dynamics = new TrainingDynamics();
        foreach ((bool right, double confidence) in new[] { (true, 0.2), (false, 0.4), (false, 0.2), (true, 0.4) })
        {
            dynamics.Add(3, right, confidence);
        }

        dynamics.Add(1, true, 1);
        IReadOnlyList<CartographyRow> map = dynamics.Map();
        Assert.Equal(new(1, 1, 0, 1, 0), map[0]);
        Assert.Equal((3, 0.5, 2), (map[1].Row, map[1].Correctness, map[1].Turns));
        Assert.Equal(0.3, map[1].Confidence, 1e-12);
        Assert.Equal(0.1, map[1].Variability, 1e-12);
    }

    [Fact]
    public void TheFileIsTheReferences()
    {
        File.WriteAllText(_file, """{"0": {"acc": [1, 0.0], "confidence": [0.25, 1]}, "7": {"acc": [1, 1], "confidence": [0.5, 0.5]}}""");
        var dynamics = TrainingDynamics.Load(_file);
        Assert.Equal([new(0, 0.625, 0.375, 0.5, 1), new(7, 0.5, 0, 1, 0)], dynamics.Map());
        dynamics.Save(_file);
        Assert.Equal("""{"0":{"acc":[1,0],"confidence":[0.25,1]},"7":{"acc":[1,1],"confidence":[0.5,0.5]}}""", File.ReadAllText(_file));
    }

    [Fact]
    public void WhatThePaperWritesBesideIsPassedOver()
    {
        File.WriteAllText(
            _file,
            """{"10": {"loss": [[1]], "acc": [1], "text": "a", "confidence": [0.5]}, "0": {"confidence": [1], "acc": [0]}}"""
        );
        Assert.Equal([new(0, 1, 0, 0, 0), new(10, 0.5, 0, 1, 0)], TrainingDynamics.Load(_file).Map());
    }

    [Theory]
    [InlineData("[1]")]
    [InlineData("""{"0": {"acc": [1]}}""")]
    [InlineData("""{"0": {"acc": null, "confidence": [1]}}""")]
    [InlineData("""{"0": {"acc": [1], "confidence": [0.5, 0.5]}}""")]
    [InlineData("""{"0": {"acc": [0.5], "confidence": [0.5]}}""")]
    [InlineData("""{"0": {"acc": [1], "confidence": [1.5]}}""")]
    [InlineData("""{"first": {"acc": [1], "confidence": [0.5]}}""")]
    [InlineData("""{"0": {"acc": [], "confidence": []}}""")]
    [InlineData("""{"0": {"acc": [1], "confidence": [-0.5]}}""")]
    [InlineData("""{"0": {"acc": [1], "confidence": [1e999]}}""")]
    [InlineData("""{"0": {"acc": [1], "confidence": [null]}}""")]
    [InlineData("""{"0": {"acc": [1], "confidence": [1], "confidence": [1]}}""")]
    [InlineData("""{"-1": {"acc": [1], "confidence": [0.5]}}""")]
    [InlineData("""{"00": {"acc": [1], "confidence": [0.5]}}""")]
    public void OtherFilesAreRefused(string json)
    {
        File.WriteAllText(_file, json);
        string message = Assert.Throws<InvalidDataException>(() => TrainingDynamics.Load(_file)).Message;
        Assert.StartsWith(_file, message, StringComparison.Ordinal);
        var dynamics = new TrainingDynamics();
        Assert.Throws<ArgumentOutOfRangeException>(() => dynamics.Add(0, true, double.NaN));
    }
}

using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Merging;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Forecasts of merges whose losses are known.</summary>
public sealed class MergeForecastTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("skillloc-").FullName;

    private static string Base => Oracles.PathOf("tiny-roberta");

    private static string Tuned => Oracles.PathOf("tiny-roberta-finetuned");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(1, 0)]
    [InlineData(0.75, 0.25)]
    [InlineData(0, 1)]
    [InlineData(-1, 2)]
    public void OneModelLosesWhatItsWeightIsShortOf(double weight, double loss)
    {
        var forecast = MergeForecast.Of(Recipe("task_arithmetic", weight, Tuned));
        Assert.Equal(loss, forecast.Loss, 1e-3);
        Assert.Equal(0, forecast.Interference, 1e-5);
        Assert.Equal(Math.Sign(weight), Assert.Single(forecast.Models).Cosine, 1e-3);
    }

    [Fact]
    public void OppositeModelsCancelOut()
    {
        string opposite = Path.Join(_folder, "opposite");
        ModelMerge.Run(Recipe("task_arithmetic", -1, Tuned), opposite);
        var forecast = MergeForecast.Of(Recipe("task_arithmetic", 1, Tuned, opposite));
        Assert.Equal(0.5, forecast.Interference, 0.05);
        Assert.Equal(1, forecast.Loss, 1e-3);
        Assert.Equal(forecast.Models[0].Distance, forecast.Models[1].Distance, 1e-3);

        // Of the model that counts thrice, the merge keeps twice what it does; the signs are those of the unweighted sum.
        MergeRecipe recipe = Recipe("task_arithmetic", 1, Tuned, opposite);
        recipe = recipe with
        {
            Models = [recipe.Models[0] with { Parameters = new Dictionary<string, MergeSetting> { ["weight"] = 3 } }, recipe.Models[1]],
        };
        Assert.Equal([1, 3], MergeForecast.Of(recipe).Models.Select(model => model.Loss), new Close(1e-3));
    }

    [Fact]
    public void CellsSayWhereModelsClash()
    {
        // A model, one that moved as far the other way, and one that moved thrice as far with the first.
        string opposite = Path.Join(_folder, "opposite"),
            far = Path.Join(_folder, "far");
        ModelMerge.Run(Recipe("task_arithmetic", -1, Tuned), opposite);
        ModelMerge.Run(Recipe("task_arithmetic", 3, Tuned), far);
        MergeForecast same = MergeForecast.Of(Recipe("task_arithmetic", 1, Tuned, far)),
            clash = MergeForecast.Of(Recipe("task_arithmetic", 1, Tuned, opposite, far));
        Assert.All(same.Cells, cell => Assert.Equal((0, 0), (cell.Clash, cell.Interference)));

        MergeForecastCell query = clash.Cells.Single(cell => (cell.Place, cell.Module) == ("layer 1", "q"));
        using DisposeScope scope = NewDisposeScope();
        using CheckpointFolder one = CheckpointFolder.Open(Base),
            other = CheckpointFolder.Open(Tuned);
        const string Name = "roberta.encoder.layer.1.attention.self.query.weight";
        Tensor change = other.Weights.Read(Name, ScalarType.Float32) - one.Weights.Read(Name, ScalarType.Float32);
        double moved = change.abs().sum().item<float>();
        Assert.Equal(change.numel(), query.Scalars);
        Assert.Equal(change.count_nonzero().item<long>() / (double)query.Scalars, query.Clash, 1e-3);
        Assert.Equal([moved, moved, 3 * moved], query.Movement, new Close(moved * 1e-3));
        Assert.Equal([0, moved, 0], query.Against, new Close(moved * 1e-3));
        Assert.Equal(0.2, query.Interference, 1e-3);

        // Together they are the whole, in the model's order.
        Assert.Equal(clash.Interference, clash.Cells.Sum(cell => cell.Against.Sum()) / clash.Cells.Sum(cell => cell.Movement.Sum()), 1e-9);
        Assert.Equal(
            ["embeddings", "layer 0", "layer 1", "head"],
            clash.Cells.Select(cell => cell.Place).Distinct().Where(place => place is "embeddings" or "layer 0" or "layer 1" or "head")
        );
    }

    [Fact]
    public void MethodsWithoutABaseAreForecastToo()
    {
        var forecast = MergeForecast.Of(Recipe("linear", 1, Base, Tuned));
        Assert.Equal(Tuned, Assert.Single(forecast.Models).Model);
        Assert.Equal(0.5, forecast.Loss, 1e-3);
    }

    [Fact]
    public void MergesThatExistAreForecast()
    {
        string merged = Path.Join(_folder, "merged");
        ModelMerge.Run(Recipe("task_arithmetic", 0.6, Tuned), merged);
        Assert.Equal(0.4, MergeForecast.Of(Base, [Tuned], merged).Loss, 1e-3);
        Assert.Equal(1, MergeForecast.Of(Base, [Tuned], Base).Loss, 1e-5);
        string problem = Assert.Throws<InvalidDataException>(() => MergeForecast.Of(Base, [Oracles.PathOf("tiny-bert")], Base)).Message;
        Assert.Contains("tiny-bert", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void ABaseIsNeeded()
    {
        string problem = Assert.Throws<InvalidDataException>(() => MergeForecast.Of(new() { Method = "linear", Models = [Tuned] })).Message;
        Assert.Contains("base_model", problem, StringComparison.Ordinal);
        Assert.Throws<InvalidDataException>(() => MergeForecast.Of(Recipe("linear", 1, Base)));
    }

    private static MergeRecipe Recipe(string method, double weight, params string[] models) =>
        new()
        {
            Method = method,
            BaseModel = Base,
            Models = [.. models.Select(model => (MergeInput)model)],
            Parameters = new Dictionary<string, MergeSetting> { ["weight"] = weight },
        };

    private sealed class Close(double tolerance) : IEqualityComparer<double>
    {
        public bool Equals(double x, double y) => Math.Abs(x - y) <= tolerance;

        public int GetHashCode(double obj) => 0;
    }
}

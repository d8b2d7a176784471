using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Peft;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Merging;

/// <summary>
/// What the weights alone say of a merge, before it is written or evaluated: how much the models' changes are in each other's way, and how
/// much of what each of them does a merge will lose.
/// </summary>
/// <remarks>
/// With tau_i the difference of a model from the base and tau that of the merged one, each matrix of a layer loses ||(tau - tau_i) tau_i^T|| of
/// ||tau_i tau_i^T||: the rows of tau_i span the inputs that the model was tuned on, and on those its layer then writes something else
/// (Cheng et al. 2025, WUDI; methods, E.10). The forecast is the quotient of the sums over matrices: 0 for the model itself, 1 for the base.
/// </remarks>
public sealed record MergeForecast
{
    /// <summary>The merge's method; empty of a merge that exists.</summary>
    public required string Method { get; init; }

    /// <summary>One entry for each model beside the base, in the recipe's order.</summary>
    public required IReadOnlyList<MergeForecastEntry> Models { get; init; }

    /// <summary>The share of all models' movement, in magnitude, that goes against the sign of the sum of all; an even sum counts
    /// half.</summary>
    public required double Interference { get; init; }

    /// <summary>Where the models are in each other's way: layers and kinds of weights in the model's order, without what is
    /// copied.</summary>
    public required IReadOnlyList<MergeForecastCell> Cells { get; init; }

    /// <summary>The mean of the models' <see cref="MergeForecastEntry.Loss"/>.</summary>
    public double Loss => Models.Average(model => model.Loss);

    /// <summary>Forecasts a merge. Tensors are merged one after the other, and nothing is written.</summary>
    /// <param name="recipe">What would be merged and how, with a <see cref="MergeRecipe.BaseModel"/> that all models were tuned from, and
    /// without <see cref="MergeRecipe.Slices"/> and <see cref="MergeRecipe.Modules"/>.</param>
    /// <param name="options">How the merge runs; null for the defaults.</param>
    /// <returns>The forecast.</returns>
    /// <exception cref="InvalidDataException">There is no base, or as for <see cref="ModelMerge.Run"/>.</exception>
    /// <exception cref="FileNotFoundException">A model's file is missing.</exception>
    public static MergeForecast Of(MergeRecipe recipe, MergeOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(recipe);
        MergeModel basis = recipe.BaseModel ?? throw recipe.Wrong(recipe.Line, "a forecast compares with the base: give a 'base_model'");
        if (recipe.Tokenizer is { IsUnion: true } or { PadToMultipleOf: > 0 } or { Tokens.Count: > 0 })
        {
            throw recipe.Wrong(recipe.Tokenizer.Line, "a forecast is of models with the base's vocabulary: leave 'tokenizer' out");
        }

        if (recipe.Models.Count == 0 && recipe.AllInputs.Any())
        {
            throw recipe.Wrong(recipe.Line, "a forecast is of models with the base's layers: give 'models' alone");
        }

        MergeModel[] models = [.. recipe.Models.Select(input => input.Model).Where(model => model.Identity != basis.Identity)];
        return models.Length == 0
            ? throw recipe.Wrong(recipe.Line, "there is no model beside the base")
            : Of(recipe.Method, ModelMerge.Tensors(recipe, options), basis, models, recipe.Copied);
    }

    /// <summary>Forecasts a merge that exists, however it was made.</summary>
    /// <param name="basis">The model that all were tuned from.</param>
    /// <param name="models">The models that were merged.</param>
    /// <param name="merged">The result, such as its folder, or a base with a graft.</param>
    /// <returns>The forecast.</returns>
    /// <exception cref="ArgumentException">There is no model.</exception>
    /// <exception cref="InvalidDataException">The models do not fit one another.</exception>
    /// <exception cref="FileNotFoundException">A model's file is missing.</exception>
    public static MergeForecast Of(MergeModel basis, IReadOnlyList<MergeModel> models, MergeModel merged)
    {
        ArgumentNullException.ThrowIfNull(basis);
        ArgumentNullException.ThrowIfNull(models);
        ArgumentNullException.ThrowIfNull(merged);
        return models.Count == 0
            ? throw new ArgumentException("There is no model that was merged.", nameof(models))
            : Of("", ModelMerge.Tensors(new() { Method = "passthrough", Models = [new(merged)] }), basis, models, []);
    }

    private static MergeForecast Of(
        string method,
        IEnumerable<(string Name, Tensor Value)> tensors,
        MergeModel basis,
        IReadOnlyList<MergeModel> models,
        IReadOnlyList<string> copied
    )
    {
        using IDisposable noGradients = no_grad();
        using OpenMergeModel opened = basis.Open();
        var others = new List<OpenMergeModel>();
        try
        {
            foreach (MergeModel model in models)
            {
                others.Add(model.Open());
                ModelDifferences.Check(
                    opened,
                    others[^1],
                    name => copied.Any(part => name.Contains(part, StringComparison.Ordinal)),
                    _ => false,
                    problem => new InvalidDataException(problem),
                    "merge them with what each keeps of the first (Copied)"
                );
            }

            Sums[] sums = [.. models.Select(_ => new Sums())];
            var cells = new OrderedDictionary<(string Area, string Module), CellSums>();
            foreach ((string name, Tensor merged) in tensors)
            {
                using (merged)
                {
                    // What is copied from the base, such as heads of other tasks, is no part of the merge.
                    if (!copied.Any(part => name.Contains(part, StringComparison.Ordinal)))
                    {
                        var place = ParameterPlace.Of(name);
                        if (!cells.TryGetValue((place.Area, place.Module), out CellSums? cell))
                        {
                            cells.Add((place.Area, place.Module), cell = new(place, models.Count));
                        }

                        Add(name, merged, opened, others, sums, cell);
                    }
                }
            }

            double moved = sums.Sum(sum => sum.Moved);
            return new()
            {
                Method = method,
                Models = [.. models.Select((model, i) => sums[i].Entry(model.Name))],
                Interference = moved == 0 ? 0 : sums.Sum(sum => sum.Against) / moved,
                Cells =
                [
                    .. cells
                        .Values.OrderBy(cell => cell.Place.Region)
                        .ThenBy(cell => cell.Place.Stack == "decoder")
                        .ThenBy(cell => cell.Place.Layer)
                        .Select(cell => cell.Cell()),
                ],
            };
        }
        finally
        {
            others.ForEach(other => other.Dispose());
        }
    }

    private static void Add(string name, Tensor merged, OpenMergeModel basis, List<OpenMergeModel> models, Sums[] sums, CellSums cell)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor start = Read(basis),
            change = merged.sub(start);
        Tensor[] changes = [.. models.Select(model => Read(model).sub(start))];
        Tensor signs = changes.Skip(1).Aggregate(changes[0].clone(), (sum, one) => sum.Add_(one)).sign();
        cell.Scalars += change.numel();
        cell.Clashing += Clashing(changes);
        bool isMatrix = change.dim() == 2 && ParameterPlace.Of(name).Region == ParameterRegion.Layer,
            isTransposed = isMatrix && basis.Config is { } config && PeftNames.IsConv1D(config, name[..name.LastIndexOf('.')]);
        for (int i = 0; i < changes.Length; i++)
        {
            using DisposeScope one = NewDisposeScope();
            double moved = Number(changes[i].abs().sum()),
                along = Number(changes[i].mul(signs).sum());
            sums[i].Moved += moved;
            sums[i].Against += (moved - along) / 2;
            cell.Moved[i] += moved;
            cell.Against[i] += (moved - along) / 2;
            sums[i].Square += Number(changes[i].mul(changes[i]).sum());
            sums[i].MergedSquare += Number(change.mul(change).sum());
            sums[i].Product += Number(changes[i].mul(change).sum());
            if (isMatrix)
            {
                // As [out, in]; ||A tau^T||^2 = tr(A (tau^T tau) A^T).
                Tensor own = isTransposed ? changes[i].t() : changes[i],
                    gram = own.t().mm(own),
                    lost = (isTransposed ? change.t() : change).sub(own);
                sums[i].Whole += Math.Sqrt(Math.Max(Number(own.mm(gram).mul(own).sum()), 0));
                sums[i].Lost += Math.Sqrt(Math.Max(Number(lost.mm(gram).mul(lost).sum()), 0));
            }
        }

        Tensor Read(OpenMergeModel model) =>
            model.Weights.Read(
                model.Find(name) ?? throw new InvalidDataException($"{model.Name} has no tensor '{name}', which the merged model has."),
                ScalarType.Float32
            );
    }

    /// <summary>The number of scalars that one tensor raises and another lowers: where the sign of the largest is not that of the
    /// smallest, and neither is 0.</summary>
    private static double Clashing(Tensor[] changes)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor largest = changes.Skip(1).Aggregate(changes[0], (one, other) => one.maximum(other)),
            smallest = changes.Skip(1).Aggregate(changes[0], (one, other) => one.minimum(other)),
            signs = largest.sign().mul_(smallest.sign());
        return (Number(signs.abs().sum()) - Number(signs.sum())) / 2;
    }

    private static double Number(Tensor scalar) => scalar.to(ScalarType.Float64).data<double>()[0];

    private sealed class CellSums(ParameterPlace place, int models)
    {
        public ParameterPlace Place => place;

        public long Scalars { get; set; }

        public double Clashing { get; set; }

        public double[] Moved { get; } = new double[models];

        public double[] Against { get; } = new double[models];

        public MergeForecastCell Cell() =>
            new()
            {
                Place = place.Area,
                Module = place.Module,
                Scalars = Scalars,
                Clash = Clashing / Scalars,
                Movement = Moved,
                Against = Against,
            };
    }

    private sealed class Sums
    {
        public double Moved { get; set; }

        public double Against { get; set; }

        public double Square { get; set; }

        public double MergedSquare { get; set; }

        public double Product { get; set; }

        public double Whole { get; set; }

        public double Lost { get; set; }

        public MergeForecastEntry Entry(string name) =>
            new(
                name,
                Math.Sqrt(Square),
                Square == 0 || MergedSquare == 0 ? 0 : Product / Math.Sqrt(Square * MergedSquare),
                Moved == 0 ? 0 : Against / Moved,
                Whole == 0 ? 0 : Lost / Whole
            );
    }
}

/// <summary>How much the models of a merge are in each other's way in a layer's weights of one kind.</summary>
public sealed record MergeForecastCell
{
    /// <summary><c>layer 3</c>, in T5 <c>encoder 3</c> or <c>decoder 3</c>, or <c>embeddings</c> or <c>head</c>.</summary>
    public required string Place { get; init; }

    /// <summary>The kind of weight, <see cref="ParameterPlace.Module"/>.</summary>
    public required string Module { get; init; }

    /// <summary>Number of scalars here.</summary>
    public required long Scalars { get; init; }

    /// <summary>The share of these scalars that one model raises and another lowers, from 0 to 1.</summary>
    public required double Clash { get; init; }

    /// <summary>How far each model moved here: the sum of the magnitudes of its changes, in the order of
    /// <see cref="MergeForecast.Models"/>.</summary>
    public required IReadOnlyList<double> Movement { get; init; }

    /// <summary>How much of each model's <see cref="Movement"/> goes against the sign of the sum of all; an even sum counts half.</summary>
    public required IReadOnlyList<double> Against { get; init; }

    /// <summary>The share of all models' movement here that goes against the sign of the sum; 0 where nothing moved.</summary>
    public double Interference => Movement.Sum() is > 0 and var moved ? Against.Sum() / moved : 0;
}

/// <summary>What the weights say of a model in a merge.</summary>
/// <param name="Model">The model's name.</param>
/// <param name="Distance">How far it is from the base, the Euclidean norm of the difference.</param>
/// <param name="Cosine">The cosine of its difference from the base and the merged model's.</param>
/// <param name="Interference">The share of its movement, in magnitude, that goes against the sign of the sum of all models'.</param>
/// <param name="Loss">The share of what it does in its layers that the merge loses, 0 for the model itself and 1 for the base; above 1 the
/// merge disturbs more than it keeps.</param>
public sealed record MergeForecastEntry(string Model, double Distance, double Cosine, double Interference, double Loss);

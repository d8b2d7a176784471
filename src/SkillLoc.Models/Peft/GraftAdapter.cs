using System.Globalization;
using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using TorchSharp;

namespace SkillLoc.Models.Peft;

/// <summary>
/// Grafts as SHiRA adapters. SHiRA has r (in + out) coordinates of every linear layer that it changes, with one r for all: layers are
/// padded with coordinates of value zero. What is no linear layer, or has more scalars than that allows, is saved whole.
/// </summary>
internal static class GraftAdapter
{
    private const string Prefix = "base_model.model.";

    // How far the difference is moved until its sum with the base is the graft's value, in units of its last place.
    private const int MostSteps = 4;

    public static PeftAdapter Of(Graft graft, CheckpointFolder folder)
    {
        ModelConfig config = folder.Config;
        if (config.ModelType == "gpt2")
        {
            throw new NotSupportedException(
                $"{folder.Path} is GPT-2, whose projections are Conv1D, and SHiRA changes linear layers only: its grafts have no file of PEFT."
            );
        }

        if (graft.Zeroed.Any())
        {
            throw new NotSupportedException("A graft with zeros outside changes whole parameters; as an adapter it would be a checkpoint.");
        }

        StoredModel.CheckFingerprint(folder, graft.BaseFingerprint, "the graft");
        Dictionary<string, long[]> shapes = StoredModel.ShapesOf(folder);
        GraftPart[] parts = [.. graft.Parts.Where(part => part.Indices.Length > 0)];
        HashSet<string> whole = WholeModules(parts, shapes, config);
        GraftPart[] sparse = [.. parts.Where(part => !whole.Contains(ModuleOf(part.Name, config)))];
        long rank = sparse.Select(part => Rank(part, shapes[part.Name])).DefaultIfEmpty(1).Max();
        while (sparse.FirstOrDefault(part => rank * shapes[part.Name].Sum() > shapes[part.Name][0] * shapes[part.Name][1]) is { } small)
        {
            // Too small a layer for this r.
            whole.Add(ModuleOf(small.Name, config));
            sparse = [.. sparse.Where(part => part != small)];
            rank = sparse.Select(part => Rank(part, shapes[part.Name])).DefaultIfEmpty(1).Max();
        }

        var tensors = new OrderedDictionary<string, PeftTensor>(StringComparer.Ordinal);
        var remainder = new GraftRemainder(graft);
        foreach (GraftPart part in sparse)
        {
            AddSparse(tensors, remainder, part, Read(folder, part.Name, shapes[part.Name]), shapes[part.Name], rank);
        }

        foreach (string module in whole)
        {
            AddWhole(tensors, remainder, module, parts, folder, shapes, config);
        }

        List<string> saved = [.. whole];
        AddTies(tensors, saved, config);
        foreach ((string name, (long[] shape, float[] values)) in graft.HeadParameters)
        {
            if (name.StartsWith("classifier.", StringComparison.Ordinal))
            {
                tensors.Add(Prefix + name, new(shape, torch.ScalarType.Float32, values));
                saved = saved.Contains("classifier") ? saved : [.. saved, "classifier"];
            }
        }

        return new(
            new(Config(folder, rank, [.. sparse.Select(part => Module(part.Name))], saved), PeftConfig.FileName),
            tensors,
            "the graft's adapter"
        )
        {
            Remainder = remainder,
        };
    }

    public static Graft Back(PeftAdapter adapter, CheckpointFolder folder)
    {
        if (adapter.Tuner != PeftAdapter.Shira)
        {
            throw new NotSupportedException(
                $"{adapter.Source}: {adapter.Tuner} changes whole matrices, and a graft is made of few scalars."
            );
        }

        Dictionary<string, long[]> shapes = StoredModel.ShapesOf(folder);
        if (adapter.Remainder is { } known)
        {
            StoredModel.CheckFingerprint(folder, known.Graft.BaseFingerprint, adapter.Source);
        }

        using var adapted = new AdaptedTensorStore(folder.Weights, folder.Config, adapter);
        var parts = new List<GraftPart>();
        foreach ((string name, long[] shape) in shapes)
        {
            if (adapter.Remainder?.Graft.Parts.FirstOrDefault(part => part.Name == name) is { } exact)
            {
                parts.Add(Merged(exact, Sparse(adapter, name, shape, folder)));
            }
            else if (Sparse(adapter, name, shape, folder) is { Indices.Length: > 0 } found)
            {
                parts.Add(found);
            }
            else if (adapter.Tensors.ContainsKey(Prefix + name) && Changed(folder, adapted, name, shape) is { Indices.Length: > 0 } changed)
            {
                parts.Add(changed);
            }
        }

        Graft? origin = adapter.Remainder?.Graft;
        return new()
        {
            BaseFingerprint = origin?.BaseFingerprint ?? StoredModel.Fingerprint(folder),
            Settings = origin?.Settings ?? "",
            Task = origin?.Task ?? "",
            Sparsity = origin?.Sparsity ?? 0,
            ConsideredCount = origin?.ConsideredCount ?? 0,
            Metrics = origin?.Metrics ?? new Dictionary<string, double>(StringComparer.Ordinal),
            HeadParameters = Head(adapter, origin),
            Parts = origin is null ? parts : [.. parts.OrderBy(part => adapter.Remainder!.PlaceOf(part.Name))],
        };
    }

    private static Dictionary<string, TensorValues> Head(PeftAdapter adapter, Graft? origin)
    {
        var head = new Dictionary<string, TensorValues>(StringComparer.Ordinal);
        foreach ((string name, TensorValues value) in origin?.HeadParameters ?? head)
        {
            head.Add(name, value);
        }

        foreach ((string key, PeftTensor tensor) in adapter.Tensors)
        {
            if (key.StartsWith(Prefix + "classifier.", StringComparison.Ordinal))
            {
                head[key[Prefix.Length..]] = new(tensor.Shape, tensor.Values);
            }
        }

        return head;
    }

    /// <summary>The modules that are saved whole: those with a parameter that is no weight of a linear layer.</summary>
    private static HashSet<string> WholeModules(GraftPart[] parts, Dictionary<string, long[]> shapes, ModelConfig config)
    {
        var whole = new HashSet<string>(StringComparer.Ordinal);
        foreach (GraftPart part in parts)
        {
            if (
                !IsLinear(part.Name, shapes[part.Name])
                || Rank(part, shapes[part.Name]) * shapes[part.Name].Sum() > shapes[part.Name][0] * shapes[part.Name][1]
            )
            {
                whole.Add(ModuleOf(part.Name, config));
            }
        }

        return whole;
    }

    private static bool IsLinear(string name, long[] shape) =>
        shape.Length == 2
        && name.EndsWith(".weight", StringComparison.Ordinal)
        && !name.Contains("embedding", StringComparison.Ordinal)
        && name != "shared.weight"
        && !name.EndsWith("relative_attention_bias.weight", StringComparison.Ordinal);

    /// <summary>The module that is saved whole for a parameter; of a language-model head, which has a bias of its own, all of it.</summary>
    private static string ModuleOf(string name, ModelConfig config) =>
        config.ModelType == "roberta" && name.StartsWith("lm_head.", StringComparison.Ordinal) ? "lm_head"
        : name.StartsWith("cls.predictions.", StringComparison.Ordinal) ? "cls.predictions"
        : Module(name);

    private static string Module(string name) => name[..name.LastIndexOf('.')];

    private static long Rank(GraftPart part, long[] shape) => (part.Indices.Length + shape.Sum() - 1) / shape.Sum();

    private static void AddSparse(
        OrderedDictionary<string, PeftTensor> tensors,
        GraftRemainder remainder,
        GraftPart part,
        float[] basis,
        long[] shape,
        long rank
    )
    {
        int count = (int)(rank * shape.Sum());
        var coordinates = new List<int>(part.Indices);
        var values = new List<float>(count);
        List<int> inexact = [];
        for (int i = 0; i < part.Indices.Length; i++)
        {
            float before = basis[part.Indices[i]],
                difference = Difference(before, part.Values[i]);
            values.Add(difference);
            if (difference == 0 || !(before + difference).Equals(part.Values[i]))
            {
                inexact.Add(i);
            }
        }

        // The first coordinates that are free.
        for (int next = 0, used = 0; coordinates.Count < count; next++)
        {
            while (used < part.Indices.Length && part.Indices[used] < next)
            {
                used++;
            }

            if (used == part.Indices.Length || part.Indices[used] != next)
            {
                coordinates.Add(next);
                values.Add(0);
            }
        }

        float[] indices = new float[2 * count];
        for (int i = 0; i < count; i++)
        {
            indices[i] = coordinates[i] / shape[1];
            indices[count + i] = coordinates[i] % shape[1];
        }

        string module = Prefix + Module(part.Name);
        tensors.Add(module + ".shira_weight", new([count], torch.ScalarType.Float32, [.. values]));
        tensors.Add(module + ".shira_indices", new([2, count], torch.ScalarType.Int32, indices));
        remainder.Add(part.Name, [.. inexact.Select(i => part.Indices[i])], [.. inexact.Select(i => part.Values[i])]);
    }

    /// <summary>The difference whose sum with the base is the value, or nearest to it.</summary>
    private static float Difference(float before, float after)
    {
        float difference = after - before,
            up = difference,
            down = difference;
        for (int step = 0; step < MostSteps && !(before + difference).Equals(after); step++)
        {
            up = MathF.BitIncrement(up);
            down = MathF.BitDecrement(down);
            difference =
                (before + up).Equals(after) ? up
                : (before + down).Equals(after) ? down
                : difference;
        }

        return difference;
    }

    private static void AddWhole(
        OrderedDictionary<string, PeftTensor> tensors,
        GraftRemainder remainder,
        string module,
        GraftPart[] parts,
        CheckpointFolder folder,
        Dictionary<string, long[]> shapes,
        ModelConfig config
    )
    {
        foreach ((string name, long[] shape) in shapes.Where(pair => ModuleOf(pair.Key, config) == module))
        {
            float[] values = Read(folder, name, shape);
            if (Array.Find(parts, part => part.Name == name) is { } part)
            {
                for (int i = 0; i < part.Indices.Length; i++)
                {
                    values[part.Indices[i]] = part.Values[i];
                }

                remainder.Add(name, part.Indices, part.Values);
            }

            tensors.Add(Prefix + name, new(shape, torch.ScalarType.Float32, values));
        }
    }

    private static JsonObject Config(CheckpointFolder folder, long rank, string[] targets, List<string> saved) =>
        new()
        {
            ["auto_mapping"] = null,
            ["base_model_name_or_path"] = folder.Path,
            ["fan_in_fan_out"] = false,
            ["inference_mode"] = true,
            ["init_weights"] = true,
            ["mask_type"] = "random",
            ["modules_to_save"] = saved.Count == 0 ? null : new JsonArray([.. saved.Select(module => (JsonNode)module)]),
            ["peft_type"] = PeftAdapter.Shira,
            ["r"] = rank,
            ["random_seed"] = null,
            ["revision"] = null,
            ["target_modules"] = new JsonArray([.. targets.Select(module => (JsonNode)module)]),
            ["task_type"] = null,
        };

    /// <summary>Saves changed word embeddings also as what shares them: Python wraps each module by itself, and a head or a stack beside
    /// them would keep the base's.</summary>
    private static void AddTies(OrderedDictionary<string, PeftTensor> tensors, List<string> saved, ModelConfig config)
    {
        if (!config.TieWordEmbeddings || saved.Find(module => PeftNames.IsWordModule(config, module)) is not { } words)
        {
            return;
        }

        PeftTensor values = tensors[$"{Prefix}{words}.weight"];
        string head = PeftNames.HeadOf(config);
        foreach (
            string name in config.ModelType == "t5" ? ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight", head] : new[] { head }
        )
        {
            tensors.Add(Prefix + name, values);
            if (!saved.Exists(module => name.StartsWith(module + ".", StringComparison.Ordinal)))
            {
                saved.Add(Module(name));
            }
        }
    }

    /// <summary>The scalars of a SHiRA layer that it changes.</summary>
    private static GraftPart Sparse(PeftAdapter adapter, string name, long[] shape, CheckpointFolder folder)
    {
        string key = Prefix + Module(name);
        if (
            !name.EndsWith(".weight", StringComparison.Ordinal)
            || !adapter.Tensors.TryGetValue(key + ".shira_weight", out PeftTensor? weights)
            || !adapter.Tensors.TryGetValue(key + ".shira_indices", out PeftTensor? indices)
        )
        {
            return new(name, [], []);
        }

        float[] basis = Read(folder, name, shape);
        int count = weights.Values.Length;
        (int Index, float Value)[] found =
        [
            .. Enumerable
                .Range(0, count)
                .Where(i => weights.Values[i] != 0)
                .Select(i => (Index: (int)((indices.Values[i] * shape[1]) + indices.Values[count + i]), Value: weights.Values[i]))
                .Select(scalar => (scalar.Index, basis[scalar.Index] + scalar.Value))
                .OrderBy(scalar => scalar.Index),
        ];
        return new(name, [.. found.Select(scalar => scalar.Index)], [.. found.Select(scalar => scalar.Value)]);
    }

    /// <summary>The scalars of a parameter saved whole that differ from the base.</summary>
    private static GraftPart Changed(CheckpointFolder folder, AdaptedTensorStore adapted, string name, long[] shape)
    {
        float[] before = Read(folder, name, shape);
        using torch.Tensor tensor = adapted.Read(StoredTensor.Find(folder, name, shape), torch.ScalarType.Float32);
        using torch.Tensor flat = tensor.view(-1);
        float[] after = flat.data<float>().ToArray();
        int[] changed = [.. Enumerable.Range(0, after.Length).Where(i => !after[i].Equals(before[i]))];
        return new(name, changed, [.. changed.Select(i => after[i])]);
    }

    /// <summary>A part with the scalars that are known exactly in place of what the adapter says.</summary>
    private static GraftPart Merged(GraftPart exact, GraftPart found)
    {
        var values = new SortedDictionary<int, float>();
        for (int i = 0; i < found.Indices.Length; i++)
        {
            values[found.Indices[i]] = found.Values[i];
        }

        for (int i = 0; i < exact.Indices.Length; i++)
        {
            values[exact.Indices[i]] = exact.Values[i];
        }

        return new(exact.Name, [.. values.Keys], [.. values.Values]);
    }

    private static float[] Read(CheckpointFolder folder, string name, long[] shape)
    {
        using torch.Tensor tensor = StoredTensor.Read(folder, name, shape, null, torch.ScalarType.Float32);
        using torch.Tensor flat = tensor.view(-1);
        return flat.data<float>().ToArray();
    }
}

/// <summary>
/// What a graft has beside its adapter, in a graft's file of its own: task, settings, metrics and head, the coordinates of parameters that
/// are saved whole, and values that are no sum of the base's and a float32 difference.
/// </summary>
internal sealed class GraftRemainder
{
    private const string OrderKey = "order";

    private readonly List<GraftPart> _parts = [];
    private readonly string[] _order;
    private readonly Graft _origin;

    public GraftRemainder(Graft graft)
    {
        _origin = graft;
        _order = [.. graft.Parts.Select(part => part.Name)];
    }

    private GraftRemainder(Graft graft, string[] order)
    {
        _origin = graft;
        _order = order;
        _parts.AddRange(graft.Parts);
    }

    /// <summary>The graft of these parts.</summary>
    public Graft Graft =>
        new()
        {
            BaseFingerprint = _origin.BaseFingerprint,
            Settings = _origin.Settings,
            Task = _origin.Task,
            Sparsity = _origin.Sparsity,
            ConsideredCount = _origin.ConsideredCount,
            Metrics = _origin.Metrics,
            HeadParameters = _origin.HeadParameters,
            Parts = [.. _parts],
        };

    public static GraftRemainder? Find(string path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        using var file = SafetensorsFile.Open(path);
        return new(Graft.Load(path), file.Metadata.GetValueOrDefault(OrderKey, "").Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    /// <summary>Keeps exact values; none where the adapter's are exact.</summary>
    public void Add(string name, int[] indices, float[] values)
    {
        if (indices.Length > 0)
        {
            _parts.Add(new(name, indices, values));
        }
    }

    /// <summary>The place of a parameter among the graft's parts.</summary>
    public int PlaceOf(string name) => Array.IndexOf(_order, name) is >= 0 and var place ? place : _order.Length;

    public void Save(string path) =>
        Graft.Save(path, new Dictionary<string, string>(StringComparer.Ordinal) { [OrderKey] = string.Join('\n', _order) });
}

using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Peft;

/// <summary>
/// The tensors of a base with an adapter in them: each is read from the base and changed when it is asked for. Changes are computed in
/// double precision.
/// </summary>
internal sealed partial class AdaptedTensorStore : ITensorStore
{
    private const string ClassifierModule = "classifier.";
    private const string ScoreModule = "score.";

    private readonly ITensorStore _base;
    private readonly ModelConfig _config;
    private readonly PeftAdapter _adapter;
    private readonly Dictionary<string, List<Func<Tensor, Tensor>>> _changes = new(StringComparer.Ordinal);
    private readonly OrderedDictionary<string, (TensorInfo Info, Func<Tensor> Read)> _added = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorInfo> _stored;

    private readonly Func<string, string?>? _kept;
    private readonly List<LoadedLoraModule> _modules = [];

    /// <summary>Puts an adapter into a base.</summary>
    /// <param name="basis">The base's tensors, which it takes over.</param>
    /// <param name="config">The base's configuration.</param>
    /// <param name="adapter">The adapter.</param>
    /// <param name="kept">The model's name of a stored weight whose LoRA stays beside it; null for one that is folded into it. Null folds
    /// all.</param>
    /// <exception cref="InvalidDataException">It does not fit; the message names the file and the key.</exception>
    public AdaptedTensorStore(ITensorStore basis, ModelConfig config, PeftAdapter adapter, Func<string, string?>? kept = null)
    {
        _kept = kept;
        _base = basis;
        _config = config;
        _adapter = adapter;
        _stored = basis.Tensors.ToDictionary(info => info.Name, StringComparer.Ordinal);
        foreach ((string module, Dictionary<string, PeftTensor> parts) in Grouped())
        {
            Add(module, parts);
        }
    }

    public string Path => _base.Path;

    public IReadOnlyList<TensorInfo> Tensors => [.. _base.Tensors, .. _added.Values.Select(added => added.Info)];

    /// <summary>The LoRA that is not folded into weights; its factors are among the tensors.</summary>
    public IReadOnlyList<LoadedLoraModule> Modules => _modules;

    /// <summary>Rows of the adapter's classification head; null if it has none.</summary>
    public int? Classes =>
        _added
            .Values.Select(added => added.Info)
            .Where(info => IsClassifier(info.Name) && info.Name.EndsWith(".weight", StringComparison.Ordinal))
            .Select(info => (int?)info.Shape[0])
            .LastOrDefault();

    /// <summary>The Python class of the model with its classification head.</summary>
    public string ClassifierArchitecture =>
        _config.ModelType switch
        {
            "bert" => "BertForSequenceClassification",
            "roberta" => "RobertaForSequenceClassification",
            "gpt2" => "GPT2ForSequenceClassification",
            _ => "T5ForSequenceClassification",
        };

    public bool Contains(string name) => _added.ContainsKey(name) || _base.Contains(name);

    public Tensor Read(string name, ScalarType? asType = null, Device? device = null)
    {
        using DisposeScope scope = NewDisposeScope();
        if (_added.TryGetValue(name, out (TensorInfo Info, Func<Tensor> Read) added))
        {
            return added.Read().to(asType ?? added.Info.Dtype, device ?? CPU, copy: true).contiguous().MoveToOuterDisposeScope();
        }

        if (!_changes.TryGetValue(name, out List<Func<Tensor, Tensor>>? changes))
        {
            return _base.Read(name, asType, device).MoveToOuterDisposeScope();
        }

        Tensor value = _base.Read(name, ScalarType.Float32).to(ScalarType.Float64);
        foreach (Func<Tensor, Tensor> change in changes)
        {
            value = change(value);
        }

        // By way of float32, which a base is computed in.
        return value.to(ScalarType.Float32).to(asType ?? _stored[name].Dtype, device ?? CPU).contiguous().MoveToOuterDisposeScope();
    }

    public void Dispose() => _base.Dispose();

    /// <summary>The adapter's tensors by module and the part that they are.</summary>
    private OrderedDictionary<string, Dictionary<string, PeftTensor>> Grouped()
    {
        string[] parts =
        [
            "lora_A.weight",
            "lora_B.weight",
            "lora_A.bias",
            "lora_B.bias",
            "lora_embedding_A",
            "lora_embedding_B",
            "lora_magnitude_vector",
            "lora_magnitude_vector.weight",
            "ia3_l",
            "shira_weight",
            "shira_indices",
        ];
        var modules = new OrderedDictionary<string, Dictionary<string, PeftTensor>>(StringComparer.Ordinal);
        foreach ((string key, PeftTensor tensor) in _adapter.Tensors)
        {
            if (key == "prompt_embeddings")
            {
                AddPrompt(tensor);
                continue;
            }

            string path =
                key.StartsWith("base_model.model.", StringComparison.Ordinal) ? key["base_model.model.".Length..]
                : key.StartsWith("base_model.", StringComparison.Ordinal) ? key["base_model.".Length..]
                : throw Wrong(key, "is no name of an adapter's tensor: it should begin with base_model.");
            string? part = Array.Find(parts, part => path.EndsWith("." + part, StringComparison.Ordinal));
            if (part is null && (path.Contains(".lora_", StringComparison.Ordinal) || path.Contains(".shira_", StringComparison.Ordinal)))
            {
                throw Wrong(key, "is a part of a tuner that is not known");
            }

            // A whole parameter: a bias, or one of modules_to_save.
            (string module, string kind) = part is null
                ? (path.Replace(".base_layer.", ".", StringComparison.Ordinal), "")
                : (
                    path[..^(part.Length + 1)],
                    part.StartsWith("lora_magnitude", StringComparison.Ordinal) ? "lora_magnitude_vector" : part
                );
            if (part is null)
            {
                Replace(key, module, tensor);
                continue;
            }

            if (!modules.TryGetValue(module, out Dictionary<string, PeftTensor>? own))
            {
                modules.Add(module, own = new(StringComparer.Ordinal));
            }

            own[kind] = tensor;
        }

        return modules;
    }

    private void Add(string module, Dictionary<string, PeftTensor> parts)
    {
        if (IsOfOneStack(module + ".weight") && !_adapter.Config.Flag("ensure_weight_tying"))
        {
            throw OfOneStack(module);
        }

        string weight = Weight(module);
        long[] shape = Shape(weight);
        if (parts.TryGetValue("ia3_l", out PeftTensor? scales))
        {
            AddIa3(module, weight, shape, scales);
        }
        else if (parts.ContainsKey("shira_weight") || parts.ContainsKey("shira_indices"))
        {
            AddShira(module, weight, shape, Part(module, parts, "shira_weight"), Part(module, parts, "shira_indices"));
        }
        else if (parts.ContainsKey("lora_embedding_A") || parts.ContainsKey("lora_embedding_B"))
        {
            if (parts.ContainsKey("lora_magnitude_vector"))
            {
                throw new NotSupportedException($"{_adapter.WeightsSource}: '{module}' is an embedding with DoRA, which is not supported.");
            }

            PeftTensor a = Part(module, parts, "lora_embedding_A"),
                b = Part(module, parts, "lora_embedding_B");
            double scale = Scale(module, a);
            Fits(module + ".lora_embedding_A", a, [a.Shape[0], shape[0]]);
            Fits(module + ".lora_embedding_B", b, [shape[1], a.Shape[0]]);
            Untie(weight);
            Change(weight, value => value.Add(b.ToFloat64().mm(a.ToFloat64()).Mul(scale).t()));
        }
        else
        {
            AddLora(module, weight, shape, parts);
        }
    }

    private void AddLora(string module, string weight, long[] shape, Dictionary<string, PeftTensor> parts)
    {
        PeftTensor a = Part(module, parts, "lora_A.weight"),
            b = Part(module, parts, "lora_B.weight");
        bool isTransposed = PeftNames.IsConv1D(_config, module);
        if (shape.Length != 2)
        {
            throw Wrong(module, $"is LoRA of a tensor of [{string.Join(", ", shape)}], which is no linear layer");
        }

        (long output, long input) = isTransposed ? (shape[1], shape[0]) : (shape[0], shape[1]);
        double scale = Scale(module, a);
        Fits(module + ".lora_A.weight", a, [a.Shape[0], input]);
        Fits(module + ".lora_B.weight", b, [output, a.Shape[0]]);
        PeftTensor? magnitude = parts.GetValueOrDefault("lora_magnitude_vector");
        if (_adapter.Config.Flag("use_dora") != (magnitude is not null))
        {
            throw Wrong(
                module,
                magnitude is null ? "lacks the lora_magnitude_vector of DoRA" : "has a lora_magnitude_vector, and use_dora is false"
            );
        }

        if (parts.ContainsKey("lora_A.bias"))
        {
            throw Wrong(module, "has a bias of lora_A, which PEFT does not know");
        }

        PeftTensor? bias = parts.GetValueOrDefault("lora_B.bias");
        if (bias is not null)
        {
            Fits(module + ".lora_B.bias", bias, [output]);
            Bias(module);
        }

        if (magnitude is null && _kept?.Invoke(weight) is { } name)
        {
            string kept = name[..name.LastIndexOf('.')];
            _modules.Add(new(kept, (int)a.Shape[0], scale, bias is not null));
            foreach ((string part, PeftTensor tensor) in parts)
            {
                _added[$"{kept}.{part}"] = (Info($"{kept}.{part}", tensor.Dtype, tensor.Shape), tensor.ToTensor);
            }

            return;
        }

        Change(
            weight,
            value =>
            {
                Tensor delta = b.ToFloat64().mm(a.ToFloat64()).Mul(scale);
                Tensor sum = (isTransposed ? value.t() : value).Add(delta);
                if (magnitude is not null)
                {
                    // Rows have the learnt length.
                    sum = sum.mul(magnitude.ToFloat64().view(-1, 1).div(sum.norm(1, keepdim: true)));
                }

                return isTransposed ? sum.t() : sum;
            }
        );
        if (bias is not null)
        {
            Change(Bias(module), value => value.Add(bias.ToFloat64().Mul(scale)));
        }
    }

    private void AddIa3(string module, string weight, long[] shape, PeftTensor scales)
    {
        bool isTransposed = PeftNames.IsConv1D(_config, module);
        (long output, long input) = isTransposed ? (shape[1], shape[0]) : (shape[0], shape[1]);
        bool isOfInput = scales.Shape is [1, _];
        Fits(module + ".ia3_l", scales, isOfInput ? [1, input] : [output, 1]);
        Change(weight, value => value.mul(isTransposed ? scales.ToFloat64().t() : scales.ToFloat64()));
        if (!isOfInput && AdaptedBias(module) is { } bias)
        {
            Change(bias, value => value.mul(scales.ToFloat64().view(-1)));
        }
    }

    private void AddShira(string module, string weight, long[] shape, PeftTensor values, PeftTensor indices)
    {
        if (PeftNames.IsConv1D(_config, module))
        {
            throw new NotSupportedException(
                $"{_adapter.WeightsSource}: '{module}' is no linear layer (Conv1D), which SHiRA does not have."
            );
        }

        Fits(module + ".shira_indices", indices, [2, values.Values.Length]);
        long[] flat = new long[values.Values.Length];
        for (int i = 0; i < flat.Length; i++)
        {
            long row = (long)indices.Values[i],
                column = (long)indices.Values[flat.Length + i];
            if (row < 0 || row >= shape[0] || column < 0 || column >= shape[1])
            {
                throw Wrong(module + ".shira_indices", $"has the coordinate ({row}, {column}), outside of [{shape[0]}, {shape[1]}]");
            }

            flat[i] = (row * shape[1]) + column;
        }

        Change(weight, value => value.contiguous().clone().view(-1).IndexAdd_(0, tensor(flat), values.ToFloat64()).view(shape));
    }

    /// <summary>A whole parameter in place of the base's, or beside it.</summary>
    private void Replace(string key, string name, PeftTensor tensor)
    {
        if (PeftNames.Find(_base, name) is { } stored)
        {
            if (IsOfOneStack(name) && !IsOfBoth(key, tensor))
            {
                throw OfOneStack(key);
            }

            Fits(key, tensor, _stored[stored].Shape);
            if (!_adapter.Config.Flag("ensure_weight_tying"))
            {
                Untie(stored);
            }

            Change(stored, _ => tensor.ToFloat64());
        }
        else if (name == HeadName && Words is { } words)
        {
            Untie(words);
            Fits(key, tensor, _stored[words].Shape);
            Change(name, _ => tensor.ToFloat64());
        }
        else if (IsClassifier(name) || name.Contains("pooler.", StringComparison.Ordinal))
        {
            _added[name] = (Info(name, tensor.Dtype, tensor.Shape), tensor.ToTensor);
        }
        else if (name.StartsWith("classification_head.", StringComparison.Ordinal))
        {
            throw new NotSupportedException(
                $"{_adapter.WeightsSource}: '{key}' is of the head of T5ForSequenceClassification, which is not supported; "
                    + "T5 writes its answers."
            );
        }
        else
        {
            throw Wrong(key, $"is a parameter that the base {_base.Path} does not have: it is an adapter of another base");
        }
    }

    /// <summary>alpha / r, or alpha / sqrt r.</summary>
    private double Scale(string module, PeftTensor a)
    {
        PeftConfig config = _adapter.Config;
        double rank = config.Number("r", "rank_pattern", module),
            alpha = config.Number("lora_alpha", "alpha_pattern", module);
        return a.Shape.Length == 2 && a.Shape[0] == (long)rank
            ? alpha / (config.Flag("use_rslora") ? Math.Sqrt(rank) : rank)
            : throw Wrong(module, $"has factors of [{string.Join(", ", a.Shape)}], and by {config.Source} the rank is {rank}");
    }

    /// <summary>The name of a module's weight. A head that is the word embeddings becomes one of its own.</summary>
    private string Weight(string module)
    {
        if (PeftNames.Find(_base, module + ".weight") is { } stored)
        {
            if (IsWords(stored) && !_adapter.Config.Flag("ensure_weight_tying") && _adapter.Tuner != PeftAdapter.Lora)
            {
                Untie(stored);
            }

            return stored;
        }

        string name = module + ".weight";
        if (name == HeadName && Words is { } words)
        {
            Untie(words);
            return name;
        }

        throw Wrong(module, $"is a module that the base {_base.Path} does not have: it is an adapter of another base");
    }

    /// <summary>Whether a name is that of the embeddings of one of T5's stacks, which Python can adapt apart from the other's.</summary>
    private bool IsOfOneStack(string name) =>
        _config.ModelType == "t5" && name is "encoder.embed_tokens.weight" or "decoder.embed_tokens.weight";

    private bool IsOfBoth(string key, PeftTensor tensor)
    {
        string other = key.Contains("encoder.", StringComparison.Ordinal)
            ? key.Replace("encoder.", "decoder.", StringComparison.Ordinal)
            : key.Replace("decoder.", "encoder.", StringComparison.Ordinal);
        return _adapter.Tensors.TryGetValue(other, out PeftTensor? same)
            && same.Shape.SequenceEqual(tensor.Shape)
            && same.Values.AsSpan().SequenceEqual(tensor.Values);
    }

    private NotSupportedException OfOneStack(string key) =>
        new(
            $"{_adapter.WeightsSource}: '{key}' adapts the word embeddings of one of T5's stacks, which share one table here: adapt 'shared', "
                + "or both alike."
        );

    private string Bias(string module) =>
        AdaptedBias(module) ?? throw Wrong(module, $"has a bias, and the module of the base {_base.Path} has none");

    private string? AdaptedBias(string module) => PeftNames.Find(_base, module + ".bias");

    private string HeadName => PeftNames.HeadOf(_config);

    private string? Words => PeftNames.Find(_base, PeftNames.WordsOf(_config));

    private bool IsWords(string stored) => stored == Words;

    /// <summary>Gives a head that shares the word embeddings its own copy of them, before they change.</summary>
    private void Untie(string stored)
    {
        if (
            IsWords(stored)
            && _config.TieWordEmbeddings
            && !_base.Contains(HeadName)
            && (
                _config.ModelType is "gpt2" or "t5"
                || _stored.Keys.Any(name => name.StartsWith(HeadName.Split('.')[0] + ".", StringComparison.Ordinal))
            )
        )
        {
            _added.TryAdd(HeadName, (Info(HeadName, _stored[stored].Dtype, _stored[stored].Shape), () => _base.Read(stored)));
        }
    }

    private void Change(string name, Func<Tensor, Tensor> change)
    {
        if (_added.TryGetValue(name, out (TensorInfo Info, Func<Tensor> Read) added))
        {
            _added[name] = (added.Info, () => change(added.Read().to(ScalarType.Float64)));
            return;
        }

        if (!_changes.TryGetValue(name, out List<Func<Tensor, Tensor>>? changes))
        {
            _changes.Add(name, changes = []);
        }

        changes.Add(change);
    }

    private long[] Shape(string name) =>
        _added.TryGetValue(name, out (TensorInfo Info, Func<Tensor> Read) added) ? added.Info.Shape : _stored[name].Shape;

    private PeftTensor Part(string module, Dictionary<string, PeftTensor> parts, string part) =>
        parts.GetValueOrDefault(part) ?? throw Wrong($"{module}.{part}", "is missing");

    private void Fits(string key, PeftTensor tensor, long[] shape)
    {
        if (!tensor.Shape.SequenceEqual(shape))
        {
            throw Wrong(
                key,
                $"has the shape [{string.Join(", ", tensor.Shape)}]; of the base {_base.Path} it must be [{string.Join(", ", shape)}]"
            );
        }
    }

    private static bool IsClassifier(string name) =>
        name.StartsWith(ClassifierModule, StringComparison.Ordinal) || name.StartsWith(ScoreModule, StringComparison.Ordinal);

    private static TensorInfo Info(string name, ScalarType type, long[] shape) =>
        new(name, type, shape, ElementTypes.ByteLength(type, shape)!.Value);

    private InvalidDataException Wrong(string key, string problem) => new($"{_adapter.WeightsSource}: '{key}' {problem}.");
}

using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.NativeCalls;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace SkillLoc.Models.Merging;

/// <summary>What merge methods that look at data need of a model: small files that can be shipped with it, so that it can be merged later
/// without the data.</summary>
public static class MergeStatistics
{
    /// <summary>Writes the diagonal Fisher information of a model's parameters: the mean over rows of sum_y p(y | x) (d log p(y | x) / d
    /// theta)^2, for the method <c>fisher</c>. Labels are not needed.</summary>
    /// <param name="model">The fine-tuned model.</param>
    /// <param name="rows">Rows that the model encoded; some hundred are enough.</param>
    /// <param name="path">The safetensors file; an existing one is replaced when the new one is complete.</param>
    /// <exception cref="ArgumentException">There is no row.</exception>
    /// <exception cref="IOException">The file could not be written; an existing one is unchanged.</exception>
    public static void WriteFisher(TextClassifier model, IEnumerable<EncodedText> rows, string path)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(rows);
        AtomicFile.CheckWritable(path);
        using DisposeScope scope = NewDisposeScope();
        (string Name, Parameter Value)[] parameters = [.. model.Backbone.Parameters.Select(pair => (pair.Key, pair.Value))];
        Tensor[] sums = Array.ConvertAll(parameters, parameter => zeros_like(parameter.Value, dtype: ScalarType.Float32));
        bool[] trained = Array.ConvertAll(parameters, parameter => parameter.Value.requires_grad);
        int count = 0;
        try
        {
            foreach ((_, Parameter value) in parameters)
            {
                value.requires_grad = true;
            }

            foreach (EncodedText encoded in rows)
            {
                count++;
                using DisposeScope row = NewDisposeScope();
                using TokenBatch batch = model.Batch([encoded]);
                Tensor logs = F.log_softmax(model.Logits(batch), -1)[0];
                double[] shares = [.. logs.detach().exp().to(ScalarType.Float64).cpu().data<double>()];
                for (int label = 0; label < shares.Length; label++)
                {
                    logs[label].backward(retain_graph: label + 1 < shares.Length);
                    for (int i = 0; i < parameters.Length; i++)
                    {
                        using Tensor? gradient = parameters[i].Value.grad;
                        if (gradient is not null)
                        {
                            sums[i].Addcmul_(gradient, gradient, shares[label]);
                            parameters[i].Value.grad = null;
                        }
                    }
                }
            }
        }
        finally
        {
            for (int i = 0; i < parameters.Length; i++)
            {
                parameters[i].Value.requires_grad = trained[i];
            }
        }

        Write(path, "fisher", count, parameters.Select((parameter, i) => (parameter.Name, sums[i])));
    }

    /// <summary>Writes the Gram matrices of the inputs of a model's linear layers, X^T X / rows, for the method <c>regmean</c>. Labels are
    /// not needed.</summary>
    /// <param name="model">The fine-tuned model, without a tuning method.</param>
    /// <param name="rows">Rows that the model encoded; some hundred are enough.</param>
    /// <param name="path">The safetensors file; an existing one is replaced when the new one is complete.</param>
    /// <exception cref="ArgumentException">There is no row, or the model has a tuning method.</exception>
    /// <exception cref="IOException">The file could not be written; an existing one is unchanged.</exception>
    public static void WriteGrams(TextClassifier model, IEnumerable<EncodedText> rows, string path)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(rows);
        AtomicFile.CheckWritable(path);
        LanguageModel backbone = model.Backbone;
        if (backbone.PeftModule is not null)
        {
            throw new ArgumentException("The model has a tuning method: fold it into the weights first (Folded).", nameof(model));
        }

        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using var recorder = new InputRecorder(backbone);
        int count = 0;
        try
        {
            backbone.PeftModule = recorder;
            foreach (EncodedText encoded in rows)
            {
                count++;
                using DisposeScope row = NewDisposeScope();
                using TokenBatch batch = model.Batch([encoded]);
                backbone.Encode(batch);
            }
        }
        finally
        {
            backbone.PeftModule = null;
        }

        Write(path, "gram", count, recorder.Grams.Select(pair => (pair.Key, pair.Value)));
    }

    private static void Write(string path, string kind, int rows, IEnumerable<(string Name, Tensor Value)> sums)
    {
        if (rows == 0)
        {
            throw new ArgumentException("There is no row to compute statistics of.", nameof(rows));
        }

        using IDisposable noGradients = no_grad();
        SafetensorsWriter.Write(
            path,
            [.. sums.Select(sum => (sum.Name, sum.Value.detach().to(ScalarType.Float32).Div_(rows)))],
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["format"] = "skillloc-statistics",
                ["kind"] = kind,
                ["rows"] = rows.ToString(System.Globalization.CultureInfo.InvariantCulture),
            }
        );
    }

    /// <summary>Sums the products of what linear layers read.</summary>
    private sealed class InputRecorder : PeftModule
    {
        private readonly Dictionary<LayerId, string> _names = [];

        public InputRecorder(LanguageModel model)
            : base(model, new BitFitOptions(), (_, _, _) => throw new InvalidOperationException("There are no parameters."))
        {
            // Queries, keys and values of GPT-2 read the same for one weight.
            var known = new HashSet<string>(StringComparer.Ordinal);
            foreach (
                LinearLayer map in Enumerable.Range(0, model.Config.Layers + model.Config.DecoderLayers).SelectMany(model.LinearLayersOf)
            )
            {
                if (known.Add(map.WeightName))
                {
                    _names.Add(map.Place, map.WeightName);
                    Grams.Add(map.WeightName, zeros([map.Weight.size(1), map.Weight.size(1)], ScalarType.Float32, map.Weight.device));
                }
            }
        }

        public OrderedDictionary<string, Tensor> Grams { get; } = new(StringComparer.Ordinal);

        internal override Tensor AfterLinear(LayerId place, Tensor input, Tensor output)
        {
            if (_names.TryGetValue(place, out string? name))
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor read = input.detach().to(ScalarType.Float32).reshape(-1, input.size(-1));
                Grams[name].Add_(read.t().mm(read));
            }

            return output;
        }
    }
}

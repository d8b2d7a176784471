using System.Globalization;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Grafts;
using SkillLoc.Models.Merging.Methods;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Merging;

/// <summary>
/// Several fine-tuned models of one base as one multi-task vector and a bit per scalar and task (Wang et al. 2024, TALL masks; methods,
/// E.6): the model of a task is the base plus the vector where the task's mask is set. One safetensors file holds the vector once, whatever
/// the number of tasks.
/// </summary>
/// <remarks>The file has, for each tensor that any model changed, <c>NAME.vector</c> (float32) and <c>NAME.mask.TASK</c> (uint8, eight
/// scalars a byte, the first in the lowest bit), and in its metadata the fingerprint of the base and the tasks.</remarks>
public sealed class TallMaskSet : IDisposable
{
    private const string Format = "skillloc-tall-masks";
    private const string VectorSuffix = ".vector";
    private const string MaskInfix = ".mask.";

    private readonly SafetensorsFile _file;

    private TallMaskSet(SafetensorsFile file, string fingerprint, IReadOnlyList<string> tasks)
    {
        _file = file;
        BaseFingerprint = fingerprint;
        Tasks = tasks;
        Names =
        [
            .. file
                .Tensors.Select(info => info.Name)
                .Where(name => name.EndsWith(VectorSuffix, StringComparison.Ordinal))
                .Select(name => name[..^VectorSuffix.Length]),
        ];
    }

    /// <summary>The fingerprint (<see cref="LanguageModel.Fingerprint"/>) of the base, the only one that the masks fit.</summary>
    public string BaseFingerprint { get; }

    /// <summary>The names of the tasks.</summary>
    public IReadOnlyList<string> Tasks { get; }

    /// <summary>The names of the parameters that any task changed.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Compresses fine-tuned models and writes the file, tensor by tensor.</summary>
    /// <param name="checkpoint">The base's folder.</param>
    /// <param name="tasks">The tasks' names and models, of the base's architecture.</param>
    /// <param name="path">The file; an existing one is replaced when the new one is complete.</param>
    /// <param name="lambda">What the sum of the models' differences is multiplied by.</param>
    /// <param name="threshold">How much of the distance from that sum a difference must have to be in its task's mask; the paper tries 0.2
    /// to 0.6 on validation data.</param>
    /// <param name="copied">Parts of the names of tensors that are left out, such as a classification head's; null for none.</param>
    /// <exception cref="ArgumentException">There is no task.</exception>
    /// <exception cref="InvalidDataException">The models do not fit; the first five differences are named.</exception>
    /// <exception cref="IOException">The file could not be written; an existing one is unchanged.</exception>
    public static void Write(
        string checkpoint,
        IReadOnlyDictionary<string, MergeModel> tasks,
        string path,
        double lambda = 1,
        double threshold = 0.4,
        IReadOnlyList<string>? copied = null
    )
    {
        ArgumentException.ThrowIfNullOrEmpty(checkpoint);
        ArgumentNullException.ThrowIfNull(tasks);
        if (tasks.Count == 0)
        {
            throw new ArgumentException("There must be at least one task.", nameof(tasks));
        }

        AtomicFile.CheckWritable(path);
        using var basis = CheckpointFolder.Open(checkpoint);
        using var plan = new MergePlan(
            new()
            {
                Method = "tall_mask",
                BaseModel = checkpoint,
                Models = [.. tasks.Select(task => new MergeInput(task.Value))],
                Copied = copied ?? [],
                Parameters = new Dictionary<string, MergeSetting>(StringComparer.Ordinal)
                {
                    ["lambda"] = lambda,
                    ["threshold"] = threshold,
                },
            }
        );
        var names = StoredModel
            .ShapesOf(basis)
            .ToDictionary(pair => StoredTensor.Find(basis, pair.Key, pair.Value), pair => pair.Key, StringComparer.Ordinal);
        PlannedTensor[] tensors = [.. plan.Tensors.Where(tensor => !tensor.IsCopied && names.ContainsKey(tensor.Info.Name))];
        var infos = new List<TensorInfo>();
        foreach (PlannedTensor tensor in tensors)
        {
            long count = tensor.Info.Shape.Aggregate(1L, (product, size) => product * size),
                bytes = (count + 7) / 8;
            string name = names[tensor.Info.Name];
            infos.Add(new(name + VectorSuffix, ScalarType.Float32, tensor.Info.Shape, count * sizeof(float)));
            infos.AddRange(tasks.Select((_, i) => new TensorInfo(Mask(name, i), ScalarType.Byte, [bytes], bytes)));
        }

        // Vectors and masks of a tensor are made together and written apart.
        var masks = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        try
        {
            AtomicFile.Write(
                path,
                stream =>
                    SafetensorsWriter.Write(
                        stream,
                        infos,
                        info =>
                        {
                            if (masks.Remove(info.Name, out Tensor? mask))
                            {
                                return mask;
                            }

                            string name = info.Name[..^VectorSuffix.Length];
                            using MergeTensor loaded = plan.Load(Array.Find(tensors, tensor => names[tensor.Info.Name] == name)!);
                            TallMask.Sum(loaded);
                            for (int i = 0; i < tasks.Count; i++)
                            {
                                masks.Add(Mask(name, i), tensor(Bits(loaded, i, (float)threshold)));
                            }

                            return loaded.TakeOutput();
                        },
                        new Dictionary<string, string>(StringComparer.Ordinal)
                        {
                            ["format"] = Format,
                            ["version"] = "1",
                            ["base_fingerprint"] = StoredModel.Fingerprint(basis),
                            ["tasks"] = string.Join('\n', tasks.Select(task => task.Key)),
                            ["lambda"] = lambda.ToString("R", CultureInfo.InvariantCulture),
                            ["threshold"] = threshold.ToString("R", CultureInfo.InvariantCulture),
                        }
                    )
            );
        }
        finally
        {
            foreach (Tensor mask in masks.Values)
            {
                mask.Dispose();
            }
        }
    }

    /// <summary>Opens a file, which stays open.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The set; the caller disposes it.</returns>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">It is damaged or holds something else.</exception>
    public static TallMaskSet Open(string path)
    {
        var file = SafetensorsFile.Open(path);
        try
        {
            var fields = new MetadataFields(file, path);
            if (file.Metadata.GetValueOrDefault("format") != Format || fields.Text("version") != "1")
            {
                throw new InvalidDataException($"{path} holds no TALL masks: its metadata must say format '{Format}' and version 1.");
            }

            string[] tasks = fields.Text("tasks").Split('\n');
            var set = new TallMaskSet(file, fields.Text("base_fingerprint"), tasks);
            foreach (string name in set.Names)
            {
                long count = file.InfoOf(name + VectorSuffix)!.ByteLength / sizeof(float);
                for (int i = 0; i < tasks.Length; i++)
                {
                    TensorInfo? mask = file.InfoOf(Mask(name, i));
                    if (mask is null || mask.Dtype != ScalarType.Byte || mask.ByteLength != (count + 7) / 8)
                    {
                        throw new InvalidDataException($"{path}: '{Mask(name, i)}' must be a mask of {count} bits.");
                    }
                }
            }

            return set;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Makes a resident base the model of a task, in place.</summary>
    /// <param name="model">The base in its own state.</param>
    /// <param name="task">The task's name.</param>
    /// <param name="fingerprint">The model's fingerprint, if known; null computes it, which reads every weight.</param>
    /// <exception cref="ArgumentException">There is no such task.</exception>
    /// <exception cref="InvalidDataException">The model is another base, or not in its own state.</exception>
    public void MergeInto(LanguageModel model, string task, string? fingerprint = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        int place = PlaceOf(task);
        fingerprint ??= model.Fingerprint();
        if (fingerprint != BaseFingerprint)
        {
            throw new InvalidDataException(
                $"{_file.Path} is for the base model with fingerprint {BaseFingerprint}, and the model given has {fingerprint}."
            );
        }

        using IDisposable noGradients = no_grad();
        foreach (string name in Names)
        {
            using DisposeScope scope = NewDisposeScope();
            Parameter weight = Weight(model, name);
            (int[] indices, float[] values) = Masked(name, place);
            if (indices.Length > 0)
            {
                weight
                    .view(-1)
                    .IndexAdd_(
                        0,
                        tensor(Array.ConvertAll(indices, i => (long)i), device: weight.device),
                        tensor(values).to(weight.dtype, weight.device)
                    );
            }
        }
    }

    /// <summary>Returns a task's model as a graft, which a set of grafted models scores rows with beside others.</summary>
    /// <param name="checkpoint">The base's folder.</param>
    /// <param name="task">The task's name.</param>
    /// <param name="settings">A graft of the task whose settings and head the result has; null for none.</param>
    /// <returns>The graft of all scalars that the task's mask moves.</returns>
    /// <exception cref="ArgumentException">There is no such task.</exception>
    /// <exception cref="InvalidDataException">The folder is another base.</exception>
    public Graft ToGraft(string checkpoint, string task, Graft? settings = null)
    {
        int place = PlaceOf(task);
        using var folder = CheckpointFolder.Open(checkpoint);
        StoredModel.CheckFingerprint(folder, BaseFingerprint, _file.Path);
        Dictionary<string, long[]> shapes = StoredModel.ShapesOf(folder);
        var parts = new List<GraftPart>();
        foreach (string name in Names)
        {
            using Tensor stored = StoredTensor.Read(folder, name, shapes[name], null, ScalarType.Float32);
            using var basis = new NativeFloats(stored.alias());
            (int[] indices, float[] values) = Masked(name, place);
            for (int i = 0; i < indices.Length; i++)
            {
                values[i] += basis.Span[indices[i]];
            }

            if (indices.Length > 0)
            {
                parts.Add(new(name, indices, values));
            }
        }

        return new()
        {
            BaseFingerprint = BaseFingerprint,
            Task = task,
            Settings = settings?.Settings ?? "",
            HeadParameters = settings?.HeadParameters ?? new Dictionary<string, TensorValues>(StringComparer.Ordinal),
            ConsideredCount = shapes.Values.Sum(shape => shape.Aggregate(1L, (product, size) => product * size)),
            Parts = parts,
        };
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();

    private static string Mask(string name, int task) => string.Create(CultureInfo.InvariantCulture, $"{name}{MaskInfix}{task}");

    private static byte[] Bits(MergeTensor loaded, int task, float threshold)
    {
        byte[] bits = new byte[(loaded.Length + 7) / 8];
        Span<float> own = loaded[task],
            merged = loaded.Output;
        for (int i = 0; i < own.Length; i++)
        {
            if (TallMask.IsIn(own[i], merged[i], threshold))
            {
                bits[i >> 3] |= (byte)(1 << (i & 7));
            }
        }

        return bits;
    }

    private static Parameter Weight(LanguageModel model, string name) =>
        model.Parameters.TryGetValue(name, out Parameter? weight)
            ? weight
            : throw new InvalidDataException($"The masks change '{name}', which the model does not have.");

    private int PlaceOf(string task) =>
        Tasks.ToList().IndexOf(task) is >= 0 and var place
            ? place
            : throw new ArgumentException($"{_file.Path} has no task '{task}'; it has {string.Join(", ", Tasks)}.", nameof(task));

    /// <summary>The scalars that a task's mask moves, and by how much.</summary>
    private (int[] Indices, float[] Values) Masked(string name, int task)
    {
        using Tensor mask = _file.Read(Mask(name, task));
        using var vector = new NativeFloats(_file.ReadFinite(name + VectorSuffix, ScalarType.Float32));
        ReadOnlySpan<byte> bits = mask.bytes;
        ReadOnlySpan<float> moves = vector.Span;
        var indices = new List<int>();
        var values = new List<float>();
        for (int i = 0; i < moves.Length; i++)
        {
            if ((bits[i >> 3] & (1 << (i & 7))) != 0 && moves[i] != 0)
            {
                indices.Add(i);
                values.Add(moves[i]);
            }
        }

        return ([.. indices], [.. values]);
    }
}

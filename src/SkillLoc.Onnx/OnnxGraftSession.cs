using System.Numerics.Tensors;
using Microsoft.ML.OnnxRuntime;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Prompts;
using SkillLoc.Models.Tokenization;

namespace SkillLoc.Onnx;

/// <summary>
/// One session of a base model with many skills. The weights that any graft changes are inputs of the graph and lie in arrays of ours, in
/// which a graft is applied and removed in place; the others are the session's, which rearranges them for its matrix products. For one
/// thread at a time.
/// </summary>
internal sealed class OnnxGraftSession : IDisposable
{
    private readonly OrderedDictionary<string, OnnxSkill> _skills = new(StringComparer.Ordinal);
    private readonly Dictionary<string, OnnxInputWeight> _weights = new(StringComparer.Ordinal);
    private readonly Dictionary<string, OrtValue> _values = new(StringComparer.Ordinal);
    private readonly List<(float[] Weight, int[] Places, float[] Values)> _overwritten = [];
    private readonly InferenceSession _session;
    private readonly NativeMemory _memory;
    private readonly OnnxScoringOptions _options;
    private readonly string[] _inputs;
    private readonly bool _hasTypes;
    private readonly long _padding;
    private OnnxSkill? _applied;

    /// <param name="bytes">The base model's file.</param>
    /// <param name="source">Its name in error messages.</param>
    /// <param name="grafts">The grafts by skill.</param>
    /// <param name="options">How it scores.</param>
    /// <exception cref="InvalidDataException">The file or a graft is damaged, or they do not fit.</exception>
    /// <exception cref="NotSupportedException">The file needs an operator or an operator set that this ONNX Runtime lacks.</exception>
    public OnnxGraftSession(byte[] bytes, string source, IReadOnlyDictionary<string, GraftFile> grafts, OnnxScoringOptions options)
    {
        options.Check();
        _options = options;
        var file = new OnnxBaseFile(bytes, source);
        _padding = OnnxEncoder.PaddingOf(file.Properties, source);
        CheckpointTokenizer tokenizer = OnnxEncoder.TokenizerOf(file.Properties, source);
        _memory = new(bytes.LongLength);
        try
        {
            foreach ((string name, GraftFile graft) in grafts)
            {
                _skills.Add(name, new(name, graft, file, tokenizer));
            }

            var changed = _skills.Values.SelectMany(skill => skill.Places.Keys).ToHashSet(StringComparer.Ordinal);
            byte[] model = file.WithInputs(changed, _weights);
            _session = OnnxTextModel.Open(settings => new(model, settings), source, options);
        }
        catch
        {
            Release();
            throw;
        }

        foreach ((string name, OnnxInputWeight weight) in _weights)
        {
            _values.Add(name, OrtValue.CreateTensorValueFromMemory(weight.Values, weight.Shape));
        }

        _inputs = [.. _session.InputMetadata.Keys];
        _hasTypes = _inputs.Contains(OnnxMetadata.Inputs[2]);
    }

    /// <summary>The skills by name.</summary>
    public IReadOnlyDictionary<string, OnnxSkill> Skills => _skills;

    /// <summary>The skill whose graft is applied; null before the first.</summary>
    public OnnxSkill? Applied => _applied;

    /// <summary>Computes probabilities with a skill.</summary>
    /// <param name="skill">One of <see cref="Skills"/>.</param>
    /// <param name="rows">Encoded rows, any number and any lengths.</param>
    /// <param name="cancellation">Stops between batches.</param>
    /// <returns>For each row one probability per label.</returns>
    public float[][] Score(OnnxSkill skill, IReadOnlyList<EncodedText> rows, CancellationToken cancellation)
    {
        Apply(skill);
        float[][] results = new float[rows.Count][];
        using var run = new RunOptions();
        foreach (int[] batch in LengthBatches.Split([.. rows.Select(row => row.Ids.Length)], _options.BatchTokens))
        {
            cancellation.ThrowIfCancellationRequested();
            Run(skill, rows, batch, results, run);
        }

        return results;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _session.Dispose();
        Release();
    }

    private void Release()
    {
        foreach (OnnxSkill skill in _skills.Values)
        {
            skill.Dispose();
        }

        foreach (OrtValue value in _values.Values)
        {
            value.Dispose();
        }

        _memory.Dispose();
    }

    private void Apply(OnnxSkill skill)
    {
        if (_applied == skill)
        {
            return;
        }

        foreach ((float[] weight, int[] places, float[] values) in _overwritten)
        {
            Write(weight, places, values);
        }

        _overwritten.Clear();
        foreach ((string name, GraftFile.Part part) in skill.Places)
        {
            float[] weight = _weights[name].Values;
            _overwritten.Add((weight, part.Indices, Array.ConvertAll(part.Indices, place => weight[place])));
            Write(weight, part.Indices, part.Values);
        }

        _applied = skill;

        static void Write(float[] weight, int[] places, float[] values)
        {
            for (int i = 0; i < places.Length; i++)
            {
                weight[places[i]] = values[i];
            }
        }
    }

    private void Run(OnnxSkill skill, IReadOnlyList<EncodedText> rows, int[] batch, float[][] results, RunOptions run)
    {
        OrtValue[] tokens = OnnxRows.Values(rows, batch, _hasTypes, _padding);
        using var positions = OrtValue.CreateTensorValueFromMemory(
            Array.ConvertAll(batch, row => (long)rows[row].Position),
            [batch.Length]
        );
        try
        {
            OrtValue[] values = Array.ConvertAll(
                _inputs,
                name =>
                    Array.IndexOf(OnnxMetadata.Inputs, name) is >= 0 and var place ? tokens[place]
                    : name == OnnxMetadata.Positions ? positions
                    : _values.GetValueOrDefault(name) ?? skill.Input(name)
            );
            using IDisposableReadOnlyCollection<OrtValue> outputs = _session.Run(run, _inputs, values, [skill.ScoresName]);
            ReadOnlySpan<float> logits = outputs[0].GetTensorDataAsSpan<float>();
            int labels = skill.Settings.Labels.Count;
            for (int i = 0; i < batch.Length; i++)
            {
                float[] probabilities = new float[labels];
                ReadOnlySpan<float> own = logits.Slice(i * labels, labels);
                TensorPrimitives.Subtract(own, TensorPrimitives.Max(own), probabilities);
                TensorPrimitives.SoftMax(probabilities, probabilities);
                results[batch[i]] = probabilities;
            }
        }
        finally
        {
            Array.ForEach(tokens, value => value.Dispose());
        }
    }
}

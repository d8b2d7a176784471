using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Merging;

/// <summary>Results whose layers are put together from those of models. T5's two stacks count their layers apart and are modules of their
/// own, as in mergekit.</summary>
internal sealed partial class MergePlan
{
    private const string Encoder = "encoder";
    private const string Decoder = "decoder";
    private const string Shared = "shared";
    private const string Whole = "default";

    // T5's first block of a stack holds the relative positions of all its blocks.
    private const string StackPositions = "relative_attention_bias.";

    private readonly Dictionary<string, int> _layers = new(StringComparer.Ordinal);

    /// <summary>A configuration with the result's numbers of layers and tokens.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="of">The model that it is of.</param>
    public ModelConfig Configure(ModelConfig config, OpenMergeModel of)
    {
        config = _vocabulary?.Configure(config, of) ?? config;
        if (_layers.Count == 0)
        {
            return config;
        }

        return config.ModelType == "t5"
            ? config.With("num_layers", _layers[Encoder]).With("num_decoder_layers", _layers[Decoder])
            : config.With(
                config.ModelType switch
                {
                    "gpt2" => "n_layer",
                    "distilbert" => "n_layers",
                    _ => "num_hidden_layers",
                },
                _layers[Whole]
            );
    }

    private void PlanModules()
    {
        bool isT5 = Reference.Tensors.Keys.Any(name => ParameterPlace.Of(name).Stack == Decoder);
        if (isT5 && _recipe.Slices.Count > 0)
        {
            throw _recipe.Wrong(
                _recipe.Slices[0].Line,
                "'slices' of T5 would be of two stacks, which count their layers apart: give 'modules' with 'slices' of 'encoder', 'decoder' "
                    + "and, where it is to differ, 'shared'"
            );
        }

        string[] known = isT5 ? [Encoder, Decoder, Shared] : [Whole];
        List<MergeModule> modules =
        [
            .. _recipe.Modules,
            .. _recipe.Slices.Count > 0
                ? [new MergeModule(Whole) { Slices = _recipe.Slices, Line = _recipe.Line }]
                : Array.Empty<MergeModule>(),
        ];
        foreach (MergeModule module in modules)
        {
            if (!known.Contains(module.Name))
            {
                throw _recipe.Wrong(module.Line, $"the module '{module.Name}' is unknown; this model has {string.Join(", ", known)}");
            }

            if (module.Models.Count > 0 == module.Slices.Count > 0)
            {
                throw _recipe.Wrong(module.Line, $"the module '{module.Name}' must have exactly one of 'models' and 'slices'");
            }

            if (modules.Count(other => other.Name == module.Name) > 1)
            {
                throw _recipe.Wrong(module.Line, $"the module '{module.Name}' is given twice");
            }
        }

        foreach (string missing in known.Where(name => name != Shared && modules.TrueForAll(module => module.Name != name)))
        {
            throw _recipe.Wrong(_recipe.Line, $"'modules' lacks '{missing}'");
        }

        // Without a 'shared', embeddings are merged with the first layers, and the output layer with the last.
        bool hasShared = modules.Exists(module => module.Name == Shared);
        foreach (MergeModule module in modules.OrderBy(module => Array.IndexOf([Shared, Encoder, Decoder, Whole], module.Name)))
        {
            string name = module.Name;
            PlanModule(
                module,
                tensor =>
                    name == Whole
                    || (
                        tensor.StartsWith(Encoder + ".", StringComparison.Ordinal) ? name == Encoder
                        : tensor.StartsWith(Decoder + ".", StringComparison.Ordinal) ? name == Decoder
                        : hasShared ? name == Shared
                        : name == (ParameterPlace.Of(tensor).Region == ParameterRegion.Embeddings ? Encoder : Decoder)
                    )
            );
        }

        ModelDifferences.Check(_tensors, name => Covering(name) is not null, problem => _recipe.Wrong(_recipe.Line, problem));
    }

    /// <summary>Plans a part of the model.</summary>
    /// <param name="module">The part.</param>
    /// <param name="belongs">Whether a tensor outside the layers belongs to it.</param>
    private void PlanModule(MergeModule module, Func<string, bool> belongs)
    {
        string stack = module.Name is Encoder or Decoder ? module.Name : "";
        IReadOnlyList<MergeSlice> slices =
            module.Slices.Count > 0
                ? module.Slices
                :
                [
                    new([.. module.Models.Select(input => input with { FirstLayer = 0, EndLayer = LayersOf(input.Model) })])
                    {
                        Line = module.Line,
                    },
                ];
        foreach (MergeSlice slice in slices)
        {
            CheckSlice(slice);
        }

        if (module.Name != Shared)
        {
            _layers[module.Name] = slices.Sum(slice => slice.Sources[0].EndLayer - slice.Sources[0].FirstLayer);
        }

        AddOutside(slices[0], ParameterRegion.Embeddings, 0);
        int next = 0;
        foreach (MergeSlice slice in module.Name == Shared ? [] : slices)
        {
            OpenMergeModel? basis = BaseOf(slice);
            MergeInput[] inputs = InputsOf(slice.Sources, basis, slice.Line);
            int count = slice.Sources[0].EndLayer - slice.Sources[0].FirstLayer;
            for (int layer = 0; layer < count; layer++, next++)
            {
                double depth = count > 1 ? (double)layer / (count - 1) : 1;
                int first = slice.Sources[0].FirstLayer + layer;
                foreach (TensorInfo info in Open(slice.Sources[0].Model).Tensors.Values)
                {
                    var place = ParameterPlace.Of(info.Name);
                    if (place.Region != ParameterRegion.Layer || place.Stack != stack)
                    {
                        continue;
                    }

                    if (info.Name.Contains(StackPositions, StringComparison.Ordinal))
                    {
                        if (next == 0)
                        {
                            Add(info, depth, slice, module, inputs, (_, name) => name, basis);
                        }
                    }
                    else if (place.Layer == first)
                    {
                        Add(
                            info with
                            {
                                Name = LayerNames.Moved(info.Name, place, next),
                            },
                            depth,
                            slice,
                            module,
                            inputs,
                            (input, _) => LayerNames.Moved(info.Name, place, layer + FirstLayer(slice, input)),
                            basis
                        );
                    }
                }
            }
        }

        AddOutside(slices[^1], ParameterRegion.Head, 1);

        void AddOutside(MergeSlice slice, ParameterRegion region, double depth)
        {
            OpenMergeModel? basis = BaseOf(slice);
            MergeInput[] inputs = InputsOf(slice.Sources, basis, slice.Line);
            foreach (
                TensorInfo info in Reference.Tensors.Values.Where(info =>
                    ParameterPlace.Of(info.Name).Region == region && belongs(info.Name)
                )
            )
            {
                Add(info, depth, slice, module, inputs, (_, name) => name, basis);
            }
        }

        // A base that is no source has the layers of the first.
        int FirstLayer(MergeSlice slice, MergeInput? input) =>
            (
                input ?? slice.Sources.FirstOrDefault(source => ReferenceEquals(Open(source.Model), BaseOf(slice))) ?? slice.Sources[0]
            ).FirstLayer;

        int LayersOf(MergeModel model) => module.Name == Shared ? 0 : LayerNames.LayersOf(Open(model)).GetValueOrDefault(stack);

        void CheckSlice(MergeSlice slice)
        {
            if (slice.Sources.Count == 0)
            {
                throw _recipe.Wrong(slice.Line, "a slice needs 'sources'");
            }

            int count = slice.Sources[0].EndLayer - slice.Sources[0].FirstLayer;
            foreach (MergeInput source in slice.Sources)
            {
                int layers = LayersOf(source.Model);
                if (
                    source.FirstLayer < 0
                    || source.EndLayer > layers
                    || (source.EndLayer <= source.FirstLayer && (layers > 0 || source.EndLayer != source.FirstLayer))
                )
                {
                    throw _recipe.Wrong(
                        source.Line > 0 ? source.Line : slice.Line,
                        $"'layer_range' is [{source.FirstLayer}, {source.EndLayer}], and '{source.Model}' has "
                            + (layers == 0 ? "no layers here" : $"the layers 0 to {layers - 1}")
                            + (stack.Length > 0 ? $" in its {stack}" : "")
                            + "; the second number is the one after the last"
                    );
                }

                if (source.EndLayer - source.FirstLayer != count)
                {
                    throw _recipe.Wrong(
                        source.Line,
                        $"'layer_range' has {source.EndLayer - source.FirstLayer} layers, and the slice's first source {count}: all need as many"
                    );
                }
            }
        }
    }
}

using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tokenization;
using TorchSharp;

namespace SkillLoc.Models.Merging;

/// <summary>
/// The tensors of a merge: for each of the result's, which tensor of each model it is made of, and the parameters that hold for it. All is
/// checked before the first is read.
/// </summary>
internal sealed partial class MergePlan : IDisposable
{
    // What changes nothing here, since no masks are kept.
    private const string Int8Mask = "int8_mask";

    private readonly MergeRecipe _recipe;
    private readonly MergeMethod _method;
    private readonly OrderedDictionary<string, OpenMergeModel> _models = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SafetensorsFile> _statistics = new(StringComparer.Ordinal);
    private readonly List<PlannedTensor> _tensors = [];
    private readonly MergeVocabulary? _vocabulary;

    /// <summary>Opens the models and checks that they fit one another and the method.</summary>
    /// <exception cref="InvalidDataException">They do not; the message names what does not fit.</exception>
    public MergePlan(MergeRecipe recipe)
    {
        _recipe = recipe;
        _method =
            MergeMethod.Find(recipe.Method)
            ?? throw recipe.Wrong(
                recipe.Line,
                $"'merge_method' is '{recipe.Method}'; there are {string.Join(", ", MergeMethod.All.Select(method => method.Name))}"
            );
        if (new[] { recipe.Models.Count, recipe.Slices.Count, recipe.Modules.Count }.Count(count => count > 0) != 1)
        {
            throw recipe.Wrong(recipe.Line, "exactly one of 'models', 'slices' and 'modules' must be given");
        }

        try
        {
            CheckNames();
            if (_method.Base != MergeBase.Unused && recipe.BaseModel is not null)
            {
                Open(recipe.BaseModel, recipe.Line);
            }

            foreach (MergeInput input in _recipe.AllInputs)
            {
                Open(input.Model, input.Line);
            }

            foreach (MergeModel basis in recipe.AllSlices.Select(slice => slice.BaseModel).OfType<MergeModel>())
            {
                Open(basis);
            }

            Reference = _models.GetAt(0).Value;
            CheckKinds();
            if (recipe.Tokenizer is not null)
            {
                OpenMergeModel? basis = recipe.BaseModel is { } named ? _models.GetValueOrDefault(named.Identity) : null;
                _vocabulary = new(
                    recipe,
                    basis ?? Reference,
                    basis is not null,
                    _models.Values,
                    model => _models.GetValueOrDefault(model.Identity)
                );
            }

            if (recipe.Models.Count > 0)
            {
                PlanModels();
            }
            else
            {
                PlanModules();
            }

            foreach (PlannedTensor tensor in _tensors.Where(tensor => !tensor.IsCopied))
            {
                CheckParameters(tensor);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The base, or else the first model, whose configuration the result has.</summary>
    public OpenMergeModel Reference { get; }

    public MergeMethod Method => _method;

    public IReadOnlyList<PlannedTensor> Tensors => _tensors;

    /// <summary>All models that are read.</summary>
    public IEnumerable<OpenMergeModel> Models => _models.Values;

    /// <summary>The result's tokenizer files, some of which <see cref="TokenizerTexts"/> replaces.</summary>
    public IReadOnlyList<string> TokenizerFiles => _vocabulary?.Files ?? TokenizerFolder?.TokenizerFiles ?? [];

    private CheckpointFolder? TokenizerFolder =>
        Reference.Folder ?? _models.Values.Select(model => model.Folder).FirstOrDefault(folder => folder is not null);

    /// <summary>Tokenizer files with other content, by name.</summary>
    public IReadOnlyDictionary<string, string> TokenizerTexts()
    {
        string? template =
            _recipe.ChatTemplate == MergeVocabulary.MostCommonTemplate
                ? MergeVocabulary.CommonTemplate(_models.Values)
                : _recipe.ChatTemplate;
        return _vocabulary is not null ? _vocabulary.Texts(template)
            : template is null || TokenizerFolder is not { } folder ? []
            : TokenizerEdits.Of(CheckpointTokenizer.Load(folder.Path), [], new Dictionary<string, int>(), template);
    }

    /// <summary>Where the recipe's file names a model, as the start of a message; empty for a recipe in code.</summary>
    public string PlaceOf(OpenMergeModel model) =>
        _recipe.Source.Length == 0 ? ""
        : _recipe.AllInputs.FirstOrDefault(input => ReferenceEquals(Open(input.Model), model)) is { } input
            ? $"{_recipe.Source}, line {input.Line}: "
        : $"{_recipe.Source}: ";

    /// <summary>Reads what a tensor of the result is made of.</summary>
    public MergeTensor Load(PlannedTensor tensor)
    {
        var models = new List<torch.Tensor>();
        torch.Tensor? basis = null;
        try
        {
            basis = tensor.Base is { } from ? Read(from) : null;
            foreach (TensorSource source in tensor.Sources)
            {
                models.Add(Read(source));
            }

            return new(
                tensor.Info.Name,
                tensor.Info.Shape,
                basis,
                models,
                (name, model) => Value(tensor, name, model),
                model => Statistics(tensor, model),
                _recipe.Seed
            );
        }
        catch
        {
            basis?.Dispose();
            models.ForEach(model => model.Dispose());
            throw;
        }

        torch.Tensor Read(TensorSource source)
        {
            torch.Tensor own = Stored(source.Model, source.Name);
            return Covering(source.Name) is { } vocabulary ? vocabulary.Arrange(own, source.Name, source.Model, Stored) : own;
        }

        static torch.Tensor Stored(OpenMergeModel model, string name) =>
            MergeTensor.Finite(model.Weights.Read(name, torch.ScalarType.Float32), name, model.Source);
    }

    /// <summary>The value of a parameter.</summary>
    /// <param name="tensor">The tensor that it holds for.</param>
    /// <param name="name">The parameter's name.</param>
    /// <param name="model">The number of the model; -1 for all.</param>
    public MergeValue Value(PlannedTensor tensor, string name, int model)
    {
        MergeInput? input = model < 0 ? null : tensor.Inputs[model];
        return input?.Parameters.GetValueOrDefault(name)?.For(NameIn(tensor, model), tensor.Depth)
            ?? tensor.Slice?.Parameters.GetValueOrDefault(name)?.For(NameIn(tensor, model), tensor.Depth)
            ?? tensor.Module?.Parameters.GetValueOrDefault(name)?.For(NameIn(tensor, model), tensor.Depth)
            ?? _recipe.Parameters.GetValueOrDefault(name)?.For(NameIn(tensor, model), tensor.Depth)
            ?? _method.Parameters.First(parameter => parameter.Name == name).Default
            ?? throw _recipe.Wrong(_recipe.Line, $"the parameter '{name}' of {_method.Name} is not given for '{tensor.Info.Name}'");
    }

    public void Dispose()
    {
        _vocabulary?.Dispose();
        foreach (OpenMergeModel model in _models.Values)
        {
            model.Dispose();
        }

        foreach (SafetensorsFile file in _statistics.Values)
        {
            file.Dispose();
        }
    }

    private static string NameIn(PlannedTensor tensor, int model) => model < 0 ? tensor.Info.Name : tensor.Sources[model].Name;

    private OpenMergeModel Open(MergeModel model, int line = 0)
    {
        if (!_models.TryGetValue(model.Identity, out OpenMergeModel? open))
        {
            try
            {
                _models.Add(model.Identity, open = model.Open());
            }
            catch (InvalidDataException e) when (_recipe.Source.Length > 0)
            {
                throw _recipe.Wrong(line, $"the model '{model}' cannot be merged: {e.Message.TrimEnd('.')}", e);
            }
            catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException && _recipe.Source.Length > 0)
            {
                throw new FileNotFoundException(_recipe.Wrong(line, e.Message.TrimEnd('.')).Message, e);
            }
        }

        return open;
    }

    /// <summary>Throws if a parameter is unknown or in the wrong place.</summary>
    private void CheckNames()
    {
        Check(_recipe.Parameters, isModel: false);
        foreach (
            IReadOnlyDictionary<string, MergeSetting> settings in _recipe
                .AllSlices.Select(slice => slice.Parameters)
                .Concat(_recipe.Modules.Select(module => module.Parameters))
        )
        {
            Check(settings, isModel: false);
        }

        foreach (MergeInput input in _recipe.AllInputs)
        {
            Check(input.Parameters, isModel: true);
            if (_method.NeedsStatistics && input.Statistics is null)
            {
                throw _recipe.Wrong(input.Line, $"{_method.Name} needs 'statistics' of '{input.Model}', a file that MergeStatistics wrote");
            }
        }

        void Check(IReadOnlyDictionary<string, MergeSetting> settings, bool isModel)
        {
            foreach ((string name, MergeSetting setting) in settings)
            {
                MergeParameter? known = _method.Parameters.FirstOrDefault(parameter => parameter.Name == name);
                if (known is null && name != Int8Mask)
                {
                    throw _recipe.Wrong(
                        setting.Line,
                        $"'{name}' is no parameter of {_method.Name}, which has "
                            + (
                                _method.Parameters.Count == 0
                                    ? "none"
                                    : string.Join(", ", _method.Parameters.Select(parameter => parameter.Name))
                            )
                    );
                }

                if (known is { IsPerModel: false } && isModel)
                {
                    throw _recipe.Wrong(setting.Line, $"'{name}' holds for all models: write it under the recipe's 'parameters'");
                }

                foreach (MergeValue value in known is null ? [] : setting.Values)
                {
                    if (known!.Problem(value) is { } problem)
                    {
                        throw _recipe.Wrong(setting.Line, $"'{name}' {problem}");
                    }
                }
            }
        }
    }

    /// <summary>Throws if a parameter is missing, or values do not fit one another.</summary>
    private void CheckParameters(PlannedTensor tensor)
    {
        foreach (MergeParameter parameter in _method.Parameters)
        {
            for (int i = parameter.IsPerModel ? 0 : -1; i < (parameter.IsPerModel ? tensor.Sources.Count : 0); i++)
            {
                MergeValue value = Value(tensor, parameter.Name, i);
                if (parameter.Problem(value) is { } problem)
                {
                    throw _recipe.Wrong(_recipe.Line, $"'{parameter.Name}' {problem}");
                }

                if (
                    parameter.Name == "epsilon"
                    && parameter.IsPerModel
                    && Value(tensor, "density", i).Number is var density
                    && !Methods.Della.Fits(density, value.Number)
                )
                {
                    int line =
                        tensor.Inputs[i].Parameters.GetValueOrDefault("epsilon")?.Line
                        ?? _recipe.Parameters.GetValueOrDefault("epsilon")?.Line
                        ?? tensor.Inputs[i].Line;
                    throw _recipe.Wrong(
                        line,
                        FormattableString.Invariant(
                            $"'epsilon' is {value.Number} beside a density of {density}; density - epsilon and density + epsilon must be "
                        ) + "above 0 and below 1"
                    );
                }
            }
        }
    }

    private void CheckCount(int count, int line)
    {
        if (count < _method.LeastModels || count > _method.MostModels)
        {
            string wanted =
                _method.LeastModels == _method.MostModels ? $"exactly {_method.LeastModels}"
                : count < _method.LeastModels ? $"at least {_method.LeastModels}"
                : $"at most {_method.MostModels}";
            throw _recipe.Wrong(
                line,
                $"{_method.Name} merges {wanted} model{(wanted.EndsWith(" 1", StringComparison.Ordinal) ? "" : "s")} "
                    + $"beside the base, and {count} are given"
            );
        }
    }

    /// <summary>The base of some layers, whose tensors are no input.</summary>
    private OpenMergeModel? BaseOf(MergeSlice? slice)
    {
        if (_method.Base == MergeBase.Unused)
        {
            return null;
        }

        MergeModel? model = slice?.BaseModel ?? _recipe.BaseModel;
        return model is not null ? Open(model)
            : _method.Base == MergeBase.Required
                ? throw _recipe.Wrong(slice?.Line ?? _recipe.Line, $"{_method.Name} merges differences from a base: give a 'base_model'")
            : null;
    }

    /// <summary>The inputs beside the base.</summary>
    private MergeInput[] InputsOf(IReadOnlyList<MergeInput> all, OpenMergeModel? basis, int line)
    {
        MergeInput[] inputs = [.. all.Where(input => !ReferenceEquals(Open(input.Model), basis))];
        CheckCount(inputs.Length, line);
        return inputs;
    }

    private void PlanModels()
    {
        OpenMergeModel? basis = BaseOf(null);
        MergeInput[] inputs = InputsOf(_recipe.Models, basis, _recipe.Line);
        CheckTensors();
        Dictionary<string, int> layers = LayerNames.LayersOf(Reference);
        foreach (TensorInfo info in Reference.Tensors.Values)
        {
            Add(info, LayerNames.Depth(ParameterPlace.Of(info.Name), layers), null, null, inputs, (_, name) => name, basis);
        }
    }

    /// <summary>Plans a tensor.</summary>
    /// <param name="info">Its name in the result, shape and type.</param>
    /// <param name="depth">Its depth, from 0 to 1.</param>
    /// <param name="slice">Its slice; null without.</param>
    /// <param name="module">Its module; null without.</param>
    /// <param name="inputs">The models that are merged.</param>
    /// <param name="nameIn">Its name in an input, or for null in the base; the given one is that of the result.</param>
    /// <param name="basis">The base; null for none.</param>
    private void Add(
        TensorInfo info,
        double depth,
        MergeSlice? slice,
        MergeModule? module,
        MergeInput[] inputs,
        Func<MergeInput?, string, string> nameIn,
        OpenMergeModel? basis
    )
    {
        torch.ScalarType type = _recipe.StoreAs ?? info.Dtype;
        bool isCopied = IsCopied(info.Name);
        long[] shape = Covering(info.Name) is { } vocabulary && info.Shape.Length > 0 ? [vocabulary.Rows, .. info.Shape[1..]] : info.Shape;
        _tensors.Add(
            new(
                new(info.Name, type, shape, ElementTypes.ByteLength(type, shape)!.Value),
                depth,
                slice,
                module,
                isCopied ? [] : inputs,
                isCopied ? [Source(Reference, null)] : [.. inputs.Select(input => Source(Open(input.Model), input))],
                isCopied || basis is null ? null : Source(basis, null)
            )
        );

        TensorSource Source(OpenMergeModel model, MergeInput? input)
        {
            string name = nameIn(input, info.Name);
            return new(model, model.Find(name) ?? name);
        }
    }

    /// <summary>The vocabulary that arranges a tensor's rows; null for none.</summary>
    private MergeVocabulary? Covering(string name) => _vocabulary?.Covers(name) == true ? _vocabulary : null;

    private bool IsCopied(string name) => _recipe.Copied.Any(part => name.Contains(part, StringComparison.Ordinal));

    /// <summary>Throws if models have other tensors than the reference; the first five differences are named.</summary>
    private void CheckTensors()
    {
        foreach (OpenMergeModel model in _models.Values.Where(model => !ReferenceEquals(model, Reference)))
        {
            ModelDifferences.Check(
                Reference,
                model,
                IsCopied,
                name => Covering(name) is not null,
                problem => _recipe.Wrong(_recipe.Line, problem),
                "name what each keeps of the first (Copied; in recipes 'copied'), such as a classification head"
            );
        }
    }

    private void CheckKinds()
    {
        foreach (OpenMergeModel model in _models.Values.Where(model => !ReferenceEquals(model, Reference)))
        {
            ModelDifferences.CheckKinds(Reference, model, _recipe.Tokenizer is null, problem => _recipe.Wrong(_recipe.Line, problem));
        }
    }

    private torch.Tensor Statistics(PlannedTensor tensor, int model)
    {
        string path = tensor.Inputs[model].Statistics!;
        if (!_statistics.TryGetValue(path, out SafetensorsFile? file))
        {
            _statistics.Add(path, file = SafetensorsFile.Open(path));
        }

        string name = tensor.Sources[model].Name;
        torch.Tensor values = file.Contains(name) ? file.ReadFinite(name, torch.ScalarType.Float32) : torch.empty(0);

        // What a model says nothing of has no weight there; matrices of Gram have no rows of tokens.
        return _method is Methods.Fisher && values.numel() > 0 && Covering(name) is { } vocabulary
            ? vocabulary.Arrange(values, name, tensor.Sources[model].Model, null)
            : values;
    }
}

using System.Text.Json.Nodes;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Tokenization;
using TorchSharp;

namespace SkillLoc.Models.Merging;

/// <summary>The vocabulary of a merge's result, and which row of each model's embeddings a token has.</summary>
internal sealed class MergeVocabulary : IDisposable
{
    /// <summary>What a recipe has for the chat template of most models.</summary>
    public const string MostCommonTemplate = "auto";

    private const int NoRow = -1;

    // Tensors with a row for each token, by their names without prefixes.
    private static readonly HashSet<string> Tensors = new(
        new[] { "lm_head.decoder", "lm_head", "cls.predictions.decoder", "cls.predictions", "vocab_projector", "generator_lm_head" }
            .SelectMany(module => new[] { module + ".weight", module + ".bias" })
            .Concat(["embeddings.word_embeddings.weight", "wte.weight", "shared.weight"])
            .Concat(["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]),
        StringComparer.Ordinal
    );

    private readonly MergeRecipe _recipe;
    private readonly MergeTokenizer _wanted;
    private readonly OpenMergeModel[] _models;
    private readonly Func<MergeModel, OpenMergeModel?> _find;
    private readonly OpenMergeModel _source;
    private readonly bool _ownsSource;
    private readonly CheckpointTokenizer _tokenizer;
    private readonly Dictionary<string, CheckpointTokenizer> _loaded = new(StringComparer.Ordinal);
    private readonly List<string?> _tokens;
    private readonly Dictionary<string, int> _idOf = new(StringComparer.Ordinal);
    private readonly List<AddedToken> _added = [];
    private readonly Dictionary<string, int> _pieces = new(StringComparer.Ordinal);
    private readonly Dictionary<OpenMergeModel, int[]> _rows = [];
    private readonly Dictionary<int, (OpenMergeModel Model, int Row)[]> _fills = [];
    private readonly HashSet<int> _forced = [];
    private (string Name, Dictionary<int, float[]> Rows) _last = ("", []);

    /// <summary>Makes the vocabulary.</summary>
    /// <param name="recipe">The recipe, with a tokenizer.</param>
    /// <param name="main">The base that the recipe names, or else the first model.</param>
    /// <param name="hasBase">Whether it is a base.</param>
    /// <param name="models">All models that are merged.</param>
    /// <param name="find">One of them, by what the recipe calls it; null if it is none.</param>
    /// <exception cref="InvalidDataException">The vocabularies cannot be joined, or a token has no such source.</exception>
    public MergeVocabulary(
        MergeRecipe recipe,
        OpenMergeModel main,
        bool hasBase,
        IEnumerable<OpenMergeModel> models,
        Func<MergeModel, OpenMergeModel?> find
    )
    {
        _recipe = recipe;
        _find = find;
        _wanted = recipe.Tokenizer!;
        _models = [main, .. models.Where(model => !ReferenceEquals(model, main))];
        MergeModel? named = _wanted.Source ?? recipe.BaseModel;
        OpenMergeModel? source = named is null ? main : find(named);
        _ownsSource = source is null;
        _source = source ?? named!.Open();
        if (_wanted.Source is null && !HasTokenizer(_source) && Array.Find(_models, HasTokenizer) is { } other)
        {
            Dispose();
            (_source, _ownsSource) = (other, false);
        }

        try
        {
            _tokenizer = HasTokenizer(_source) ? Load(_source) : throw Wrong(_wanted.Line, $"'{_source.Name}' has no tokenizer");
            _tokens = [.. Enumerable.Range(0, _tokenizer.VocabularySize).Select(_tokenizer.Find)];
            for (int id = 0; id < _tokens.Count; id++)
            {
                if (_tokens[id] is { } token)
                {
                    _idOf.Add(token, id);
                }
            }

            if (_wanted.IsUnion)
            {
                Join();
            }

            foreach (string token in _wanted.Tokens.Keys)
            {
                AddNew(new(token, _tokens.Count) { IsNormalized = true });
            }

            foreach (OpenMergeModel model in _models)
            {
                CheckpointTokenizer own = TokenizerOf(model);
                int rows = RowsOf(model);
                _rows.Add(model, [.. _tokens.Select(token => token is not null && own.TokenId(token) is { } id && id < rows ? id : NoRow)]);
            }

            for (int id = 0; id < _tokens.Count; id++)
            {
                Fill(id, hasBase ? main : null);
            }
        }
        catch
        {
            Dispose();
            throw;
        }

        int multiple = Math.Max(_wanted.PadToMultipleOf, 1);
        int padded = checked((_tokens.Count + multiple - 1) / multiple * multiple);
        IsArranged =
            _forced.Count > 0
            || _fills.Count > 0
            || Array.Exists(_models, model => RowsOf(model) != RowsOf(main))
            || (_wanted.PadToMultipleOf > 0 && padded != RowsOf(main))
            || _rows.Values.Any(rows => rows.Where((row, id) => row != id && _tokens[id] is not null).Any());
        Rows = IsArranged ? padded : RowsOf(main);
    }

    /// <summary>Whether rows are put into another order, or their number changes.</summary>
    public bool IsArranged { get; }

    /// <summary>Number of rows of the result.</summary>
    public int Rows { get; }

    /// <summary>The tokenizer's files, some of which <see cref="Texts"/> replaces.</summary>
    public IReadOnlyList<string> Files => _source.Folder!.TokenizerFiles;

    /// <summary>Whether a folder's tokenizer can be read.</summary>
    public static bool HasTokenizer(OpenMergeModel model) =>
        model.Folder is { Config.IsKnown: true } folder
        && folder.TokenizerFiles.Any(file =>
            Path.GetFileName(file) is "vocab.json" or "vocab.txt" or "tokenizer.json" or "spiece.model" or "sentencepiece.bpe.model"
        );

    /// <summary>The chat template that most models have, of as many the first; null if none has one.</summary>
    public static string? CommonTemplate(IEnumerable<OpenMergeModel> models) =>
        models
            .Select(model => model.Folder?.Path)
            .OfType<string>()
            .Select(TokenizerEdits.ChatTemplateOf)
            .OfType<string>()
            .GroupBy(template => template.Trim(), StringComparer.Ordinal)
            .MaxBy(same => same.Count())
            ?.Key;

    /// <summary>Whether a tensor has a row for each token, and they are arranged.</summary>
    public bool Covers(string name) => IsArranged && Tensors.Contains(StoredNames.Common(name));

    /// <summary>Tokenizer files with other content, by name.</summary>
    /// <param name="chatTemplate">The chat template; null for that of the files.</param>
    public Dictionary<string, string> Texts(string? chatTemplate) => TokenizerEdits.Of(_tokenizer, _added, _pieces, chatTemplate);

    /// <summary>Returns a configuration with the number of rows, and the ids that its tokens have here.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="of">The model whose configuration it is.</param>
    public ModelConfig Configure(ModelConfig config, OpenMergeModel of)
    {
        if (!IsArranged)
        {
            return config;
        }

        // Whichever comes first, ids are within the vocabulary.
        ModelConfig before = Rows > config.VocabularySize ? config.With("vocab_size", Rows) : config;
        CheckpointTokenizer own = TokenizerOf(of);
        JsonObject json = JsonNode.Parse(config.ToJson())!.AsObject();
        foreach ((string key, JsonNode? value) in json.Where(pair => pair.Key.EndsWith("_token_id", StringComparison.Ordinal)))
        {
            before = value switch
            {
                JsonValue one => before.With(key, Moved(one)),
                JsonArray many => before.With(key, new JsonArray([.. many.Select(Moved)])),
                _ => before,
            };
        }

        return before.With("vocab_size", Rows);

        JsonNode? Moved(JsonNode? id) =>
            id is JsonValue value && value.TryGetValue(out int old) && old >= 0 && own.Find(old) is { } token
                ? _idOf.TryGetValue(token, out int moved)
                    ? moved
                    : null
                : id?.DeepClone();
    }

    /// <summary>Puts the rows of a tensor into the order of the result.</summary>
    /// <param name="own">The tensor, contiguous float32 on the CPU; disposed.</param>
    /// <param name="name">Its name in the model.</param>
    /// <param name="model">The model.</param>
    /// <param name="read">Reads a tensor of another model by its name there; null leaves zeros for tokens that this one lacks.</param>
    public torch.Tensor Arrange(torch.Tensor own, string name, OpenMergeModel model, Func<OpenMergeModel, string, torch.Tensor>? read)
    {
        long[] shape = own.shape;
        using var from = new NativeFloats(own);
        if (shape.Length == 0 || shape[0] != RowsOf(model))
        {
            throw new InvalidDataException(
                $"{model.Source}: tensor '{name}' has {(shape.Length == 0 ? 0 : shape[0])} rows, and the vocabulary of {model.Name} "
                    + $"{RowsOf(model)} (vocab_size)."
            );
        }

        int width = from.Length / (int)shape[0];
        Dictionary<int, float[]> fills = read is null ? [] : Fills(name, width, read);
        shape[0] = Rows;
        using var to = new NativeFloats(torch.zeros(shape, dtype: torch.ScalarType.Float32));
        int[] rows = _rows[model];
        for (int id = 0; id < rows.Length; id++)
        {
            Span<float> target = to.Span.Slice(id * width, width);
            if (rows[id] >= 0 && !(read is not null && _forced.Contains(id)))
            {
                from.Span.Slice(rows[id] * width, width).CopyTo(target);
            }
            else if (fills.TryGetValue(id, out float[]? fill))
            {
                fill.CopyTo(target);
            }
        }

        return to.Take();
    }

    public void Dispose()
    {
        if (_ownsSource)
        {
            _source.Dispose();
        }
    }

    /// <summary>The number of rows of a model's embeddings.</summary>
    private int RowsOf(OpenMergeModel model) => (model.Config ?? _source.Config)!.VocabularySize;

    private CheckpointTokenizer TokenizerOf(OpenMergeModel model) => HasTokenizer(model) ? Load(model) : _tokenizer;

    private CheckpointTokenizer Load(OpenMergeModel model)
    {
        string path = model.Folder!.Path;
        if (!_loaded.TryGetValue(path, out CheckpointTokenizer? tokenizer))
        {
            _loaded.Add(path, tokenizer = CheckpointTokenizer.Load(path));
        }

        return tokenizer;
    }

    /// <summary>Adds the tokens of all models behind those of the source.</summary>
    private void Join()
    {
        List<string> problems = [];
        foreach (OpenMergeModel model in _models.Where(HasTokenizer))
        {
            CheckpointTokenizer other = Load(model);
            if (other.Kind != _tokenizer.Kind)
            {
                throw Wrong(_wanted.Line, $"the tokenizers of {_source.Name} and {model.Name} are of two kinds, which have no union");
            }

            var added = other.Added.ToDictionary(token => token.Content, StringComparer.Ordinal);
            for (int id = 0; id < Math.Min(other.VocabularySize, RowsOf(model)); id++)
            {
                if (other.Find(id) is not { } token || _idOf.ContainsKey(token))
                {
                    continue;
                }

                if (added.TryGetValue(token, out AddedToken? known))
                {
                    AddNew(known with { Id = _tokens.Count });
                }
                else if (_tokenizer.Kind == TokenizerKind.WordPieces)
                {
                    _pieces.Add(token, _tokens.Count);
                    Number(token);
                }
                else
                {
                    problems.Add($"'{token}' of {model.Name}");
                }
            }
        }

        if (problems.Count > 0)
        {
            throw Wrong(
                _wanted.Line,
                $"the vocabularies have no union, since {_source.Name} spells words with other pieces; it lacks "
                    + $"{ModelDifferences.First(problems)}; word pieces and added tokens can be joined, or take 'source: base'"
            );
        }
    }

    private void AddNew(AddedToken token)
    {
        if (!_idOf.ContainsKey(token.Content))
        {
            _added.Add(token);
            Number(token.Content);
        }
    }

    private void Number(string token)
    {
        _idOf.Add(token, _tokens.Count);
        _tokens.Add(token);
    }

    /// <summary>Decides which row a token has where a model lacks it.</summary>
    private void Fill(int id, OpenMergeModel? basis)
    {
        if (_tokens[id] is not { } token)
        {
            return;
        }

        MergeToken? own = _wanted.Tokens.GetValueOrDefault(token);
        (OpenMergeModel Model, int Row)[] holders = [.. _models.Select(model => (model, _rows[model][id])).Where(pair => pair.Item2 >= 0)];
        (OpenMergeModel Model, int Row)[] rows =
            own is { IsZero: true } ? []
            : own?.Source is not null ? [Named(token, own)]
            : basis is not null && _rows[basis][id] is >= 0 and var row ? [(basis, row)]
            : holders;
        if (own is { IsZero: false, Source: null } && holders.Length == 0)
        {
            throw Wrong(own.Line, $"no model has the token '{token}': give its 'source', a model or 'kind: zero'");
        }

        if (own?.Forces == true)
        {
            _forced.Add(id);
        }

        if (holders.Length < _models.Length || own?.Forces == true)
        {
            _fills.Add(id, rows);
        }
    }

    private (OpenMergeModel Model, int Row) Named(string token, MergeToken own)
    {
        OpenMergeModel model =
            Array.Find(_models, model => ReferenceEquals(model, _find(own.Source!)))
            ?? throw Wrong(own.Line, $"the source '{own.Source}' of the token '{token}' is none of the models that are merged");
        string wanted = own.SourceToken ?? token;
        int row = own.SourceId ?? TokenizerOf(model).TokenId(wanted) ?? NoRow;
        return row >= 0 && row < RowsOf(model)
            ? (model, row)
            : throw Wrong(
                own.Line,
                own.SourceId is { } number
                    ? $"'token_id' is {number}, and {model.Name} has the ids 0 to {RowsOf(model) - 1}"
                    : $"{model.Name} has no token '{wanted}', from which '{token}' is to be"
            );
    }

    private Dictionary<int, float[]> Fills(string name, int width, Func<OpenMergeModel, string, torch.Tensor> read)
    {
        string common = StoredNames.Common(name);
        if (_last.Name == common)
        {
            return _last.Rows;
        }

        var rows = _fills.ToDictionary(fill => fill.Key, _ => new float[width]);
        foreach (OpenMergeModel donor in _fills.Values.SelectMany(fill => fill).Select(row => row.Model).Distinct())
        {
            string stored =
                donor.Find(name)
                ?? throw new InvalidDataException($"{donor.Name} has no tensor '{name}', from which tokens of the merged model have rows.");
            using var values = new NativeFloats(read(donor, stored));
            if (values.Length != (long)RowsOf(donor) * width)
            {
                throw new InvalidDataException(
                    $"{donor.Source}: tensor '{stored}' has {values.Length} scalars instead of {RowsOf(donor)} x {width}."
                );
            }

            foreach ((int id, (OpenMergeModel Model, int Row)[] sources) in _fills)
            {
                foreach ((OpenMergeModel _, int row) in sources.Where(source => ReferenceEquals(source.Model, donor)))
                {
                    VectorMath.Add(rows[id], values.Span.Slice(row * width, width), rows[id]);
                }
            }
        }

        foreach ((int id, float[] sum) in rows)
        {
            VectorMath.Divide(sum, Math.Max(_fills[id].Length, 1), sum);
        }

        _last = (common, rows);
        return rows;
    }

    private InvalidDataException Wrong(int line, string problem) => _recipe.Wrong(line > 0 ? line : _recipe.Line, problem);
}

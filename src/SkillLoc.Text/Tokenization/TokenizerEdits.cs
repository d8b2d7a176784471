using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SkillLoc.Models.Tokenization;

/// <summary>The tokenizer files of a checkpoint folder with more tokens.</summary>
internal static class TokenizerEdits
{
    private const string ChatTemplate = "chat_template";
    private const string ExtraIds = "extra_ids";
    private const string ExtraId = "<extra_id_";
    private const string Decoder = "added_tokens_decoder";

    private static readonly JsonSerializerOptions Plain = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly JsonDocumentOptions Lenient = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    /// <summary>The chat template of a folder's tokenizer; null for none.</summary>
    public static string? ChatTemplateOf(string folder)
    {
        string own = Path.Join(folder, "chat_template.jinja");
        return File.Exists(own)
            ? File.ReadAllText(own)
            : TokenizerFiles.Text(new TokenizerFiles(folder).ReadObject(TokenizerFiles.Settings), ChatTemplate);
    }

    /// <summary>Returns the files that change, by name; the others of <see cref="CheckpointTokenizer.Files"/> stay as they are.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="added">New added tokens, in the order of their ids.</param>
    /// <param name="pieces">New word pieces, by their ids; none for other kinds of tokenizers.</param>
    /// <param name="chatTemplate">The chat template; null for that of the files.</param>
    public static Dictionary<string, string> Of(
        CheckpointTokenizer tokenizer,
        IReadOnlyList<AddedToken> added,
        IReadOnlyDictionary<string, int> pieces,
        string? chatTemplate
    )
    {
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        bool hasSerialized = Has(TokenizerFiles.Serialized);
        if (added.Count > 0 || pieces.Count > 0)
        {
            if (hasSerialized)
            {
                Edit(TokenizerFiles.Serialized, root => Extend(root, tokenizer, added, pieces));
            }

            if (pieces.Count > 0 && Has(TokenizerFiles.WordPieces))
            {
                texts.Add(TokenizerFiles.WordPieces, Lines(tokenizer, added, pieces));
            }
        }

        if (added.Count > 0 && (!hasSerialized || Has(TokenizerFiles.Added)))
        {
            Edit(
                TokenizerFiles.Added,
                root =>
                {
                    foreach (AddedToken token in added)
                    {
                        root[token.Content] = token.Id;
                    }
                }
            );
        }

        if (added.Count > 0 || chatTemplate is not null)
        {
            Edit(
                TokenizerFiles.Settings,
                root =>
                {
                    if (chatTemplate is not null)
                    {
                        root[ChatTemplate] = chatTemplate;
                    }

                    if (added.Count == 0)
                    {
                        return;
                    }

                    // Python takes either all added tokens from here or none.
                    JsonObject decoder = root[Decoder] as JsonObject ?? [];
                    root[Decoder] = decoder;
                    foreach (AddedToken token in tokenizer.Added.Concat(added))
                    {
                        decoder.TryAdd(token.Id.ToString(CultureInfo.InvariantCulture), Entry(token));
                    }

                    // As many as there are, not as many as a greater vocabulary would have room for.
                    if (Has(TokenizerFiles.SentencePiece) && !root.ContainsKey(ExtraIds))
                    {
                        root[ExtraIds] = Enumerable
                            .Range(0, tokenizer.VocabularySize)
                            .Count(id => tokenizer.Find(id)?.StartsWith(ExtraId, StringComparison.Ordinal) == true);
                    }
                }
            );
        }

        return texts;

        bool Has(string name) => tokenizer.Files.Any(path => Path.GetFileName(path) == name);

        void Edit(string name, Action<JsonObject> edit)
        {
            string path = Path.Join(tokenizer.Folder, name);
            JsonObject root = File.Exists(path) ? JsonNode.Parse(File.ReadAllBytes(path), documentOptions: Lenient)!.AsObject() : [];
            edit(root);
            texts.Add(name, root.ToJsonString(Plain) + "\n");
        }
    }

    private static void Extend(
        JsonObject root,
        CheckpointTokenizer tokenizer,
        IReadOnlyList<AddedToken> added,
        IReadOnlyDictionary<string, int> pieces
    )
    {
        JsonArray entries = root["added_tokens"] as JsonArray ?? [];
        root["added_tokens"] = entries;
        var known = entries.Select(entry => (string?)entry?["content"]).ToHashSet(StringComparer.Ordinal);

        // Those of added_tokens.json too, before whose ids Python would put the new ones.
        foreach (AddedToken token in tokenizer.Added.Where(token => token.IsNew).Concat(added).Where(token => known.Add(token.Content)))
        {
            JsonObject entry = Entry(token);
            entry.Insert(0, "id", token.Id);
            entries.Add(entry);
        }

        if (pieces.Count > 0)
        {
            // Python numbers added tokens behind the last piece, so that those between pieces must be pieces too.
            JsonObject vocabulary = root["model"]!["vocab"]!.AsObject();
            int last = pieces.Values.Max();
            foreach (AddedToken token in tokenizer.Added.Concat(added).Where(token => token.Id < last))
            {
                vocabulary.TryAdd(token.Content, token.Id);
            }

            foreach ((string piece, int id) in pieces)
            {
                vocabulary[piece] = id;
            }
        }
    }

    private static string Lines(CheckpointTokenizer tokenizer, IReadOnlyList<AddedToken> added, IReadOnlyDictionary<string, int> pieces)
    {
        string[] lines = new string[pieces.Values.Max() + 1];
        for (int id = 0; id < lines.Length; id++)
        {
            lines[id] = tokenizer.Find(id) ?? "";
        }

        foreach (AddedToken token in added.Where(token => token.Id < lines.Length))
        {
            lines[token.Id] = token.Content;
        }

        foreach ((string piece, int id) in pieces)
        {
            lines[id] = piece;
        }

        return string.Join('\n', lines) + "\n";
    }

    private static JsonObject Entry(AddedToken token) =>
        new()
        {
            ["content"] = token.Content,
            ["single_word"] = token.IsSingleWord,
            ["lstrip"] = token.StripsLeft,
            ["rstrip"] = token.StripsRight,
            ["normalized"] = token.IsNormalized,
            ["special"] = token.IsSpecial,
        };
}

using YamlDotNet.RepresentationModel;

namespace SkillLoc.Models.Merging;

/// <summary>Reads the vocabulary of a recipe's result.</summary>
internal sealed partial class MergeRecipeReader
{
    private const string OldPrefix = "model:";

    private string ChatTemplate(YamlNode node, string key)
    {
        string text = Text(node, key);
        return text == MergeVocabulary.MostCommonTemplate || text.Contains('{', StringComparison.Ordinal)
            ? text
            : throw Wrong(node, $"'{key}' is '{text}'; mergekit's own templates are not here: write the template itself, or 'auto'");
    }

    private MergeTokenizer TokenizerOf(YamlNode node, string key)
    {
        string text = node is YamlScalarNode ? Text(node, key) : "";
        bool isOld = text.StartsWith(OldPrefix, StringComparison.Ordinal);
        return new()
        {
            Source =
                text is "base" or "union" ? null
                : isOld ? Model(new YamlScalarNode(text[OldPrefix.Length..]), key)
                : Model(node, key),
            IsUnion = text == "union",
            Line = (int)node.Start.Line,
        };
    }

    private MergeTokenizer Tokenizer(YamlMappingNode map)
    {
        // As mergekit has it.
        MergeTokenizer tokenizer = new() { IsUnion = true, Line = (int)map.Start.Line };
        var tokens = new Dictionary<string, MergeToken>(StringComparer.Ordinal);
        int multiple = 0;
        foreach ((string key, YamlNode value) in Keys(map))
        {
            switch (key)
            {
                case "source":
                    tokenizer = TokenizerOf(value, key);
                    break;
                case "tokens" when IsNull(value):
                case "pad_to_multiple_of" when IsNull(value):
                    break;
                case "tokens":
                    foreach ((string token, YamlNode source) in Keys(Map(value, "'tokens'")))
                    {
                        tokens.Add(token.Length > 0 ? token : throw Wrong(source, "a token must not be empty"), Token(token, source));
                    }

                    break;
                case "pad_to_multiple_of":
                    multiple = (int)Whole(value, key, 1);
                    break;
                default:
                    throw Unknown(value, key, "source, tokens, pad_to_multiple_of");
            }
        }

        return tokenizer with
        {
            Tokens = tokens,
            PadToMultipleOf = multiple,
        };
    }

    private MergeToken Token(string token, YamlNode node)
    {
        MergeToken read = new() { Line = (int)node.Start.Line };
        foreach ((string key, YamlNode value) in Keys(Map(node, $"the token '{token}'")))
        {
            switch (key)
            {
                case "source" when IsNull(value):
                    break;
                case "source":
                    read =
                        value is YamlMappingNode map && map.Children.ContainsKey("kind")
                            ? SourceOf(map, read)
                            : read with
                            {
                                Source = Model(value, key),
                            };
                    break;
                case "force":
                    read = read with
                    {
                        Forces =
                            value is YamlScalarNode flag && Value(flag, key) is { IsFlag: true } forces
                                ? forces.Number == 1
                                : throw Wrong(value, "'force' must be true or false"),
                    };
                    break;
                default:
                    throw Unknown(value, key, "source, force");
            }
        }

        return read;
    }

    private MergeToken SourceOf(YamlMappingNode map, MergeToken token)
    {
        string kind = "";
        foreach ((string key, YamlNode value) in Keys(map))
        {
            switch (key)
            {
                case "kind":
                    kind = Text(value, key) is "zero" or "model_token"
                        ? Text(value, key)
                        : throw Wrong(value, $"'kind' is '{Text(value, key)}'; it must be zero or model_token");
                    break;
                case "model":
                    token = token with { Source = Model(value, key) };
                    break;
                case "token":
                    token = token with { SourceToken = Text(value, key) };
                    break;
                case "token_id":
                    token = token with { SourceId = (int)Whole(value, key, 0) };
                    break;
                default:
                    throw Unknown(value, key, "kind, model, token, token_id");
            }
        }

        return kind == "zero"
            ? token.Source is null && token.SourceToken is null && token.SourceId is null
                ? token with
                {
                    IsZero = true,
                }
                : throw Wrong(map, "'kind: zero' has no 'model' and no 'token'")
            : token.Source is null
                ? throw Wrong(map, "'kind: model_token' lacks 'model'")
                : (token.SourceToken is null) == (token.SourceId is null)
                    ? throw Wrong(map, "'kind: model_token' needs exactly one of 'token' and 'token_id'")
                    : token;
    }
}

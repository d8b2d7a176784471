using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Architectures;

/// <summary>BERT, RoBERTa, and the encoders that differ from RoBERTa in the tokenizer only.</summary>
internal sealed record BertLikeArchitecture : EncoderArchitecture
{
    private static readonly EncoderNames RobertaNames = new("roberta", LayerNames.Bert, HeadNames.Roberta);

    private readonly bool _isRoberta;

    private BertLikeArchitecture(string modelType, string name, string classPrefix, EncoderNames names)
        : base(modelType, name, classPrefix, names) => _isRoberta = ReferenceEquals(names, RobertaNames);

    /// <summary>RoBERTa.</summary>
    public static BertLikeArchitecture Roberta { get; } = new("roberta", "RoBERTa", "Roberta", RobertaNames);

    /// <summary>BERT.</summary>
    public static BertLikeArchitecture Bert { get; } =
        new(
            "bert",
            "BERT",
            "Bert",
            new(
                "bert",
                LayerNames.Bert,
                new("cls.predictions.", "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder")
                {
                    TiedBias = "cls.predictions.bias",
                }
            )
        );

    /// <summary>XLM-RoBERTa.</summary>
    public static BertLikeArchitecture XlmRoberta { get; } = new("xlm-roberta", "XLM-RoBERTa", "XLMRoberta", RobertaNames);

    /// <summary>CamemBERT.</summary>
    public static BertLikeArchitecture Camembert { get; } = new("camembert", "CamemBERT", "Camembert", RobertaNames);

    /// <inheritdoc/>
    public override (int? Pad, int? Bos, int? Eos) DefaultTokenIds => _isRoberta ? (1, 0, 2) : (0, null, null);

    /// <inheritdoc/>
    public override bool MayLookBackOnly => true;

    /// <inheritdoc/>
    public override bool HasGeluHead => _isRoberta;

    /// <inheritdoc/>
    public override bool CountsFromPadding => _isRoberta;

    /// <inheritdoc/>
    public override ClassifierForm Classifier =>
        _isRoberta
            ? new("classifier.dense", "classifier.out_proj")
            : new("bert.pooler.dense", "classifier") { DropsInput = false, IsPretrained = true };

    /// <inheritdoc/>
    public override int? UncountedToken(ModelConfig config) => _isRoberta ? config.PadTokenId : null;

    /// <inheritdoc/>
    public override void Check(ModelConfig config)
    {
        if (_isRoberta && config.PadTokenId is null)
        {
            throw new NotSupportedException(
                $"{config.Source}: pad_token_id is null; {Name} counts its positions from it; expected a token id, as " + "a rule 1."
            );
        }
    }
}

namespace Microsoft.ML.Tokenizers;

public struct EncodeSettings
{
    public EncodeSettings()
    {
        ConsiderPreTokenization = true;
        ConsiderNormalization = true;
        MaxTokenCount = int.MaxValue;
    }

    public bool ConsiderPreTokenization { get; set; }

    public bool ConsiderNormalization { get; set; }

    public int MaxTokenCount { get; set; }
}

using System.Text.Json;

namespace SkillLoc.Pretrain;

/// <summary>How far a training has come; stored beside the weights so that it can be resumed.</summary>
/// <param name="Seed">The seed.</param>
/// <param name="Step">Updates made.</param>
/// <param name="Pass">The pass over the texts.</param>
/// <param name="BatchOfPass">Batches of this pass that are done.</param>
/// <param name="Tokens">Tokens seen, padding not counted.</param>
/// <param name="Seconds">Time spent on training.</param>
public sealed record TrainingState(int Seed, int Step = 0, int Pass = 0, int BatchOfPass = 0, long Tokens = 0, double Seconds = 0)
{
    /// <summary>The file's name in the checkpoint folder.</summary>
    public const string FileName = "pretraining.json";

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        AllowDuplicateProperties = false,
        RespectRequiredConstructorParameters = true,
        WriteIndented = true,
    };

    /// <summary>The state in a folder, or null when there is none.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static TrainingState? Load(string folder)
    {
        string path = Path.Join(folder, FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            TrainingState state =
                JsonSerializer.Deserialize<TrainingState>(File.ReadAllText(path), Format) ?? throw new JsonException("it is null");
            return state is { Step: >= 0, Pass: >= 0, BatchOfPass: >= 0, Tokens: >= 0, Seconds: >= 0 }
                ? state
                : throw new JsonException($"one of its numbers is negative: {state}");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path} is damaged ({e.Message}); delete it to start anew.", e);
        }
    }

    /// <summary>The file's content.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Format) + "\n";
}

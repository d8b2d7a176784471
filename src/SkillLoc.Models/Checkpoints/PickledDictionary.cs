namespace SkillLoc.Models.Checkpoints;

/// <summary>A dictionary in a pickle, in its order.</summary>
internal sealed class PickledDictionary
{
    public List<(object? Key, object? Value)> Items { get; } = [];
}

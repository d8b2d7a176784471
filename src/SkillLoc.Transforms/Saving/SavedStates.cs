using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace SkillLoc.Transforms;

/// <summary>Finds the states that travel in a loaded model among ML.NET's own transformers.</summary>
internal static class SavedStates
{
    private static readonly MLContext Context = new();
    private static readonly IDataView OneRow = Context.Data.LoadFromEnumerable([new KeyRow()]);

    // What a model was restored to lives as long as any part of it.
    private static readonly ConditionalWeakTable<ITransformer, object> Kept = [];

    /// <summary>Restores all that a loaded model needs, as its first row would.</summary>
    /// <param name="model">The model; other transformers, and those of ours that were not loaded, need nothing.</param>
    /// <exception cref="FileNotFoundException">A checkpoint folder is missing.</exception>
    /// <exception cref="InvalidDataException">A checkpoint is damaged or holds other weights, or a state is damaged.</exception>
    public static void Restore(ITransformer model)
    {
        ITransformer[] parts = [.. Parts(model)];
        object[] restored = [.. parts.Select(StateOf).OfType<string>().Select(Restore)];
        if (restored.Length > 0)
        {
            foreach (ITransformer part in parts)
            {
                Kept.AddOrUpdate(part, restored);
            }
        }
    }

    /// <summary>The model with its checkpoints in what is written, in place of the folders that it names.</summary>
    public static ITransformer Pack(ITransformer model, PackedCheckpoints packed) =>
        model switch
        {
            INamesCheckpoint scorer => scorer.Carrier(packed),
            IEnumerable<ITransformer> chain => new TransformerChain<ITransformer>([.. chain.Select(part => Pack(part, packed))]),
            _ => StateOf(model) is { } state
                ? SavedState.Constant(Context, CarrierColumns.State, Pack(state, packed).AsMemory()).Fit(OneRow)
                : model,
        };

    private static IEnumerable<ITransformer> Parts(ITransformer model) =>
        model is IEnumerable<ITransformer> chain ? chain.SelectMany(Parts) : [model];

    private static object Restore(string state) => IsSet(state) ? SavedModelSet.Restored.Get(state) : SavedScorer.Restored.Get(state);

    private static string Pack(string state, PackedCheckpoints packed)
    {
        // Throws where the folder holds other weights by now.
        Restore(state);
        if (IsSet(state))
        {
            SavedModelSet set = SavedState.Read<SavedModelSet>(state);
            return SavedState.Write(set with { Content = packed.Add(CheckpointStore.Find(set.Folder, set.Content)) });
        }

        SavedScorer scorer = SavedState.Read<SavedScorer>(state);
        return SavedState.Write(scorer with { Content = packed.Add(CheckpointStore.Find(scorer.Folder, scorer.Content)) });
    }

    private static bool IsSet(string state) =>
        SavedState.Read<JsonElement[]>($"[{state}]") is [{ ValueKind: JsonValueKind.Object } root, ..]
        && root.TryGetProperty("skills", out _);

    /// <summary>The state that a transformer adds to every row; null for all but one of a saved component's.</summary>
    private static string? StateOf(ITransformer part)
    {
        if (part is not ValueMappingTransformer)
        {
            return null;
        }

        try
        {
            if (part.GetOutputSchema(OneRow.Schema).GetColumnOrNull(CarrierColumns.State) is null)
            {
                return null;
            }
        }
        catch (ArgumentException)
        {
            // It maps another column than ours.
            return null;
        }

        return part.Transform(OneRow).GetColumn<ReadOnlyMemory<char>>(CarrierColumns.State).Single().ToString();
    }

    private sealed class KeyRow
    {
        [ColumnName(CarrierColumns.Key)]
        public int Key { get; set; }
    }
}

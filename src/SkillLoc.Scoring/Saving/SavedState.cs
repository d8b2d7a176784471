using System.Text.Json;
using Microsoft.ML;

namespace SkillLoc.Transforms;

/// <summary>States of saved components, as text in ML.NET models.</summary>
internal static class SavedState
{
    private static readonly JsonSerializerOptions Json = new()
    {
        AllowDuplicateProperties = false,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
    };

    /// <summary>The text of a state.</summary>
    public static string Write<T>(T state) => JsonSerializer.Serialize(state, Json);

    /// <summary>Reads the state of a saved component.</summary>
    /// <exception cref="InvalidDataException">The state is damaged.</exception>
    public static T Read<T>(string state)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(state, Json) ?? throw new JsonException("It is null.");
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or NotSupportedException or ArgumentException)
        {
            throw new InvalidDataException(
                $"The saved model's SkillLoc component is damaged, so that it cannot be restored: {error.Message}",
                error
            );
        }
    }

    /// <summary>A column with a constant value, for rows that have a <see cref="CarrierColumns.Key"/>.</summary>
    public static IEstimator<ITransformer> Constant<T>(MLContext ml, string column, T value) =>
        ml.Transforms.Conversion.MapValue(column, [KeyValuePair.Create(0, value)], CarrierColumns.Key);
}

/// <summary>Weak cache of restored models by serialized state, so that models with the same state share one instance.</summary>
/// <typeparam name="T">The type of the restored model.</typeparam>
internal sealed class StateCache<T>(Func<string, T> restore)
    where T : class
{
    private readonly Dictionary<string, WeakReference<T>> _restored = new(StringComparer.Ordinal);

    public T Get(string state)
    {
        lock (_restored)
        {
            if (_restored.TryGetValue(state, out WeakReference<T>? known) && known.TryGetTarget(out T? value))
            {
                return value;
            }

            value = restore(state);
            _restored[state] = new(value);
            return value;
        }
    }
}

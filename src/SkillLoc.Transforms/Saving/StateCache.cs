namespace SkillLoc.Transforms;

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

namespace SkillLoc.Transforms;

/// <summary>Keeps what saved states were restored to while somebody uses it, so that one instance serves all who have the same state.</summary>
/// <typeparam name="T">What a state is restored to.</typeparam>
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

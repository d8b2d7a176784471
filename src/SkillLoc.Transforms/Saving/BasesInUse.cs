using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Transforms;

/// <summary>The base checkpoint folders of live grafts in this program, to which saved grafts refer.</summary>
internal static class BasesInUse
{
    private static readonly List<(WeakReference<object> Owner, Func<object, bool> IsDisposed, string Folder)> Uses = [];

    /// <summary>Registers a base for the lifetime of a transformer.</summary>
    /// <typeparam name="T">The type of the transformer.</typeparam>
    /// <param name="owner">The transformer.</param>
    /// <param name="folder">The base's folder.</param>
    /// <param name="isDisposed">Returns true once the transformer is disposed; must not keep it alive.</param>
    public static void Add<T>(T owner, string folder, Func<T, bool> isDisposed)
        where T : class
    {
        lock (Uses)
        {
            Uses.RemoveAll(IsOver);
            Uses.Add((new(owner), use => isDisposed((T)use), Path.GetFullPath(folder)));
        }
    }

    /// <summary>Whether a live graft uses a folder as its base.</summary>
    public static bool Contains(string folder)
    {
        lock (Uses)
        {
            Uses.RemoveAll(IsOver);
            return Uses.Exists(use => PathIdentity.Same(use.Folder, folder));
        }
    }

    private static bool IsOver((WeakReference<object> Owner, Func<object, bool> IsDisposed, string Folder) use) =>
        !use.Owner.TryGetTarget(out object? owner) || use.IsDisposed(owner);
}

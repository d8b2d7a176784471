using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Transforms;

/// <summary>The base checkpoint folders of this program's live grafts, which name them when they are saved.</summary>
internal static class BasesInUse
{
    private static readonly List<(WeakReference<object> Owner, Func<object, bool> IsDisposed, string Folder)> Uses = [];

    /// <summary>Notes a base for as long as what is over it lives.</summary>
    /// <typeparam name="T">What is over it.</typeparam>
    /// <param name="owner">The transformer.</param>
    /// <param name="folder">The base's folder.</param>
    /// <param name="isDisposed">Tells when it is no longer used; must not keep it alive.</param>
    public static void Add<T>(T owner, string folder, Func<T, bool> isDisposed)
        where T : class
    {
        lock (Uses)
        {
            Uses.RemoveAll(IsOver);
            Uses.Add((new(owner), use => isDisposed((T)use), Path.GetFullPath(folder)));
        }
    }

    /// <summary>Whether a live graft is over a folder.</summary>
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

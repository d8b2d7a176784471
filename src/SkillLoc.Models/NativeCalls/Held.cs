namespace SkillLoc.Models.NativeCalls;

/// <summary>
/// Keeps owners of tensors, and so their tensors, alive until the end of a block. An unreferenced tensor may be finalised while a native
/// call still reads it, and the last call of a method may be the last reference to its object.
/// </summary>
/// <param name="first">A tensor, or an owner of tensors, that the block reads.</param>
/// <param name="second">A second one.</param>
/// <param name="third">A third one.</param>
internal readonly struct Held(object first, object? second = null, object? third = null) : IDisposable
{
    public void Dispose()
    {
        GC.KeepAlive(first);
        GC.KeepAlive(second);
        GC.KeepAlive(third);
    }
}

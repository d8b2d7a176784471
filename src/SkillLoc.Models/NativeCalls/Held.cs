namespace SkillLoc.Models.NativeCalls;

/// <summary>
/// Keeps what owns tensors, and with it the tensors, from the garbage collector to the end of a block. A tensor that nothing refers to may
/// be finalised while a native call still reads it, and the last call of a method may be the last that refers to its object.
/// </summary>
/// <param name="first">What owns tensors that the block reads, or is one.</param>
/// <param name="second">Another.</param>
/// <param name="third">A third.</param>
internal readonly struct Held(object first, object? second = null, object? third = null) : IDisposable
{
    public void Dispose()
    {
        GC.KeepAlive(first);
        GC.KeepAlive(second);
        GC.KeepAlive(third);
    }
}

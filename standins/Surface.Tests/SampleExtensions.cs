namespace Standins.Surface.Tests;

// Seen by SurfaceCheckTests; extension methods cannot be nested there.
public static class SampleExtensions
{
    public static int Twice(this int value) => 2 * value;
}

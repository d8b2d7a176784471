using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;

namespace SkillLoc.Tests;

/// <summary>Checks properties on drawn cases, which are the same in each run.</summary>
internal static class PropertyCheck
{
    private const ulong Seed = 20230;

    /// <summary>Checks a property on cases of a generator. A failure names the case, which is not made smaller.</summary>
    public static void ForAll<T>(Gen<T> cases, Action<T> property, int count = 100) => ForAll(cases.ToArbitrary(), property, count);

    /// <summary>Checks a property on cases of any type that FsCheck knows. A failure names the smallest case found.</summary>
    public static void ForAny<T>(Action<T> property, int count = 100) => ForAll(ArbMap.Default.ArbFor<T>(), property, count);

    /// <summary>Draws a list of a length up to a limit.</summary>
    public static Gen<T[]> UpTo<T>(this Gen<T> elements, int longest, int shortest = 0) =>
        Gen.Choose(shortest, longest).SelectMany(length => elements.ArrayOf(length));

    private static void ForAll<T>(Arbitrary<T> cases, Action<T> property, int count)
    {
        // An odd gamma, as SplitMix64 wants it.
        var replay = new Replay(new Rnd(Seed, 0x9E3779B97F4A7C15), FSharpOption<int>.None);
        Config config = Config
            .QuickThrowOnFailure.WithQuietOnSuccess(true)
            .WithMaxTest(count)
            .WithReplay(FSharpOption<Replay>.Some(replay));
        Check.One(config, Prop.ForAll(cases, property));
    }
}

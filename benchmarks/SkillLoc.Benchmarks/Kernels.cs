using System.Diagnostics;
using SkillLoc.Models.Runtime;
using TorchSharp;

namespace SkillLoc.Benchmarks;

/// <summary>How fast libtorch's matrix products are at the shapes of a small encoder, the roof over everything else.</summary>
internal static class Kernels
{
    // all-MiniLM-L6-v2: 384 hidden, 1,536 feed-forward; 16 rows of 64 tokens.
    private const long Tokens = 1024;
    private const long Hidden = 384;
    private const long FeedForward = 1536;

    /// <summary>A line of text: GFLOP/s of <c>linear</c>, medians of 21 times.</summary>
    public static string Measure(int threads)
    {
        TorchRuntime.Require();
        torch.set_num_threads(threads);
        using IDisposable none = torch.no_grad();
        double single = GigaFlops(torch.ScalarType.Float32);
        double half = GigaFlops(torch.ScalarType.BFloat16);
        return $"linear {Tokens} x {Hidden} x {FeedForward}, {threads} threads: {single:F0} GFLOP/s in float32, {half:F0} in "
            + $"bfloat16. {TorchRuntime.Description}";
    }

    private static double GigaFlops(torch.ScalarType type)
    {
        using torch.Tensor input = torch.randn(Tokens, Hidden, dtype: type);
        using torch.Tensor weight = torch.randn(FeedForward, Hidden, dtype: type);
        double[] seconds = new double[21];
        for (int i = -3; i < seconds.Length; i++)
        {
            const int Calls = 20;
            long start = Stopwatch.GetTimestamp();
            for (int call = 0; call < Calls; call++)
            {
                torch.nn.functional.linear(input, weight).Dispose();
            }

            if (i >= 0)
            {
                seconds[i] = Stopwatch.GetElapsedTime(start).TotalSeconds / Calls;
            }
        }

        Array.Sort(seconds);
        return 2.0 * Tokens * Hidden * FeedForward / seconds[seconds.Length / 2] / 1e9;
    }
}

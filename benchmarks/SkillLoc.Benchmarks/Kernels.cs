using System.Diagnostics;
using System.Text.Json;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Runtime;
using TorchSharp;

namespace SkillLoc.Benchmarks;

/// <summary>How fast libtorch's matrix products are at the shapes of a model's layers, the roof over everything else.</summary>
internal static class Kernels
{
    /// <summary>Measures <c>linear</c> at the shapes of a layer.</summary>
    /// <param name="workload">The model.</param>
    /// <param name="tokens">The tokens of a pass.</param>
    /// <returns>A line of JSON: GFLOP/s of a layer's six products, and how libtorch runs.</returns>
    public static string Measure(Workload workload, int tokens)
    {
        TorchRuntime.Require();
        using IDisposable none = torch.no_grad();
        ModelConfig config = CheckpointFolder.ReadConfig(workload.Base);
        long hidden = config.HiddenSize,
            inner = config.FeedForwardSize;
        Func<torch.Tensor, torch.Tensor, torch.Tensor> linear = (input, weight) => torch.nn.functional.linear(input, weight);
        using torch.jit.CompilationUnit script = torch.jit.compile(
            "def linear(input, weight):\n    return torch.mkldnn_linear(input.to_mkldnn(), weight.to_mkldnn()).to_dense()\n"
        );
        Speed single = Roof(torch.ScalarType.Float32, linear);
        return JsonSerializer.Serialize(
            new
            {
                gigaFlops = single.PerSecond,
                gigaFlopsPerCpuSecond = single.PerCpuSecond,
                bfloat16 = Roof(torch.ScalarType.BFloat16, linear).PerCpuSecond / single.PerCpuSecond,
                oneDnn = Roof(
                    torch.ScalarType.Float32,
                    (input, weight) => (torch.Tensor)script.invoke("linear", input, weight)
                ).PerCpuSecond / single.PerCpuSecond,
                libtorch = torch.__version__,
                kernels = TorchRuntime.Description,
            }
        );

        Speed Roof(torch.ScalarType type, Func<torch.Tensor, torch.Tensor, torch.Tensor> product)
        {
            double flops = 2.0 * tokens * ((4 * hidden * hidden) + (2 * hidden * inner)) / 1e9;
            Speed[] products = [Linear(hidden, hidden), Linear(hidden, inner), Linear(inner, hidden)];
            double Sum(Func<Speed, double> seconds) => flops / ((4 * seconds(products[0])) + seconds(products[1]) + seconds(products[2]));
            return new(Sum(speed => 1 / speed.PerSecond), Sum(speed => 1 / speed.PerCpuSecond), 0);

            // The medians, in products per second.
            Speed Linear(long inputs, long outputs)
            {
                const int Calls = 20;
                using torch.Tensor input = torch.randn(tokens, inputs, dtype: type);
                using torch.Tensor weight = torch.randn(outputs, inputs, dtype: type);
                Speed[] speeds =
                [
                    .. Enumerable
                        .Range(0, 12)
                        .Select(_ =>
                        {
                            var clock = new Clock();
                            for (int call = 0; call < Calls; call++)
                            {
                                product(input, weight).Dispose();
                            }

                            return clock.Speed(Calls, 0);
                        })
                        .Skip(1),
                ];
                return new(Median(speed => speed.PerSecond), Median(speed => speed.PerCpuSecond), 0);

                double Median(Func<Speed, double> value) => speeds.Select(value).Order().ElementAt(speeds.Length / 2);
            }
        }
    }
}

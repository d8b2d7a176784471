using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Standins.TorchSharp.Tests;

/// <summary>Steps against the update rules written out on doubles.</summary>
public class OptimizerTests
{
    private static readonly double[][] Gradients = [[0.5, -1], [0.25, 2], [-1, 0.125]];

    private static double[] Run(optim.Optimizer optimizer, Parameter parameter)
    {
        foreach (var gradient in Gradients)
        {
            parameter.grad = tensor(gradient);
            optimizer.step();
        }
        return parameter.data<double>().ToArray();
    }

    private static Parameter Start() => new(tensor(new[] { 1.0, -2 }));

    private static void Near(double[] expected, double[] actual)
    {
        for (var i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 9);
    }

    [Theory]
    [InlineData(0.1, 0, 0, 0, false, false)]
    [InlineData(0.1, 0.9, 0, 0, false, false)]
    [InlineData(0.1, 0.9, 0.1, 0.01, false, false)]
    [InlineData(0.1, 0.9, 0, 0.01, true, false)]
    [InlineData(0.1, 0, 0, 0, false, true)]
    public void Sgd(double lr, double momentum, double dampening, double decay, bool nesterov, bool maximize)
    {
        using var scope = NewDisposeScope();
        var parameter = Start();
        using var optimizer = optim.SGD([parameter], lr, momentum, dampening, decay, nesterov, maximize);
        var actual = Run(optimizer, parameter);
        double[] w = [1, -2];
        var v = new double[2];
        for (var t = 0; t < Gradients.Length; t++)
        {
            for (var i = 0; i < 2; i++)
            {
                var g = Gradients[t][i] + decay * w[i];
                v[i] = t == 0 ? g : momentum * v[i] + (1 - dampening) * g;
                if (momentum != 0) g = nesterov ? g + momentum * v[i] : v[i];
                w[i] += (maximize ? lr : -lr) * g;
            }
        }
        Near(w, actual);
    }

    [Theory]
    [InlineData(0.01, 0, false, false)]
    [InlineData(0.01, 0.1, false, false)]
    [InlineData(0.01, 0.1, true, false)]
    [InlineData(0.01, 0.1, false, true)]
    public void AdamW(double lr, double decay, bool amsgrad, bool maximize)
    {
        using var scope = NewDisposeScope();
        var parameter = Start();
        using var optimizer = optim.AdamW([parameter], lr, 0.9, 0.99, 1e-8, decay, amsgrad, maximize);
        var actual = Run(optimizer, parameter);
        double[] w = [1, -2];
        var (m, v, largest) = (new double[2], new double[2], new double[2]);
        for (var t = 1; t <= Gradients.Length; t++)
        {
            for (var i = 0; i < 2; i++)
            {
                var g = maximize ? -Gradients[t - 1][i] : Gradients[t - 1][i];
                w[i] -= lr * decay * w[i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.99 * v[i] + 0.01 * g * g;
                largest[i] = Math.Max(largest[i], v[i]);
                var second = (amsgrad ? largest[i] : v[i]) / (1 - Math.Pow(0.99, t));
                w[i] -= lr * (m[i] / (1 - Math.Pow(0.9, t))) / (Math.Sqrt(second) + 1e-8);
            }
        }
        Near(w, actual);
    }

    [Fact]
    public void Groups_have_their_own_rates_which_can_be_changed()
    {
        using var scope = NewDisposeScope();
        var (slow, fast, still) = (Start(), Start(), Start());
        using var optimizer = optim.SGD(
            [new SGD.ParamGroup([slow], new SGD.Options { LearningRate = 0.1 }), new SGD.ParamGroup { Parameters = [fast, still] }], 1.0);
        Assert.Equal([0.1, 1.0], optimizer.ParamGroups.Select(g => g.LearningRate));
        foreach (var group in optimizer.ParamGroups) group.LearningRate *= 2;
        Assert.Equal([0.1, 1.0], optimizer.ParamGroups.Select(g => g.InitialLearningRate));
        slow.grad = ones(2, float64);
        fast.grad = ones(2, float64);
        optimizer.step();
        Near([0.8, -2.2], slow.data<double>().ToArray());
        Near([-1, -4], fast.data<double>().ToArray());
        Near([1, -2], still.data<double>().ToArray());
        Assert.Equal(3, optimizer.parameters().Count());
        using var adam = optim.AdamW([new AdamW.ParamGroup([slow], lr: 0.5, weight_decay: 0.25)]);
        Assert.Equal(0.5, adam.ParamGroups.Single().LearningRate);
    }

    [Fact]
    public void Zeroing_and_closures()
    {
        using var scope = NewDisposeScope();
        var parameter = Start();
        using var optimizer = optim.SGD([parameter], 0.5);
        var loss = optimizer.step(() =>
        {
            optimizer.zero_grad();
            var value = (parameter * parameter).sum();
            value.backward();
            return value;
        });
        Assert.Equal(5, loss!.item<double>());
        Near([0, 0], parameter.data<double>().ToArray());
        optimizer.zero_grad();
        Assert.Equal(0, parameter.grad?.abs().sum().item<double>() ?? 0);
    }

    [Fact]
    public void Optimizers_leave_nothing_behind()
    {
        var before = Tensor.TotalCount;
        using (NewDisposeScope())
        {
            var parameter = Start();
            using (var adam = optim.AdamW([parameter], amsgrad: true))
            using (var sgd = optim.SGD([parameter], 0.1, momentum: 0.9))
            {
                for (var i = 0; i < 3; i++)
                {
                    using (NewDisposeScope())
                    {
                        parameter.grad = ones(2, float64);
                        adam.step();
                        sgd.step();
                    }
                }
            }
        }
        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public void Clipping_scales_all_gradients_by_one_norm()
    {
        using var scope = NewDisposeScope();
        var (a, b) = (Start(), Start());
        a.grad = tensor(new[] { 3.0, 0 });
        b.grad = tensor(new[] { 0, 4.0 });
        Assert.Equal(5, nn.utils.clip_grad_norm_([a, b], 10), 9);
        Assert.Equal(3, a.grad![0].item<double>());
        Assert.Equal(5, nn.utils.clip_grad_norm_([a, b], 1), 9);
        Assert.Equal(0.6, a.grad![0].item<double>(), 5);
        Assert.Equal(0.8, b.grad![1].item<double>(), 5);
    }
}

using TorchSharp;
using F = TorchSharp.torch.nn.functional;
using Tensor = TorchSharp.torch.Tensor;

namespace Standins.TorchSharp.Tests;

/// <summary>Gradients against central finite differences, in double precision.</summary>
public class AutogradTests
{
    private static readonly Dictionary<string, (long[][] Shapes, Func<Tensor[], Tensor> Body)> Operators = new()
    {
        ["linear"] = ([[3, 4], [5, 4], [5]], x => F.linear(x[0], x[1], x[2])),
        ["layer_norm"] = ([[3, 4], [4], [4]], x => F.layer_norm(x[0], [4], x[1], x[2])),
        ["gelu"] = ([[3, 4]], x => F.gelu(x[0])),
        ["tanh gelu"] = ([[7]], x => 0.5 * x[0] * (1 + (0.79788456 * (x[0] + 0.044715 * x[0].pow(3))).tanh())),
        ["relu"] = ([[3, 4]], x => F.relu(x[0])),
        ["silu"] = ([[3, 4]], x => F.silu(x[0])),
        ["sigmoid"] = ([[5]], x => x[0].sigmoid()),
        ["tanh"] = ([[5]], x => x[0].tanh()),
        ["erf"] = ([[5]], x => x[0].erf()),
        ["softmax"] = ([[3, 4]], x => F.softmax(x[0], -1)),
        ["log_softmax"] = ([[3, 4]], x => F.log_softmax(x[0], 1)),
        ["bmm"] = ([[2, 3, 4], [2, 4, 2]], x => x[0].bmm(x[1])),
        ["matmul"] = ([[2, 3, 4], [4, 2]], x => x[0].matmul(x[1])),
        ["mm transposed"] = ([[3, 4], [3, 4]], x => x[0].mm(x[1].t())),
        ["addmm"] = ([[3, 2], [3, 4], [4, 2]], x => x[0].addmm(x[1], x[2], 0.5f, 2f)),
        ["baddbmm"] = ([[2, 3, 2], [2, 3, 4], [2, 4, 2]], x => torch.baddbmm(x[0], x[1], x[2])),
        ["attention"] = ([[2, 3, 4], [2, 3, 4], [2, 3, 4]], x => F.scaled_dot_product_attention(x[0], x[1], x[2], null, 0, true)),
        ["index_select"] = ([[5, 3]], x => x[0].index_select(0, torch.tensor(new long[] { 4, 0, 4 }))),
        ["gather"] = ([[2, 3]], x => x[0].gather(1, torch.tensor(new long[,] { { 2, 2 }, { 0, 1 } }))),
        ["where"] = ([[4], [4]], x => torch.where(x[0] > 0, x[0] * 2, x[1])),
        ["masked_fill"] = ([[4]], x => x[0].masked_fill(x[0] > 0, 3)),
        ["cat, slice, permute"] = ([[2, 3], [2, 3]], x => torch.cat([x[0], x[1]], 1)[.., 1..5].permute(1, 0).reshape(2, 4)),
        ["stack, select, unsqueeze"] = ([[3], [3]], x => torch.stack([x[0], x[1]])[1].unsqueeze(0).expand(2, 3)),
        ["cross_entropy"] = ([[3, 4]], x => F.cross_entropy(x[0], torch.tensor(new long[] { 1, 3, 0 }))),
        ["nll_loss"] = ([[3, 4]], x => F.nll_loss(x[0].log_softmax(1), torch.tensor(new long[] { 1, 3, 0 }))),
        ["mse_loss"] = ([[3], [3]], x => F.mse_loss(x[0], x[1])),
        ["binary_cross_entropy_with_logits"] = ([[3]], x => F.binary_cross_entropy_with_logits(x[0], torch.tensor(new[] { 1.0, 0.0, 1.0 }))),
        ["kl_div"] = ([[3, 4], [3, 4]], x => F.kl_div(x[0].log_softmax(1), x[1].log_softmax(1))),
        ["division by a tensor"] = ([[3]], x => 2 / (x[0] * x[0] + 1)),
        ["sums, means, norms"] = ([[3, 4]], x => x[0].sum(dim: 0) * x[0].mean([0]) + x[0].std(dim: 0) + x[0].norm(dim: 0)),
        ["rsqrt of a mean of squares"] = ([[3, 4]], x => x[0] * (x[0].pow(2).mean([-1], true) + 1e-6).rsqrt()),
    };

    public static TheoryData<string> Names => [.. Operators.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Gradient_equals_finite_differences(string name)
    {
        using var scope = torch.NewDisposeScope();
        var (shapes, body) = Operators[name];
        torch.manual_seed(7);
        var inputs = shapes.Select(s => torch.randn(s, torch.float64, requires_grad: true)).ToArray();
        var weights = torch.randn_like(body(inputs)).detach();
        (body(inputs) * weights).sum().backward();
        const double Step = 1e-6;
        foreach (var input in inputs)
        {
            var values = input.data<double>().ToArray();
            var gradient = input.grad!.contiguous().data<double>().ToArray();
            for (var i = 0; i < values.Length; i++)
            {
                var numeric = (At(values[i] + Step) - At(values[i] - Step)) / (2 * Step);
                Assert.True(Math.Abs(numeric - gradient[i]) < 1e-5 * (1 + Math.Abs(numeric)), $"{name}[{i}]: {gradient[i]} instead of {numeric}");

                double At(double value)
                {
                    using var frozen = torch.no_grad();
                    input.view(-1)[i] = torch.tensor(value);
                    var result = (body(inputs) * weights).sum().item<double>();
                    input.view(-1)[i] = torch.tensor(values[i]);
                    return result;
                }
            }
        }
    }

    [Fact]
    public void Gradients_add_up_until_they_are_cleared()
    {
        using var scope = torch.NewDisposeScope();
        var x = torch.tensor(new float[] { 1, 2 }, requires_grad: true);
        (x * x).sum().backward();
        (x * x).sum().backward();
        Assert.Equal([4f, 8f], x.grad!.data<float>().ToArray());
        x.grad = null!;
        Assert.Null(x.grad);
    }

    [Fact]
    public void A_graph_can_be_kept_and_given_an_outer_gradient()
    {
        using var scope = torch.NewDisposeScope();
        var x = torch.tensor(new float[] { 1, 2 }, requires_grad: true);
        var y = x * x;
        torch.autograd.backward(y, torch.tensor(new float[] { 1, 10 }), retain_graph: true);
        Assert.Equal([2f, 40f], x.grad!.data<float>().ToArray());
        torch.autograd.backward(y, torch.tensor(new float[] { 1, 10 }));
        Assert.Equal([4f, 80f], x.grad!.data<float>().ToArray());
    }

    [Fact]
    public void Leaves_and_detached_tensors_are_told_apart()
    {
        using var scope = torch.NewDisposeScope();
        var x = torch.ones(2, requires_grad: true);
        var y = x * 2;
        Assert.True(x.is_leaf);
        Assert.False(y.is_leaf);
        Assert.True(y.requires_grad);
        Assert.False(y.detach().requires_grad);
        using (torch.no_grad())
        {
            Assert.False(torch.is_grad_enabled());
            Assert.False((x * 2).requires_grad);
            using (torch.enable_grad()) Assert.True((x * 2).requires_grad);
            Assert.False(torch.is_grad_enabled());
        }
        using (torch.inference_mode())
        {
            Assert.True(torch.is_inference_mode_enabled());
            Assert.False((x * 2).requires_grad);
        }
        Assert.False(torch.is_inference_mode_enabled());
        Assert.True(torch.is_grad_enabled());
    }
}

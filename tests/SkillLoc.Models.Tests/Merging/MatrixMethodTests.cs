using SkillLoc.Models.Merging;
using SkillLoc.Models.Merging.Methods;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Merging;

/// <summary>Methods that look at task vectors as matrices, against what their formulas give for matrices made for it.</summary>
public sealed class MatrixMethodTests
{
    private const int Size = 12;

    [Fact]
    public void SingularVectorsOfTasksThatShareNoneAreKept()
    {
        // Two tasks in orthogonal subspaces, each of half the rank: their sum is the result.
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        (Tensor u, _, Tensor vh) = linalg.svd(randn(Size, Size, generator: Generator(1)));
        Tensor values = torch.tensor(Enumerable.Range(1, Size).Select(i => (float)i).ToArray());
        Tensor[] tasks = [.. new[] { 0, Size / 2 }.Select(start => Part(start))];
        Check(tasks[0] + tasks[1], Merged(new TaskSingularVectors(), tasks), 1e-4);

        Tensor Part(int start) => (u.narrow(1, start, Size / 2) * values.narrow(0, start, Size / 2)).mm(vh.narrow(0, start, Size / 2));
    }

    [Fact]
    public void OneTaskKeepsItsMatrix()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor task = randn(Size, 5, generator: Generator(2));
        Check(task, Merged(new TaskSingularVectors(), [task]), 1e-5);
        Check(task, Merged(new Wudi(), [task]), 1e-5);
    }

    [Fact]
    public void SingularValuesBecomeTheirMean()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        Tensor[] tasks = [randn(Size, 5, generator: Generator(3)), randn(Size, 5, generator: Generator(4))];
        Tensor merged = Merged(new Isotropic(), tasks, ("lambda", 1.5));
        double mean = linalg.svdvals(tasks[0] + tasks[1]).mean().item<float>();
        Assert.All(linalg.svdvals(merged).data<float>().ToArray(), value => Assert.Equal(1.5 * mean, value, 1e-4));
        Assert.True(merged.mul(tasks[0] + tasks[1]).sum().item<float>() > 0);
    }

    [Fact]
    public void StepsAreAdamsOnTheInterference()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] tasks = [randn(Size, 5, generator: Generator(5)), randn(Size, 5, generator: Generator(6)) * 0.1];
        Parameter merged = nn.Parameter((tasks[0] + tasks[1]).to(ScalarType.Float64));
        using optim.Optimizer adam = optim.Adam([merged], 1e-2);
        double before = 0,
            after = 0;
        for (int step = 0; step < 100; step++)
        {
            adam.zero_grad();
            using Tensor loss = Interference(merged);
            before = step == 0 ? loss.item<double>() : before;
            after = loss.item<double>();
            loss.backward();
            adam.step();
        }

        Assert.True(after < 0.6 * before, $"{before} and {after}");
        Check(merged.detach().to(ScalarType.Float32), Merged(new Wudi(), tasks, ("learning_rate", 1e-2), ("steps", 100)), 1e-4);
        Check(tasks[0] + tasks[1], Merged(new Wudi(), tasks, ("steps", 0)), 1e-6);

        Tensor Interference(Tensor vector) =>
            tasks
                .Select(task => task.to(ScalarType.Float64))
                .Select(task => (vector - task).mm(task.t()).pow(2).sum() / task.pow(2).sum())
                .Aggregate((one, other) => one + other);
    }

    [Theory]
    [InlineData("tsv_m")]
    [InlineData("iso_c")]
    [InlineData("wudi")]
    public void VectorsAreAveraged(string method)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] tasks = [ones([4]), ones([4]) * 3];
        Check(ones([4]) * 2, Merged(MergeMethod.Find(method)!, tasks), 1e-6);
    }

    private static void Check(Tensor expected, Tensor actual, double tolerance)
    {
        double error = (expected - actual).abs().max().item<float>();
        Assert.True(error <= tolerance, $"largest error {error}");
    }

    private static Generator Generator(ulong seed) => new(seed);

    /// <summary>What a method gives for differences from a base of ones.</summary>
    private static Tensor Merged(MergeMethod method, Tensor[] tasks, params (string Name, double Value)[] parameters)
    {
        Tensor basis = ones(tasks[0].shape);
        using var tensor = new MergeTensor(
            "weight",
            tasks[0].shape,
            basis.clone(),
            tasks.Select(task => (task + basis).contiguous()),
            (name, _) =>
                Array.Find(parameters, parameter => parameter.Name == name) is { Name: not null } given
                    ? new(given.Value)
                    : method.Parameters.First(parameter => parameter.Name == name).Default!.Value
        );
        method.Merge(tensor);
        return tensor.TakeOutput() - basis;
    }
}

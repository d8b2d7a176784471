using TorchSharp;
using TorchSharp.Modules;
using Tensor = TorchSharp.torch.Tensor;

namespace Standins.TorchSharp.Tests;

public class LifetimeTests
{
    [Fact]
    public void A_scope_disposes_what_was_made_in_it()
    {
        Tensor kept, free, gone;
        using (torch.NewDisposeScope())
        {
            using (torch.NewDisposeScope())
            {
                gone = torch.ones(2);
                kept = (gone * 3).MoveToOuterDisposeScope();
                free = (gone * 4).DetachFromDisposeScope();
            }
            Assert.True(gone.IsInvalid);
            Assert.False(kept.IsInvalid);
            Assert.Equal(6, kept.sum().item<float>());
        }
        Assert.True(kept.IsInvalid);
        Assert.Equal(8, free.sum().item<float>());
        free.Dispose();
        free.Dispose();
    }

    [Fact]
    public void Live_tensor_counts_return_to_where_they_were()
    {
        var before = Tensor.TotalCount;
        using (torch.NewDisposeScope())
        {
            var w = torch.randn(4, 3, requires_grad: true);
            for (var i = 0; i < 3; i++)
            {
                using var step = torch.NewDisposeScope();
                var loss = torch.nn.functional.cross_entropy(torch.randn(5, 4).mm(w), torch.randint(0, 3, [5]));
                loss.backward();
                using (torch.no_grad()) w.sub_(w.grad! * 0.1);
                w.grad = null!;
                var parts = torch.arange(40).split(2);
                Assert.Equal(20, parts.Length);
                _ = parts[0][TensorIndex(parts[0] > 0)];
            }
            Assert.Equal(before + 1, Tensor.TotalCount);
            Assert.True(Tensor.PeakCount > before + 1);
        }
        Assert.Equal(before, Tensor.TotalCount);
    }

    private static torch.TensorIndex TensorIndex(Tensor mask) => torch.TensorIndex.Tensor(mask);

    [Fact]
    public void A_failed_operator_leaves_nothing_behind()
    {
        using var a = torch.ones(2, 3);
        var before = Tensor.TotalCount;
        Assert.ThrowsAny<Exception>(() => a[1, 7]);
        Assert.ThrowsAny<Exception>(() => a.mm(a));
        Assert.Equal(before, Tensor.TotalCount);
    }

    [Fact]
    public void Disposing_by_hand_takes_a_tensor_out_of_its_scope()
    {
        using var scope = torch.NewDisposeScope();
        var x = torch.ones(1);
        Assert.Equal(1, scope.DisposablesCount);
        Assert.True(scope.Contains(x));
        x.Dispose();
        Assert.Equal(0, scope.DisposablesCount);
    }

    [Fact]
    public void A_scope_can_keep_some_of_its_tensors()
    {
        using var scope = torch.NewDisposeScope();
        var (a, b) = (torch.ones(1), torch.ones(1));
        scope.DisposeEverythingBut(b);
        Assert.True(a.IsInvalid);
        Assert.False(b.IsInvalid);
        Assert.Equal(1, scope.DisposablesCount);
    }

    [Fact]
    public void Attaching_gives_a_free_tensor_an_owner()
    {
        var x = torch.ones(1);
        using (var scope = torch.NewDisposeScope()) scope.Attach(x);
        Assert.True(x.IsInvalid);
    }

    [Fact]
    public void Statistics_count_what_the_thread_made()
    {
        var statistics = DisposeScopeManager.Statistics;
        statistics.Reset();
        using (torch.NewDisposeScope())
        {
            _ = torch.ones(1);
            _ = torch.ones(1);
        }
        Assert.Equal(2, statistics.CreatedInScopeCount);
        Assert.Equal(2, statistics.DisposedInScopeCount);
        Assert.Equal(0, statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void A_parameter_takes_the_place_of_its_data()
    {
        Tensor data;
        Parameter parameter;
        using (torch.NewDisposeScope())
        {
            data = torch.ones(3);
            parameter = new Parameter(data);
            Assert.True(data.IsInvalid);
            Assert.True(parameter.requires_grad);
            Assert.True(parameter.is_leaf);
        }
        Assert.True(parameter.IsInvalid);
        using var frozen = torch.nn.Parameter(torch.ones(3), requires_grad: false);
        Assert.False(frozen.requires_grad);
    }

    [Fact]
    public void In_place_operations_return_the_same_object_and_others_a_new_one()
    {
        using var scope = torch.NewDisposeScope();
        var x = torch.ones(2, 2);
        Assert.Same(x, x.add_(1));
        Assert.Same(x, x.mul_(x).sub_(1).div_(2).clamp_(0, 1).zero_().fill_(3).copy_(torch.ones(2, 2)));
        Assert.Same(x, x.index_add_(0, torch.tensor(new long[] { 0 }), torch.ones(1, 2), 1));
        Assert.Same(x, x.normal_().uniform_(0, 1).requires_grad_(false));
        Assert.NotSame(x, x.to(torch.float32));
        Assert.NotSame(x, x.cpu());
        Assert.NotSame(x, x.view(4));
        Assert.NotSame(x, x.contiguous());
        Assert.NotSame(x, x.detach());
        Assert.NotSame(x, x.alias());
        using (var view = x.view(4)) view.fill_(5);
        Assert.Equal(20, x.sum().item<float>());
    }

    [Fact]
    public void A_finalized_tensor_releases_its_memory()
    {
        var before = Tensor.TotalCount;
        Forget();
        for (var i = 0; i < 20 && Tensor.TotalCount > before; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Assert.True(Tensor.TotalCount <= before);

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void Forget() => torch.ones(1);
    }

    [Fact]
    public void Scopes_and_grad_mode_belong_to_their_thread()
    {
        var failures = new List<Exception>();
        var threads = new[] { true, false }.Select(frozen => new Thread(() =>
        {
            try
            {
                using var mode = frozen ? torch.no_grad() : torch.enable_grad();
                for (var i = 0; i < 50; i++)
                {
                    using var scope = torch.NewDisposeScope();
                    var x = torch.ones(8, requires_grad: true);
                    var y = (x * x).sum();
                    Assert.Equal(!frozen, y.requires_grad);
                    if (!frozen)
                    {
                        y.backward();
                        Assert.Equal(16, x.grad!.sum().item<float>());
                    }
                    Assert.Equal(!frozen, torch.is_grad_enabled());
                    Assert.True(scope.DisposablesCount >= 3);
                }
            }
            catch (Exception e)
            {
                lock (failures) failures.Add(e);
            }
        })).ToArray();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        Assert.Empty(failures);
        Assert.True(torch.is_grad_enabled());
    }
}

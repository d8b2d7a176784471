using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Standins.TorchSharp.Tests;

public class TensorTests
{
    [Fact]
    public void Types_follow_the_data()
    {
        using var scope = NewDisposeScope();
        Assert.Equal(ScalarType.Int32, tensor(1).dtype);
        Assert.Equal(ScalarType.Int64, tensor(1L).dtype);
        Assert.Equal(ScalarType.Float64, tensor(1.0).dtype);
        Assert.Equal(ScalarType.Float32, tensor(1f).dtype);
        Assert.Equal(ScalarType.Bool, tensor(true).dtype);
        Assert.Equal(ScalarType.Int64, arange(3).dtype);
        Assert.Equal(ScalarType.Float32, arange(0.5, 3).dtype);
        Assert.Equal(ScalarType.Float32, zeros(2).dtype);
        Assert.Equal(ScalarType.Int64, full(2, 3).dtype);
        Assert.Equal(ScalarType.Float32, full(2, 3.0).dtype);
        Assert.Equal(ScalarType.Float32, (ones(2) * 2.0).dtype);
        Assert.Equal(ScalarType.Float32, (arange(2) * 2.5).dtype);
        Assert.Equal(ScalarType.Int64, (arange(2) + 2).dtype);
        Assert.Equal(ScalarType.Float32, (arange(2) / 2).dtype);
        Assert.Equal(ScalarType.Float64, (ones(2) + ones(2, float64)).dtype);
        Assert.Equal(ScalarType.Bool, (arange(2) > 0).dtype);
        Assert.Equal(ScalarType.Int64, (arange(3) > 0).sum().dtype);
        Assert.Equal(ScalarType.BFloat16, ones(2).to(bfloat16).dtype);
        Assert.Equal(1.5f, tensor(1.5f).to(bfloat16).ToSingle());
    }

    [Fact]
    public void Reading_as_another_type_throws()
    {
        using var scope = NewDisposeScope();
        Assert.ThrowsAny<ArgumentException>(() => tensor(1).item<long>());
        Assert.ThrowsAny<ArgumentException>(() => tensor(1f).item<double>());
        Assert.ThrowsAny<ArgumentException>(() => ones(2).data<double>());
        Assert.ThrowsAny<ArgumentException>(() => ones(2).item<float>());
    }

    [Fact]
    public void A_disposed_tensor_says_so()
    {
        var x = ones(1);
        x.Dispose();
        Assert.Throws<InvalidOperationException>(() => x + 1);
        Assert.Throws<InvalidOperationException>(() => ones(1) + x);
        Assert.Throws<InvalidOperationException>(() => x.shape);
        Assert.True(x.IsInvalid);
    }

    [Fact]
    public void Wrong_shapes_throw_with_libtorchs_message()
    {
        using var scope = NewDisposeScope();
        var error = Assert.Throws<ExternalException>(() => ones(2, 3).mm(ones(2, 3)));
        Assert.Contains("2x3", error.Message, StringComparison.Ordinal);
        Assert.Throws<ExternalException>(() => ones(2, 3).view(5));
        Assert.Throws<ExternalException>(() => ones(2) + ones(3));
    }

    [Fact]
    public void Arithmetic_and_broadcasting()
    {
        using var scope = NewDisposeScope();
        var a = arange(6, float32).reshape(2, 3);
        Assert.Equal([1f, 3, 5, 7, 9, 11], (a * 2 + 1).data<float>().ToArray());
        Assert.Equal([1f, 0, -1, -2, -3, -4], (1 - a).data<float>().ToArray());
        Assert.Equal([1f, 0.5f], (2 / tensor(new float[] { 2, 4 })).data<float>().ToArray());
        Assert.Equal([0f, 2, 4, 3, 5, 7], (a + tensor(new float[] { 0, 1, 2 })).data<float>().ToArray());
        Assert.Equal([-2f, 1], tensor(new float[] { -7, 5 }).div(4, RoundingMode.floor).data<float>().ToArray());
        Assert.Equal([1f, 1], (tensor(new float[] { -7, 5 }) % 4).data<float>().ToArray());
        Assert.Equal([2f, 3, 4], ones(3).addcmul(tensor(new float[] { 1, 2, 3 }), ones(3), 1).data<float>().ToArray());
        Assert.Equal([0.5f, 0], ones(2).addcdiv(tensor(new float[] { -1, -2 }), full(2, 2f), 1).data<float>().ToArray());
        Assert.Equal([1f, 1.5f], ones(2).lerp(tensor(new float[] { 1, 2 }), full(2, 0.5f)).data<float>().ToArray());
        Assert.Equal([true, false], (tensor(new[] { true, true }) & tensor(new[] { true, false })).data<bool>().ToArray());
        Assert.Equal([3f, 3], ones(2).add(ones(2), 2).data<float>().ToArray());
    }

    [Fact]
    public void Indexing_reads_and_writes()
    {
        using var scope = NewDisposeScope();
        var a = arange(24).reshape(2, 3, 4);
        Assert.Equal(23, a[1, 2, 3].item<long>());
        Assert.Equal([12L, 13, 14, 15], a[1, 0].data<long>().ToArray());
        Assert.Equal([2L, 2], a[.., 1..3, ^1].shape);
        Assert.Equal([7L, 11, 19, 23], a[.., 1..3, ^1].data<long>().ToArray());
        Assert.Equal([2L, 3, 2], a[TensorIndex.Ellipsis, TensorIndex.Slice(0, null, 2)].shape);
        Assert.Equal([1L, 2, 3, 4], a[TensorIndex.None].shape);
        Assert.Equal([22L, 23], a[a > 21].data<long>().ToArray());
        Assert.Equal([2L, 2, 4], a[TensorIndex.Colon, TensorIndex.Tensor(tensor(new long[] { 2, 0 }))].shape);
        a[0, 0, 0] = tensor(100L);
        a[1, TensorIndex.Slice(1)] = tensor(7L);
        Assert.Equal(100, a[0, 0, 0].item<long>());
        Assert.Equal(56 + 12 + 13 + 14 + 15, a[1].sum().item<long>());
        a.index_put_(tensor(-1L), tensor(new long[] { 0 }), tensor(new long[] { 2 }));
        Assert.Equal([-1L, -1, -1, -1], a[0, 2].data<long>().ToArray());
        Assert.Throws<ExternalException>(() => a[2]);
    }

    [Fact]
    public void Selection_gather_and_scatter()
    {
        using var scope = NewDisposeScope();
        var (values, indices) = tensor(new float[] { 3, 1, 4, 1, 5 }).topk(2);
        Assert.Equal([5f, 4], values.data<float>().ToArray());
        Assert.Equal([4L, 2], indices.data<long>().ToArray());
        var (third, _) = kthvalue(tensor(new float[] { 3, 1, 4, 1, 5 }), 3, 0);
        Assert.Equal(3, third.item<float>());
        var (sorted, order) = tensor(new float[] { 2, 1, 2, 1 }).sort(0, true, true);
        Assert.Equal([2f, 2, 1, 1], sorted.data<float>().ToArray());
        Assert.Equal([0L, 2, 1, 3], order.data<long>().ToArray());
        Assert.Equal([1f, 0, 2], zeros(3).scatter_add_(0, tensor(new long[] { 0, 2, 2 }), ones(3)).data<float>().ToArray());
        Assert.Equal([0f, 1, 0, 0, 0, 1], zeros(2, 3).scatter_(1, tensor(new long[,] { { 1 }, { 2 } }), ones(2, 1)).data<float>().ToArray());
        Assert.Equal([0f, 3, 0], zeros(3).index_copy_(0, tensor(new long[] { 1 }), full(1, 3f)).data<float>().ToArray());
        Assert.Equal([9f, 0, 9], zeros(3).index_fill_(0, tensor(new long[] { 0, 2 }), 9).data<float>().ToArray());
        Assert.Equal([3L, 4], arange(5).masked_select(arange(5) > 2).data<long>().ToArray());
        Assert.Equal([2L, 1], arange(5).take(tensor(new long[] { 2, 1 })).data<long>().ToArray());
        Assert.Equal([1L, 0, 2], bincount(tensor(new long[] { 0, 2, 2 })).data<long>().ToArray());
        Assert.Equal([1L, 3], tensor(new[] { false, true, false, true }).nonzero().view(-1).data<long>().ToArray());
    }

    [Fact]
    public void Shapes()
    {
        using var scope = NewDisposeScope();
        var a = arange(6).reshape(2, 3);
        Assert.Equal([2L, 3], a.shape);
        Assert.Equal(3, a.size(-1));
        Assert.Equal(2, a.dim());
        Assert.Equal(6, a.numel());
        Assert.Equal(8, a.element_size());
        Assert.True(a.is_contiguous());
        Assert.False(a.t().is_contiguous());
        Assert.Equal([0L, 3, 1, 4, 2, 5], a.t().contiguous().data<long>().ToArray());
        Assert.Equal([0L, 3, 1, 4, 2, 5], a.t().data<long>().ToArray());
        Assert.Equal([3L, 1, 2], a.permute(1, 0).unsqueeze(1).shape);
        Assert.Equal([2L, 3], a.unsqueeze(0).squeeze(0).shape);
        Assert.Equal([2L, 6], a.repeat(1, 2).shape);
        Assert.Equal([6L, 3], a.repeat_interleave(3, 0).shape);
        Assert.Equal([2L, 1, 3], a.view(6).unflatten(0, 2, 1, 3).shape);
        Assert.Equal([6L], a.flatten().shape);
        Assert.Equal([1L, 2], a[0].narrow(0, 1, 2).data<long>().ToArray());
        Assert.Equal([1L, 4], a.slice(1, 1, 2, 1).view(-1).data<long>().ToArray());
        Assert.Equal([[2L, 1], [2, 2]], a.split([1, 2], 1).Select(t => t.shape).ToArray());
        Assert.Equal(3, a.chunk(3, 1).Length);
        Assert.Equal([[1L, 2], [0, 5]], new[] { a[0, TensorIndex.Slice(1)], a.view(-1)[TensorIndex.Slice(0, 6, 5)] }.Select(t => t.data<long>().ToArray()));
    }

    [Fact]
    public void Reductions()
    {
        using var scope = NewDisposeScope();
        var a = tensor(new float[,] { { 1, 2, 3 }, { 4, 5, 9 } });
        Assert.Equal(24, a.sum().item<float>());
        Assert.Equal([5f, 7, 12], a.sum(dim: 0).data<float>().ToArray());
        Assert.Equal([2f, 6], a.mean(new long[] { 1 }).data<float>().ToArray());
        Assert.Equal([3L], a.amax(new long[] { 0 }).shape);
        Assert.Equal([2L, 2], a.argmax(1).data<long>().ToArray());
        Assert.Equal(5, a.argmax().item<long>());
        var (largest, where) = a.max(0);
        Assert.Equal([4f, 5, 9], largest.data<float>().ToArray());
        Assert.Equal([1L, 1, 1], where.data<long>().ToArray());
        Assert.Equal(1, a[0].std().item<float>());
        Assert.Equal(2f / 3, a[0].var(false).item<float>(), 6);
        Assert.Equal(Math.Sqrt(14), a[0].norm().item<float>(), 5);
        Assert.Equal([1f, 3, 6], a[0].cumsum(0).data<float>().ToArray());
        Assert.True((a > 0).all().item<bool>());
        Assert.False((a > 9).any().item<bool>());
        Assert.Equal(32, a[0].dot(tensor(new float[] { 4, 5, 6 })).item<float>());
    }

    [Fact]
    public void Equality()
    {
        using var scope = NewDisposeScope();
        Assert.True(arange(3).Equals(arange(3)));
        Assert.False(arange(3).Equals(arange(4)));
        Assert.True(ones(2).allclose(ones(2) + 1e-7));
        Assert.False(ones(2).allclose(ones(2) + 1e-3));
        Assert.Equal([true, false], (tensor(new[] { 1, 2 }) == tensor(new[] { 1, 3 })).data<bool>().ToArray());
    }

    [Fact]
    public void Bytes_round_trip()
    {
        using var scope = NewDisposeScope();
        var a = arange(1000, float32);
        using var stream = new MemoryStream();
        a.WriteBytesToStream(stream);
        Assert.Equal(4000, stream.Length);
        stream.Position = 0;
        var b = empty(1000);
        b.ReadBytesFromStream(stream);
        Assert.True(a.Equals(b));
        Assert.Equal(MemoryMarshal.AsBytes<float>([0f, 1]).ToArray(), a.bytes[..8].ToArray());
        var c = zeros(2, bfloat16);
        c.bytes = new byte[] { 0x80, 0x3f, 0x00, 0x40 };
        Assert.Equal([1f, 2], c.to(float32).data<float>().ToArray());
    }

    [Fact]
    public void A_tensor_copies_its_array_and_a_buffer_is_shared()
    {
        using var scope = NewDisposeScope();
        var array = new float[] { 1, 2, 3 };
        var (copy, shared, part) = (tensor(array), frombuffer(array, float32), frombuffer(array, float32, 2, 1));
        array[1] = 9;
        Assert.Equal(2, copy[1].item<float>());
        Assert.Equal(9, shared[1].item<float>());
        Assert.Equal([9f, 3], part.data<float>().ToArray());
        Assert.Equal([2L, 2], from_array(new double[2, 2]).shape);
        Assert.Throws<ArgumentException>(() => tensor(array, [2, 2]));
        IList<int> list = new List<int> { 1, 2, 3, 4 };
        Assert.Equal([2L, 2], tensor(list, 2, 2).shape);
    }

    [Fact]
    public void Equal_seeds_give_equal_numbers()
    {
        using var scope = NewDisposeScope();
        manual_seed(5);
        var a = randn(4, 3);
        manual_seed(5);
        Assert.True(a.Equals(randn(4, 3)));
        Assert.False(a.Equals(randn(4, 3)));
        using var generator = new Generator(7);
        var b = rand(3, generator: generator);
        var order = randperm(8, generator: generator);
        generator.manual_seed(7);
        Assert.True(b.Equals(rand(3, generator: generator)));
        Assert.True(order.Equals(randperm(8, generator: generator)));
        Assert.Equal(28, order.sum().item<long>());
        using var other = new Generator(7);
        manual_seed(1);
        Assert.True(b.Equals(rand(3, generator: other)));
        var state = generator.get_state();
        var next = randint(100, [5], generator: generator);
        generator.set_state(state);
        Assert.True(next.Equals(randint(100, [5], generator: generator)));
    }

    [Fact]
    public void Random_numbers_have_their_distribution()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var n = randn(100_000);
        Assert.InRange(n.mean().item<float>(), -0.02, 0.02);
        Assert.InRange(n.std().item<float>(), 0.98, 1.02);
        Assert.InRange(bernoulli(full(100_000, 0.3f)).mean().item<float>(), 0.29, 0.31);
        Assert.InRange(randint(2, 5, [1000]).min().item<long>(), 2, 2);
        Assert.InRange(randint(2, 5, [1000]).max().item<long>(), 4, 4);
        Assert.Equal(4, multinomial(tensor(new float[] { 0, 1, 0 }), 4, replacement: true).sum().item<long>());
        var dropped = nn.functional.dropout(ones(100_000), 0.25);
        Assert.InRange((dropped == 0).to(float32).mean().item<float>(), 0.24, 0.26);
        Assert.Equal(1 / 0.75f, dropped.max().item<float>(), 5);
    }

    [Fact]
    public void Devices_and_threads()
    {
        using var scope = NewDisposeScope();
        Assert.Equal(DeviceType.CPU, ones(1).device.type);
        Assert.Equal(DeviceType.CUDA, device("cuda:1").type);
        Assert.Equal(1, device("cuda:1").index);
        Assert.Equal("cuda:1", device("cuda:1").ToString());
        Assert.True(TryInitializeDeviceType(DeviceType.CPU));
        Assert.Equal(cuda.device_count() > 0, cuda.is_available());
        var threads = get_num_threads();
        Assert.True(threads >= 1);
        set_num_threads(1);
        Assert.Equal(1, get_num_threads());
        set_num_threads(threads);
    }

    [Fact]
    public void Losses_ignore_what_they_are_told_to()
    {
        using var scope = NewDisposeScope();
        var loss = nn.functional.cross_entropy(zeros(2, 3), tensor(new long[] { 0, -100 }), ignore_index: -100);
        Assert.Equal(MathF.Log(3), loss.item<float>(), 6);
        var smooth = nn.functional.cross_entropy(zeros(1, 4), tensor(new long[] { 2 }), label_smoothing: 0.1);
        Assert.Equal(MathF.Log(4), smooth.item<float>(), 6);
    }

    [Fact]
    public void Attention_equals_its_formula()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = (randn(2, 3, 4, 8), randn(2, 3, 4, 8), randn(2, 3, 4, 8));
        var scores = q.matmul(k.transpose(-2, -1)) / Math.Sqrt(8);
        scores = scores.masked_fill(ones(4, 4).triu(1).to(ScalarType.Bool), float.NegativeInfinity);
        var expected = nn.functional.softmax(scores, -1).matmul(v);
        Assert.True(allclose(nn.functional.scaled_dot_product_attention(q, k, v, null, 0, true), expected, 1e-4, 1e-5));
        Assert.True(allclose(nn.functional.scaled_dot_product_attention(q, k, v, ones(4, 4).tril().to(ScalarType.Bool)), expected, 1e-4, 1e-5));
    }
}

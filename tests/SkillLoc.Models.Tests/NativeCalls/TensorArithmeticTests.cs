using System.Diagnostics;
using System.Reflection;
using SkillLoc.Models.NativeCalls;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.NativeCalls;

public sealed class TensorArithmeticTests
{
    private static readonly jit.CompilationUnit Script = jit.compile(
        "def multiply(values: List[Tensor], last: Tensor):\n    return values[0] * last\n"
    );

    private static readonly Case[] Cases =
    [
        new(nameof(TensorArithmetic.Add), x => x.Add(Other(x)), x => x + Other(x)),
        new(nameof(TensorArithmetic.Add), x => x.Add(0.3), x => x + 0.3),
        new(nameof(TensorArithmetic.Add), x => x.Add(3), x => x + 3) { Integers = true },
        new(nameof(TensorArithmetic.Add_), x => x.Add_(Other(x)), x => x.add_(Other(x))),
        new(nameof(TensorArithmetic.Add_), x => x.Add_(Other(x), 0.3), x => x.add_(Other(x), 0.3)),
        new(nameof(TensorArithmetic.Add_), x => x.Add_(0.3), x => x.add_(0.3)),
        new(nameof(TensorArithmetic.Sub), x => x.Sub(0.3), x => x - 0.3),
        new(nameof(TensorArithmetic.Sub), x => x.Sub(3), x => x - 3) { Integers = true },
        new(nameof(TensorArithmetic.Sub_), x => x.Sub_(0.3), x => x.sub_(0.3)),
        new(nameof(TensorArithmetic.Rsub), x => x.Rsub(1), x => 1 - x),
        new(nameof(TensorArithmetic.Rsub), x => x.Rsub(0.3), x => 0.3 - x),
        new(nameof(TensorArithmetic.Mul), x => x.Mul(0.3), x => x * 0.3),
        new(nameof(TensorArithmetic.Mul), x => x.Mul(3), x => x * 3) { Integers = true },
        new(nameof(TensorArithmetic.Mul_), x => x.Mul_(0.3), x => x.mul_(0.3)),
        new(nameof(TensorArithmetic.Div_), x => x.Div_(0.3), x => x.div_(0.3)),
        new(nameof(TensorArithmetic.Div_), x => x.Div_(7), x => x.div_(7)),
        new(nameof(TensorArithmetic.Addcmul_), x => x.Addcmul_(Other(x), Other(x)), x => x.addcmul_(Other(x), Other(x), 1)),
        new(nameof(TensorArithmetic.Addcmul_), x => x.Addcmul_(Other(x), Other(x), 0.3), x => x.addcmul_(Other(x), Other(x), 0.3)),
        new(nameof(TensorArithmetic.Addcdiv_), x => x.Addcdiv_(Other(x), Other(x), -0.3), x => x.addcdiv_(Other(x), Other(x), -0.3)),
        new(nameof(TensorArithmetic.Square), x => x.Square(), x => x.square()),
        new(nameof(TensorArithmetic.Clamp_), x => x.Clamp_(0, 1), x => x.clamp_(0, 1)),
        new(nameof(TensorArithmetic.ClampMin_), x => x.ClampMin_(0.5), x => x.clamp_min_(0.5)),
        new(nameof(TensorArithmetic.ClampMax), x => x.ClampMax(1), x => x.clamp_max(1)) { Integers = true },
        new(nameof(TensorArithmetic.Eq), x => x.Eq(3), x => x.eq(3)) { Integers = true },
        new(nameof(TensorArithmetic.Ne), x => x.Ne(-100), x => x.ne(-100)) { Integers = true },
        new(nameof(TensorArithmetic.Gt), x => x.Gt(0.3), x => x.gt(0.3)),
        new(nameof(TensorArithmetic.MaskedFill), x => x.MaskedFill(Mask(x), -1.0 / 0), x => x.masked_fill(Mask(x), -1.0 / 0)),
        new(nameof(TensorArithmetic.MaskedFill), x => x.MaskedFill(Mask(x), 7), x => x.masked_fill(Mask(x), 7)) { Integers = true },
        new(nameof(TensorArithmetic.MaskedFill_), x => x.MaskedFill_(Mask(x), 0.3), x => x.masked_fill_(Mask(x), 0.3)),
        new(nameof(TensorArithmetic.IndexFill_), x => x.IndexFill_(0, Index, 0.3), x => x.index_fill_(0, Index, 0.3)),
        new(nameof(TensorArithmetic.IndexAdd_), x => x.IndexAdd_(0, Index, x[Index]), x => x.index_add_(0, Index, x[Index], 1)),
        new(nameof(TensorArithmetic.Arange), _ => TensorArithmetic.Arange(-2, 9, CPU), _ => arange(-2, 9)) { Integers = true },
        new(nameof(TensorArithmetic.Arange), _ => TensorArithmetic.Arange(9, -1, CPU, -1), _ => arange(9, -1, -1)) { Integers = true },
        new(nameof(TensorArithmetic.Full), _ => TensorArithmetic.Full([2, 3], 5, CPU), _ => full(2, 3, 5)) { Integers = true },
        new(nameof(TensorArithmetic.Full), _ => TensorArithmetic.Full([2, 3], 0.3), _ => full(2, 3, 0.3)),
        new(
            nameof(TensorArithmetic.Invoke),
            x =>
                Script.Invoke(
                    "multiply",
                    [
                        [x],
                    ],
                    x
                ),
            x => x.mul(x)
        ),
    ];

    [Fact]
    public void EveryOperationHasACase() =>
        Assert.All(
            typeof(TensorArithmetic).GetMethods(BindingFlags.Public | BindingFlags.Static).GroupBy(method => method.Name),
            overloads => Assert.InRange(Cases.Count(one => one.Name == overloads.Key), overloads.Count(), int.MaxValue)
        );

    [Fact]
    public void OperationsGiveTheBitsOfTorchSharpsOwn()
    {
        foreach (Case one in Cases)
        {
            foreach (ScalarType type in one.Types)
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor expected = one.Torchs(Input(type)),
                    found = one.Ours(Input(type));
                Assert.Equal(expected.dtype, found.dtype);
                Assert.Equal(expected.shape, found.shape);
                Assert.True(expected.bytes.SequenceEqual(found.bytes), $"{one.Name} of {type}");
            }
        }
    }

    /// <summary>With TorchSharp's own operations in the place of ours, 12 runs of 12 failed.</summary>
    [Fact]
    public void OperationsHoldTheirScalarsWhileGarbageIsCollected()
    {
        byte[][] expected = [.. Cases.Select(Bytes)];
        using var collection = new ConstantCollection();
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(4); )
        {
            for (int i = 0; i < Cases.Length; i++)
            {
                Assert.True(expected[i].AsSpan().SequenceEqual(Bytes(Cases[i])), Cases[i].Name);
            }
        }

        static byte[] Bytes(Case one)
        {
            using DisposeScope scope = NewDisposeScope();
            return one.Ours(Input(one.Types[0])).bytes.ToArray();
        }
    }

    private static Tensor Index => tensor(new[] { 1L, 4L });

    private static Tensor Mask(Tensor x) => x > Other(x);

    private static Tensor Input(ScalarType type) => tensor(new[] { -100, -2.7, -0.3, 0, 0.2999, 0.3, 1, 3, 2.5, 1e-3, 700 }).to(type);

    /// <summary>Numbers of the tensor's type that are not 0.</summary>
    private static Tensor Other(Tensor x) => tensor(Enumerable.Range(1, (int)x.numel()).Select(i => 0.7 * i).ToArray()).to(x.dtype);

    /// <param name="Name">The operation.</param>
    /// <param name="Ours">What is tested.</param>
    /// <param name="Torchs">TorchSharp's own.</param>
    private sealed record Case(string Name, Func<Tensor, Tensor> Ours, Func<Tensor, Tensor> Torchs)
    {
        public bool Integers { get; init; }

        public ScalarType[] Types => Integers ? [ScalarType.Int64] : [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float64];
    }
}

using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.NativeCalls;

/// <summary>
/// An update of AdamW (Loshchilov and Hutter 2019, algorithm 2) in one native call that reads and writes each number once. Operator by
/// operator, values and moments pass through memory several times, which takes three times as long where they are larger than the
/// processor's caches.
/// </summary>
internal static class FusedAdamW
{
    private const string Function = "update";

    // TorchSharp has no method for the operator; TorchScript reaches all of them. Lists that it made itself would be optimised away.
    private static readonly Lazy<jit.CompilationUnit> Script = new(() =>
        jit.compile(
            $"""
            def {Function}(values: List[Tensor], gradients: List[Tensor], first: List[Tensor], second: List[Tensor],
                    largest: List[Tensor], steps: List[Tensor], numbers: Tensor):
                torch._fused_adamw_(values, gradients, first, second, largest, steps,
                    lr=float(numbers[0]), beta1=float(numbers[1]), beta2=float(numbers[2]), weight_decay=float(numbers[3]),
                    eps=float(numbers[4]), amsgrad=False, maximize=False)
                return numbers

            """
        )
    );

    /// <summary>Updates values and moments in place. Call it without gradients being recorded.</summary>
    /// <param name="values">The values, of one type and device; at least one.</param>
    /// <param name="gradients">Their gradients.</param>
    /// <param name="first">The running means of the gradients.</param>
    /// <param name="second">The running means of their squares.</param>
    /// <param name="update">This update's number, from 1.</param>
    /// <param name="rate">The learning rate.</param>
    /// <param name="decay">The decoupled weight decay.</param>
    /// <param name="beta1">The decay rate of the means.</param>
    /// <param name="beta2">The decay rate of the means of squares.</param>
    /// <param name="epsilon">What is added to the root of the mean square, without bias.</param>
    public static void Update(
        Tensor[] values,
        Tensor[] gradients,
        Tensor[] first,
        Tensor[] second,
        int update,
        double rate,
        double decay,
        double beta1,
        double beta2,
        double epsilon
    )
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor step = tensor((float)update, device: values[0].device);
        Tensor[] steps = [.. Enumerable.Repeat(step, values.Length)];
        Tensor numbers = tensor(new[] { rate, beta1, beta2, decay, epsilon });
        _ = Script.Value.Invoke(Function, [values, gradients, first, second, [], steps], numbers);
    }
}

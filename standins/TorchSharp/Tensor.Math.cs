using static TorchSharp.Operator;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor abs() => Call("abs", this);
        public Tensor abs_() => Run("abs_", this);
        public Tensor neg() => Call("neg", this);
        public Tensor neg_() => Run("neg_", this);
        public Tensor sign() => Call("sign", this);
        public Tensor floor() => Call("floor", this);
        public Tensor floor_() => Run("floor_", this);
        public Tensor ceil() => Call("ceil", this);
        public Tensor exp() => Call("exp", this);
        public Tensor exp_() => Run("exp_", this);
        public Tensor log() => Call("log", this);
        public Tensor log_() => Run("log_", this);
        public Tensor log1p() => Call("log1p", this);
        public Tensor log2() => Call("log2", this);
        public Tensor log10() => Call("log10", this);
        public Tensor sqrt() => Call("sqrt", this);
        public Tensor sqrt_() => Run("sqrt_", this);
        public Tensor rsqrt() => Call("rsqrt", this);
        public Tensor rsqrt_() => Run("rsqrt_", this);
        public Tensor square() => Call("square", this);
        public Tensor reciprocal() => Call("reciprocal", this);
        public Tensor sigmoid() => Call("sigmoid", this);
        public Tensor sigmoid_() => Run("sigmoid_", this);
        public Tensor tanh() => Call("tanh", this);
        public Tensor tanh_() => Run("tanh_", this);
        public Tensor sin() => Call("sin", this);
        public Tensor cos() => Call("cos", this);
        public Tensor erf() => Call("erf", this);
        public Tensor erfc() => Call("erfc", this);
        public Tensor gelu() => Call("gelu", this);
        public Tensor relu() => Call("relu", this);
        public Tensor relu_() => Run("relu_", this);
        public Tensor silu() => Call("silu", this);
        public Tensor silu_() => Run("silu_", this);
        public Tensor add(Scalar scalar) => Call("add.Scalar", this, scalar);
        public Tensor add(Scalar scalar, Scalar alpha) => Call("add.Scalar", this, scalar, alpha);
        public Tensor add(Tensor target) => Call("add.Tensor", this, target);
        public Tensor add(Tensor target, Scalar alpha) => Call("add.Tensor", this, target, alpha);
        public Tensor add_(Scalar scalar) => Run("add_.Scalar", this, scalar);
        public Tensor add_(Scalar scalar, Scalar alpha) => Run("add_.Scalar", this, scalar, alpha);
        public Tensor add_(Tensor target) => Run("add_.Tensor", this, target);
        public Tensor add_(Tensor target, Scalar alpha) => Run("add_.Tensor", this, target, alpha);
        public Tensor sub(Scalar target) => Call("sub.Scalar", this, target);
        public Tensor sub(Tensor target) => Call("sub.Tensor", this, target);
        public Tensor sub_(Scalar target) => Run("sub_.Scalar", this, target);
        public Tensor sub_(Tensor target) => Run("sub_.Tensor", this, target);
        public Tensor mul(Scalar target) => Call("mul.Scalar", this, target);
        public Tensor mul(Tensor target) => Call("mul.Tensor", this, target);
        public Tensor mul_(Scalar target) => Run("mul_.Scalar", this, target);
        public Tensor mul_(Tensor target) => Run("mul_.Tensor", this, target);
        public Tensor div(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            Call("div.Scalar_mode", this, target, Mode(rounding_mode));
        public Tensor div(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            Call("div.Tensor_mode", this, target, Mode(rounding_mode));
        public Tensor div_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            Run("div_.Scalar_mode", this, target, Mode(rounding_mode));
        public Tensor div_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            Run("div_.Tensor_mode", this, target, Mode(rounding_mode));
        public Tensor pow(Scalar exponent) => Call("pow.Tensor_Scalar", this, exponent);
        public Tensor pow(Tensor exponent) => Call("pow.Tensor_Tensor", this, exponent);
        public Tensor pow_(Scalar exponent) => Run("pow_.Scalar", this, exponent);
        public Tensor pow_(Tensor exponent) => Run("pow_.Tensor", this, exponent);
        public Tensor remainder(Scalar scalar) => Call("remainder.Scalar", this, scalar);
        public Tensor remainder(Tensor target) => Call("remainder.Tensor", this, target);
        public Tensor fmod(Scalar scalar) => Call("fmod.Scalar", this, scalar);
        public Tensor fmod(Tensor target) => Call("fmod.Tensor", this, target);
        public Tensor addcmul(Tensor tensor1, Tensor tensor2, Scalar value) => Call("addcmul", this, tensor1, tensor2, value);
        public Tensor addcmul_(Tensor tensor1, Tensor tensor2, Scalar value) => Run("addcmul_", this, tensor1, tensor2, value);
        public Tensor addcdiv(Tensor tensor1, Tensor tensor2) => addcdiv(tensor1, tensor2, 1);
        public Tensor addcdiv(Tensor tensor1, Tensor tensor2, Scalar value) => Call("addcdiv", this, tensor1, tensor2, value);
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2) => addcdiv_(tensor1, tensor2, 1);
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2, Scalar value) => Run("addcdiv_", this, tensor1, tensor2, value);
        public Tensor lerp(Tensor end, Tensor weight) => Call("lerp.Tensor", this, end, weight);
        public Tensor lerp_(Tensor end, Tensor weight) => Run("lerp_.Tensor", this, end, weight);
        public Tensor maximum(Tensor other) => Call("maximum", this, other);
        public Tensor minimum(Tensor other) => Call("minimum", this, other);
        public Tensor clamp(Scalar? min = null, Scalar? max = null) => Call("clamp", this, min, max);
        public Tensor clamp(Tensor? min = null, Tensor? max = null) => Call("clamp.Tensor", this, min, max);
        public Tensor clamp_(Scalar? min = null, Scalar? max = null) => Run("clamp_", this, min, max);
        public Tensor clamp_(Tensor? min = null, Tensor? max = null) => Run("clamp_.Tensor", this, min, max);
        public Tensor clamp_min(Scalar min) => Call("clamp_min", this, min);
        public Tensor clamp_max(Scalar max) => Call("clamp_max", this, max);
        public Tensor clamp_min_(Scalar min) => Run("clamp_min_", this, min);
        public Tensor clamp_max_(Scalar max) => Run("clamp_max_", this, max);
        public Tensor nan_to_num(double nan = 0, double? posinf = null, double? neginf = null) =>
            Call("nan_to_num", this, nan, posinf, neginf);
        public Tensor trunc() => Call("trunc", this);
        public Tensor round(long decimals = 0) => Call("round.decimals", this, decimals);
        public Tensor round_(long decimals = 0) => Run("round_.decimals", this, decimals);
        public Tensor floor_divide(Scalar other) => Call("floor_divide.Scalar", this, other);
        public Tensor floor_divide(Tensor other) => Call("floor_divide", this, other);
        public Tensor softmax(long dim, ScalarType? dtype = null) => Call("softmax.int", this, dim, dtype);
        public Tensor log_softmax(long dim, ScalarType? dtype = null) => Call("log_softmax.int", this, dim, dtype);
        public Tensor logsumexp(long dim, bool keepdim = false) => Call("logsumexp", this, new[] { dim }, keepdim);

        private static string? Mode(RoundingMode mode) => mode == RoundingMode.None ? null : mode.ToString();
    }
}

using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class optim
        {
            public static AdamW AdamW(
                IEnumerable<Parameter> parameters, double lr = 0.001, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-08, double weight_decay = 0, bool amsgrad = false, bool maximize = false) =>
                new(parameters, lr, beta1, beta2, eps, weight_decay, amsgrad, maximize);

            public static AdamW AdamW(
                IEnumerable<(string name, Parameter parameter)> parameters, double lr = 0.001, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-08, double weight_decay = 0, bool amsgrad = false, bool maximize = false) =>
                new(parameters.Select(p => p.parameter), lr, beta1, beta2, eps, weight_decay, amsgrad, maximize);

            public static AdamW AdamW(
                IEnumerable<AdamW.ParamGroup> parameters, double lr = 0.001, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-08, double weight_decay = 0, bool amsgrad = false, bool maximize = false) =>
                new(parameters, lr, beta1, beta2, eps, weight_decay, amsgrad, maximize);
        }
    }
}

namespace TorchSharp.Modules
{
    public class AdamW : OptimizerHelper, optim.IBetas
    {
        private readonly Options _options;
        private readonly Dictionary<Parameter, Moments> _moments = new(ReferenceEqualityComparer.Instance);

        public AdamW(
            IEnumerable<Parameter> parameters, double lr = 0.001, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-08, double weight_decay = 0, bool amsgrad = false, bool maximize = false)
            : this([new ParamGroup { Parameters = parameters }], lr, beta1, beta2, eps, weight_decay, amsgrad, maximize)
        {
        }

        public AdamW(
            IEnumerable<ParamGroup> parameters, double lr = 0.001, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-08, double weight_decay = 0, bool amsgrad = false, bool maximize = false)
        {
            if (lr < 0) throw new ArgumentException($"Invalid learning rate: {lr}");
            if (eps < 0) throw new ArgumentException($"Invalid ε: {eps}");
            if (beta1 is < 0 or >= 1) throw new ArgumentException($"Invalid beta1: {beta1}");
            if (beta2 is < 0 or >= 1) throw new ArgumentException($"Invalid beta2: {beta2}");
            if (weight_decay < 0) throw new ArgumentException($"Invalid weight_decay value: {weight_decay}");
            _options = new Options
            {
                LearningRate = lr,
                beta1 = beta1,
                beta2 = beta2,
                eps = eps,
                weight_decay = weight_decay,
                amsgrad = amsgrad,
                maximize = maximize,
            };
            foreach (var group in parameters) add_param_group(group);
        }

        public (double, double) Betas
        {
            get => (_options.beta1!.Value, _options.beta2!.Value);
            set
            {
                foreach (var group in _parameter_groups) ((ParamGroup)group).Betas = value;
            }
        }

        public override void add_param_group(Modules.ParamGroup param_group)
        {
            var options = (Options)(param_group.Options ??= new Options());
            options.LearningRate ??= _options.LearningRate;
            options.beta1 ??= _options.beta1;
            options.beta2 ??= _options.beta2;
            options.eps ??= _options.eps;
            options.weight_decay ??= _options.weight_decay;
            options.amsgrad ??= _options.amsgrad;
            options.maximize ??= _options.maximize;
            options.InitialLearningRate = options.LearningRate!.Value;
            base.add_param_group(param_group);
        }

        public override Tensor? step(Func<Tensor>? closure = null) => _step<ParamGroup>(
            group =>
            {
                var options = group.Options;
                var (beta1, beta2, rate) = (options.beta1!.Value, options.beta2!.Value, options.LearningRate!.Value);
                foreach (var parameter in group.Parameters)
                {
                    if (parameter.grad is not { } grad) continue;
                    using var scope = NewDisposeScope();
                    if (options.maximize!.Value) grad = -grad;
                    if (!_moments.TryGetValue(parameter, out var moments))
                        _moments[parameter] = moments = new Moments(parameter, options.amsgrad!.Value);
                    moments.Step++;
                    parameter.mul_(1 - rate * options.weight_decay!.Value);
                    moments.First.mul_(beta1).add_(grad, 1 - beta1);
                    moments.Second.mul_(beta2).addcmul_(grad, grad, 1 - beta2);
                    var second = moments.Second;
                    if (moments.Largest is { } largest) second = largest.copy_(maximum(largest, second));
                    var denominator = second.sqrt().div_(Math.Sqrt(1 - Math.Pow(beta2, moments.Step))).add_(options.eps!.Value);
                    parameter.addcdiv_(moments.First, denominator, -rate / (1 - Math.Pow(beta1, moments.Step)));
                }
            },
            closure);

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            if (!disposing) return;
            foreach (var moments in _moments.Values) moments.Dispose();
            _moments.Clear();
        }

        private sealed class Moments(Parameter parameter, bool amsgrad) : IDisposable
        {
            public long Step { get; set; }
            public Tensor First { get; } = zeros_like(parameter).DetachFromDisposeScope();
            public Tensor Second { get; } = zeros_like(parameter).DetachFromDisposeScope();
            public Tensor? Largest { get; } = amsgrad ? zeros_like(parameter).DetachFromDisposeScope() : null;

            public void Dispose()
            {
                First.Dispose();
                Second.Dispose();
                Largest?.Dispose();
            }
        }

        public class Options : OptimizerOptions
        {
            public double? beta1;
            public double? beta2;
            public double? eps;
            public double? weight_decay;
            public bool? amsgrad;
            public bool? maximize;
        }

        public class ParamGroup : ParamGroup<Options>, optim.IBetas
        {
            public ParamGroup()
            {
            }

            public ParamGroup(IEnumerable<Parameter> parameters, Options options) : base(parameters, options)
            {
            }

            public ParamGroup(
                IEnumerable<Parameter> parameters, double lr = 0.001, double beta1 = 0.9, double beta2 = 0.999, double eps = 1e-08, double weight_decay = 0, bool amsgrad = false, bool maximize = false)
                : base(parameters, new Options { LearningRate = lr, beta1 = beta1, beta2 = beta2, eps = eps, weight_decay = weight_decay, amsgrad = amsgrad, maximize = maximize })
            {
            }

            public (double, double) Betas
            {
                get => (Options.beta1!.Value, Options.beta2!.Value);
                set => (Options.beta1, Options.beta2) = value;
            }
        }
    }
}

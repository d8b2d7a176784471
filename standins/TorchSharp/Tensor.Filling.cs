using static TorchSharp.Operator;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor copy_(Tensor source, bool nonBlocking = false) => Run("copy_", this, source, nonBlocking);
        public Tensor zero_() => Run("zero_", this);
        public Tensor fill_(Scalar value) => Run("fill_.Scalar", this, value);
        public Tensor normal_(double mean = 0, double std = 1, Generator? generator = null) => Run("normal_", this, mean, std, generator);
        public Tensor uniform_(double from, double to, Generator? generator = null) => Run("uniform_", this, from, to, generator);
        public Tensor random_(double from, double to, Generator? generator = null) =>
            Run("random_.from", this, (long)@from, (long)to, generator);
        public Tensor bernoulli(Generator? generator = null) => Call("bernoulli", this, generator);
        public Tensor bernoulli_(double p = 0.5, Generator? generator = null) => Run("bernoulli_.float", this, p, generator);
        public Tensor bernoulli_(Tensor p, Generator? generator = null) => Run("bernoulli_.Tensor", this, p, generator);
        public Tensor exponential_(double @lambda = 1, Generator? generator = null) => Run("exponential_", this, @lambda, generator);
        public Tensor multinomial(long num_samples, bool replacement = false, Generator? generator = null) =>
            Call("multinomial", this, num_samples, replacement, generator);
    }
}

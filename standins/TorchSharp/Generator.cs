namespace TorchSharp;

public static partial class torch
{
    public class Generator : IDisposable
    {
        private IntPtr _handle;

        public Generator(ulong seed = 0, Device? device = null)
        {
            this.device = device ?? CPU;
            _handle = Native.Check(Native.skilloc_generator((int)this.device.type, this.device.index, seed));
        }

        private Generator(Device device, IntPtr handle)
        {
            this.device = device;
            _handle = handle;
        }

        ~Generator() => Dispose(false);

        public static Generator Default => new(CPU, Native.Check(Native.skilloc_default_generator((int)DeviceType.CPU, -1)));

        public IntPtr Handle => _handle != IntPtr.Zero ? _handle : throw new InvalidOperationException(
            "Generator invalid -- empty handle.");
        public Device device { get; }

        public Generator manual_seed(long seed)
        {
            Native.Check(Native.skilloc_generator_set_seed(Handle, (ulong)seed));
            return this;
        }

        public long seed()
        {
            var seed = Random.Shared.NextInt64();
            manual_seed(seed);
            return seed;
        }

        public long initial_seed() => (long)Native.skilloc_generator_seed(Handle);

        public Tensor get_state() => new(Native.Check(Native.skilloc_generator_state(Handle)));

        public void set_state(Tensor value) => Native.Check(Native.skilloc_generator_set_state(Handle, value.Handle));

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            if (_handle != IntPtr.Zero) Native.skilloc_release_generator(_handle);
            _handle = IntPtr.Zero;
        }
    }
}

using System.Globalization;
using System.Runtime.CompilerServices;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor : IDisposable
    {
        private static long s_totalCount;
        private static long s_peakCount;

        private IntPtr _handle;

        internal Tensor(IntPtr handle)
        {
            Acquire(handle);
            DisposeScopeManager.Current.Register(this);
        }

        /// <summary>Takes the place of another tensor, which becomes empty: its handle and its place in a dispose scope.</summary>
        internal Tensor(Tensor predecessor)
        {
            var scope = predecessor.OwningDisposeScope;
            Acquire(predecessor.DecoupleFromNativeHandle());
            scope?.Replace(predecessor, this);
        }

        ~Tensor() => Dispose(false);

        public static long TotalCount => Interlocked.Read(ref s_totalCount);
        public static long PeakCount => Interlocked.Read(ref s_peakCount);

        internal DisposeScope? OwningDisposeScope { get; set; }

        public IntPtr Handle => _handle != IntPtr.Zero ? _handle : throw new InvalidOperationException("Tensor invalid -- empty handle.");
        public bool IsInvalid => _handle == IntPtr.Zero;
        public string? name { get; set; }

        public void Dispose()
        {
            if (OwningDisposeScope is { } scope) scope.MarkAsDisposed(this);
            else if (!IsInvalid) DisposeScopeManager.Current.StatisticsInstance.DisposedOutsideScope++;
            Release();
        }

        /// <summary>Disposal that the caller has counted already.</summary>
        internal void Release()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            var handle = Interlocked.Exchange(ref _handle, IntPtr.Zero);
            if (handle == IntPtr.Zero) return;
            Interlocked.Decrement(ref s_totalCount);
            Native.skilloc_release(handle);
        }

        public IntPtr DecoupleFromNativeHandle()
        {
            var handle = Handle;
            GC.SuppressFinalize(this);
            Interlocked.Decrement(ref s_totalCount);
            _handle = IntPtr.Zero;
            return handle;
        }

        public Tensor MoveToOuterDisposeScope()
        {
            OwningDisposeScope?.MoveToOuter(this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(DisposeScope? other)
        {
            if (OwningDisposeScope is { } scope) scope.MoveToOther(other, this);
            else other?.Attach(this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(Tensor other) => MoveToOtherDisposeScope(other.OwningDisposeScope);

        public Tensor DetachFromDisposeScope()
        {
            OwningDisposeScope?.Detach(this);
            return this;
        }

        public Tensor alias() => new(Native.skilloc_alias(Handle));

        public long Dimensions => Native.skilloc_dim(Handle);
        public long ndim => Dimensions;
        public long dim() => Dimensions;
        public long NumberOfElements => Native.skilloc_numel(Handle);
        public long numel() => NumberOfElements;
        public long ElementSize => Native.skilloc_itemsize(Handle);
        public long element_size() => ElementSize;
        public ScalarType dtype => (ScalarType)Native.skilloc_dtype(Handle);
        public DeviceType device_type => (DeviceType)Native.skilloc_device_type(Handle);
        public int device_index => Native.skilloc_device_index(Handle);
        public Device device => new(device_type, device_index);
        public bool is_cuda => device_type == DeviceType.CUDA;
        public bool is_cpu() => device_type == DeviceType.CPU;
        public bool is_contiguous() => Native.skilloc_is_contiguous(Handle) != 0;
        public bool is_floating_point() => torch.is_floating_point(dtype);
        public bool is_integral() => torch.is_integral(dtype);

        public long[] shape
        {
            get
            {
                var sizes = new long[Dimensions];
                for (var i = 0; i < sizes.Length; i++) sizes[i] = Native.skilloc_size(_handle, i);
                return sizes;
            }
        }

        public long[] size() => shape;
        public long size(int dim) => Native.skilloc_size(Handle, Wrap(dim));

        public long[] stride()
        {
            var strides = new long[Dimensions];
            for (var i = 0; i < strides.Length; i++) strides[i] = Native.skilloc_stride(_handle, i);
            return strides;
        }

        public long stride(int dim) => Native.skilloc_stride(Handle, Wrap(dim));

        public bool requires_grad
        {
            get => Native.skilloc_requires_grad(Handle) != 0;
            set
            {
                Native.Check(Native.skilloc_set_requires_grad(Handle, value ? 1 : 0));
                GC.KeepAlive(this);
            }
        }

        public Tensor requires_grad_(bool requires_grad = true)
        {
            this.requires_grad = requires_grad;
            return this;
        }

        public Tensor with_requires_grad(bool requires_grad = true) => requires_grad_(requires_grad);

        public bool is_leaf
        {
            get
            {
                var leaf = Native.skilloc_is_leaf(Handle);
                GC.KeepAlive(this);
                return leaf != 0;
            }
        }

        public void retain_grad()
        {
            Native.Check(Native.skilloc_retain_grad(Handle));
            GC.KeepAlive(this);
        }

        public Tensor? grad
        {
            get
            {
                var handle = Native.skilloc_grad(Handle);
                GC.KeepAlive(this);
                return handle == IntPtr.Zero ? null : new Tensor(handle);
            }
            set
            {
                Native.Check(Native.skilloc_set_grad(Handle, value?.Handle ?? IntPtr.Zero));
                GC.KeepAlive(this);
                GC.KeepAlive(value);
            }
        }

        public void backward() => autograd.backward(this);

        public Utils.TensorAccessor<T> data<T>() where T : unmanaged
        {
            RequireCpu();
            if (ClrType(dtype) != typeof(T)) throw new ArgumentException($"{typeof(T).Name} is not compatible with {dtype}");
            return new Utils.TensorAccessor<T>(this);
        }

        public T item<T>() where T : unmanaged
        {
            if (NumberOfElements != 1) throw new ArgumentException("Number of elements in the tensor must be 1");
            if (is_cpu()) return data<T>()[0];
            using var local = cpu();
            return local.data<T>()[0];
        }

        public Scalar ToScalar() => new(dtype, Operator.CallPayload("item", this));

        public unsafe Span<byte> bytes
        {
            get
            {
                var length = ByteCount();
                if (length > int.MaxValue) throw new ArgumentException("Span only supports up to int.MaxValue elements.");
                return new Span<byte>((void*)DataPointer(), (int)length);
            }
            set
            {
                var length = ByteCount();
                if (length != value.Length) throw new ArgumentException("Mismatched data sizes in SetBytes().");
                value.CopyTo(bytes);
                GC.KeepAlive(this);
            }
        }

        public unsafe void WriteBytesToStream(Stream stream, int bufferSize = 1024)
        {
            var length = ByteCount();
            for (var (data, done) = (DataPointer(), 0L); done < length;)
            {
                var part = (int)Math.Min(length - done, 1 << 30);
                stream.Write(new ReadOnlySpan<byte>((byte*)data + done, part));
                done += part;
            }
            GC.KeepAlive(this);
        }

        public unsafe void ReadBytesFromStream(Stream stream, int bufferSize = 1024)
        {
            var length = ByteCount();
            for (var (data, done) = (DataPointer(), 0L); done < length;)
            {
                var part = (int)Math.Min(length - done, 1 << 30);
                stream.ReadExactly(new Span<byte>((byte*)data + done, part));
                done += part;
            }
            GC.KeepAlive(this);
        }

        public bool allclose(Tensor target, double rtol = 1e-05, double atol = 1e-08, bool equal_nan = false) =>
            Operator.CallBool("allclose", this, target, rtol, atol, equal_nan);

        public bool Equals(Tensor target) => Operator.CallBool("equal", this, target);
        public override bool Equals(object? obj) => obj is Tensor other && Equals(other);
        public override int GetHashCode() => RuntimeHelpers.GetHashCode(this);

        public override string ToString() =>
            string.Create(CultureInfo.InvariantCulture, $"[{string.Join("x", shape)}], type = {dtype}, device = {device}");

        internal static Type? ClrType(ScalarType type) => type switch
        {
            ScalarType.Byte => typeof(byte),
            ScalarType.Int8 => typeof(sbyte),
            ScalarType.Int16 => typeof(short),
            ScalarType.Int32 => typeof(int),
            ScalarType.Int64 => typeof(long),
            ScalarType.Float16 => typeof(Half),
            ScalarType.Float32 => typeof(float),
            ScalarType.Float64 => typeof(double),
            ScalarType.Bool => typeof(bool),
            _ => null,
        };

        /// <summary>Runs an operator that writes into this tensor.</summary>
        private Tensor Run(string op, params ReadOnlySpan<Arg> arguments)
        {
            Operator.Run(op, arguments);
            return this;
        }

        /// <summary>Valid for as long as the caller keeps the tensor alive.</summary>
        internal IntPtr DataPointer() => NumberOfElements == 0 ? IntPtr.Zero : Native.Check(Native.skilloc_data(Handle));

        private void Acquire(IntPtr handle)
        {
            _handle = handle;
            var count = Interlocked.Increment(ref s_totalCount);
            if (count > s_peakCount) s_peakCount = count;
        }

        private long ByteCount()
        {
            if (!is_contiguous()) throw new NotImplementedException("The bytes of a non-contiguous tensor.");
            RequireCpu();
            return NumberOfElements * ElementSize;
        }

        private void RequireCpu()
        {
            if (!is_cpu())
                throw new InvalidOperationException(
                    "Reading data from non-CPU memory is not supported. Move or copy the tensor to the cpu before reading.");
        }

        private int Wrap(int dim)
        {
            var rank = (int)Dimensions;
            if (dim < -rank || dim >= rank)
                throw new ArgumentOutOfRangeException(nameof(dim), string.Create(CultureInfo.InvariantCulture, $"Dimension {dim} of a tensor with {rank} dimensions."));
            return dim < 0 ? dim + rank : dim;
        }
    }
}

using System.Runtime.CompilerServices;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        [IndexerName("TensorItems")]
        public Tensor this[params TensorIndex[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[params Tensor[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1]
        {
            get => select(0, i1);
            set => index_put_(value, [TensorIndex.Single(i1)]);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2]
        {
            get => index([TensorIndex.Single(i1), TensorIndex.Single(i2)]);
            set => index_put_(value, [TensorIndex.Single(i1), TensorIndex.Single(i2)]);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3]
        {
            get => index([TensorIndex.Single(i1), TensorIndex.Single(i2), TensorIndex.Single(i3)]);
            set => index_put_(value, [TensorIndex.Single(i1), TensorIndex.Single(i2), TensorIndex.Single(i3)]);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4]
        {
            get => index([TensorIndex.Single(i1), TensorIndex.Single(i2), TensorIndex.Single(i3), TensorIndex.Single(i4)]);
            set => index_put_(value, [TensorIndex.Single(i1), TensorIndex.Single(i2), TensorIndex.Single(i3), TensorIndex.Single(i4)]);
        }

        public Tensor index(params Tensor[] indices) => Operator.Call("index.Tensor", this, Arg.OptionalTensors(indices));

        public Tensor index(params TensorIndex[] indices)
        {
            var (view, tensors) = Resolve(indices);
            if (tensors.Length == 0) return view;
            try
            {
                return view.index(tensors!);
            }
            finally
            {
                view.Dispose();
            }
        }

        public Tensor index_put_(Tensor value, params Tensor[] indices)
        {
            Operator.Run("index_put_", this, Arg.OptionalTensors(indices), value);
            return this;
        }

        public Tensor index_put_(Tensor value, params TensorIndex[] indices)
        {
            var (view, tensors) = Resolve(indices);
            using (view)
            {
                if (tensors.Length == 0) view.copy_(value);
                else view.index_put_(value, tensors!);
            }
            return this;
        }

        public Tensor index_put_(Scalar value, params Tensor[] indices)
        {
            using var scalar = AsElement(value);
            return index_put_(scalar, indices);
        }

        public Tensor index_put_(Scalar value, params TensorIndex[] indices)
        {
            using var scalar = AsElement(value);
            return index_put_(scalar, indices);
        }

        private Tensor AsElement(Scalar value) => full([], value, dtype, device);

        /// <summary>A new view to which every index but the tensors is applied, and the tensors by dimension of that view.</summary>
        private (Tensor View, Tensor?[] Tensors) Resolve(TensorIndex[] indices)
        {
            var named = 0L;
            foreach (var index in indices)
            {
                named += index.form switch
                {
                    TensorIndex.Form.Single or TensorIndex.Form.Slice => 1,
                    TensorIndex.Form.Tensor => IsMask(index.tensor!) ? index.tensor!.Dimensions : 1,
                    _ => 0,
                };
            }
            var unnamed = Dimensions - named;
            var view = alias();
            var tensors = new List<Tensor?>();
            var dim = 0;
            try
            {
                foreach (var index in indices)
                {
                    switch (index.form)
                    {
                        case TensorIndex.Form.Single:
                            Advance(ref view, view.select(dim, index.start!.Value));
                            break;
                        case TensorIndex.Form.Slice:
                            Advance(ref view, Operator.Call("slice.Tensor", view, (long)dim, index.start, index.stop, index.step ?? 1));
                            dim++;
                            break;
                        case TensorIndex.Form.Ellipsis:
                            dim += (int)unnamed;
                            break;
                        case TensorIndex.Form.Tensor:
                            while (tensors.Count < dim) tensors.Add(null);
                            tensors.Add(index.tensor);
                            dim += IsMask(index.tensor!) ? (int)index.tensor!.Dimensions : 1;
                            break;
                        case TensorIndex.Form.Bool:
                            Advance(ref view, view.unsqueeze(dim));
                            if (index.start == 0) Advance(ref view, view.narrow(dim, 0, 0));
                            dim++;
                            break;
                        default:
                            Advance(ref view, view.unsqueeze(dim));
                            dim++;
                            break;
                    }
                }
            }
            catch
            {
                view.Dispose();
                throw;
            }
            return (view, [.. tensors]);
        }

        private static bool IsMask(Tensor index) => index.dtype is ScalarType.Bool or ScalarType.Byte;

        private static void Advance(ref Tensor view, Tensor next)
        {
            view.Dispose();
            view = next;
        }
    }
}

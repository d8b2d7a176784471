namespace TorchSharp;

public static partial class torch
{
    public struct TensorIndex
    {
        internal enum Form { None, Null, Ellipsis, Single, Slice, Bool, Tensor }

        public static TensorIndex Ellipsis = new(Form.Ellipsis);
        public static TensorIndex None = new(Form.None);
        public static TensorIndex Null = new(Form.Null);
        public static TensorIndex Colon = Slice();

        internal readonly Form form;
        internal readonly long? start;
        internal readonly long? stop;
        internal readonly long? step;
        internal readonly Tensor? tensor;

        private TensorIndex(Form form, long? start = null, long? stop = null, long? step = null, Tensor? tensor = null)
        {
            this.form = form;
            this.start = start;
            this.stop = stop;
            this.step = step;
            this.tensor = tensor;
        }

        public static TensorIndex Slice(long? start = null, long? stop = null, long? step = null) => new(Form.Slice, start, stop, step);
        public static TensorIndex Slice((int?, int?) range) => Slice(range.Item1, range.Item2);
        public static TensorIndex Slice(Range range) => Slice(
            range.Start.IsFromEnd ? -range.Start.Value : range.Start.Value,
            range.End.IsFromEnd ? (range.End.Value == 0 ? null : -range.End.Value) : range.End.Value);
        public static TensorIndex Bool(bool value) => new(Form.Bool, value ? 1 : 0);
        public static TensorIndex Single(long? index) => index is null ? None : new(Form.Single, index);
        public static TensorIndex Tensor(Tensor tensor) => new(Form.Tensor, tensor: tensor);

        public static implicit operator TensorIndex(long value) => Single(value);
        public static implicit operator TensorIndex(Index index) => Single(index.IsFromEnd ? -index.Value : index.Value);
        public static implicit operator TensorIndex(Range range) => Slice(range);
        public static implicit operator TensorIndex((int?, int?) range) => Slice(range);
    }
}

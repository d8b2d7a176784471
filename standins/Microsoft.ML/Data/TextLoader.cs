namespace Microsoft.ML.Data;

public sealed class TextLoader
{
    private TextLoader()
    {
    }

    public sealed class Range
    {
        public int Min;
        public int? Max;
        public bool AutoEnd;
        public bool VariableEnd;
        public bool AllOther;
        public bool ForceVector;

        public Range()
        {
        }

        public Range(int index)
        {
            Min = index;
            Max = index;
        }

        public Range(int min, int? max)
        {
            Min = min;
            Max = max;
            AutoEnd = max is null;
            ForceVector = true;
        }
    }
}

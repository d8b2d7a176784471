namespace Standins.Surface.Tests;

// The check itself: each kind of member is written as the lists write it, and each kind of difference is found.
public class SurfaceCheckTests
{
    private const string Prefix = "Standins.Surface.Tests.SurfaceCheckTests.";

    private const string Extensions = "Standins.Surface.Tests.SampleExtensions";

    private static readonly string[] Right =
    [
        $"T:{Prefix}Colour\tpublic enum <>",
        $"F:{Prefix}Colour.Green\tpublic const {Prefix}Colour Green = 3",
        $"T:{Prefix}Getter`1\tpublic delegate <T> where T:",
        $"M:{Prefix}Getter`1.#ctor(System.Object,System.IntPtr)\tpublic ctor(System.Object object, System.IntPtr method)",
        $"M:{Prefix}Getter`1.Invoke(`0@)\tpublic virtual System.Void Invoke(ref `0 value)",
        $"M:{Prefix}Getter`1.BeginInvoke(`0@,System.AsyncCallback,System.Object)\tpublic virtual System.IAsyncResult BeginInvoke(ref `0 value, System.AsyncCallback callback, System.Object object)",
        $"M:{Prefix}Getter`1.EndInvoke(`0@,System.IAsyncResult)\tpublic virtual System.Void EndInvoke(ref `0 value, System.IAsyncResult result)",
        $"T:{Prefix}Sample`1\tpublic abstract class <T> where T:class&System.IDisposable&new()",
        $"M:{Prefix}Sample`1.#ctor\tprotected ctor()",
        $"F:{Prefix}Sample`1.Sizes\tprotected readonly System.Int64[] Sizes",
        $"P:{Prefix}Sample`1.Item(System.Int32)\tpublic `0? Item[System.Int32 index] {{ public get; protected set; }}",
        $"P:{Prefix}Sample`1.Width\tpublic abstract System.Nullable{{System.Int32}} Width {{ public get; }}",
        $"M:{Prefix}Sample`1.Map``1(System.Func{{`0,``0}},``0,System.Single,{Prefix}Colour,System.Int32[])"
            + $"\tpublic ``0 Map<TResult>(System.Func{{`0,``0}} map, ``0 start = null, System.Single scale = 1E-08f, {Prefix}Colour colour = Colour.Green, params System.Int32[] sizes) where TResult:",
        $"M:{Prefix}Sample`1.TryFind(System.String,System.Boolean@)\tprotected internal virtual System.Boolean TryFind(System.String? name, out System.Boolean found)",
        $"M:{Prefix}Sample`1.Fill(System.Double[0:,0:])\tpublic System.Void Fill(System.Double[0:,0:] values)",
        $"M:{Prefix}Sample`1.op_Implicit({Prefix}Sample{{`0}})~System.String\tpublic static System.String op_Implicit({Prefix}Sample{{`0}} sample)",
        $"T:{Prefix}Sample`1.Inner\tprotected struct <T> where T:class&System.IDisposable&new()",
        $"T:{Extensions}\tpublic static class <>",
        $"M:{Extensions}.Twice(System.Int32)\tpublic static System.Int32 Twice(this System.Int32 value)",
    ];

    private static readonly Type[] Types = [typeof(Colour), typeof(Getter<>), typeof(Sample<>), typeof(Sample<>).GetNestedType("Inner", System.Reflection.BindingFlags.NonPublic)!, typeof(SampleExtensions)];

    [Fact]
    public void Every_kind_of_member_is_recognised() => Assert.Empty(Offenders(Right));

    [Theory]
    [InlineData("Green = 3", "Green = 4")]
    [InlineData("public abstract class", "public class")]
    [InlineData("&new()", "")]
    [InlineData("protected ctor", "public ctor")]
    [InlineData("protected set", "public set")]
    [InlineData("System.Single scale", "System.Single factor")]
    [InlineData("1E-08f", "1E-07f")]
    [InlineData("params ", "")]
    [InlineData("out System.Boolean", "ref System.Boolean")]
    [InlineData("this System.Int32", "System.Int32")]
    [InlineData("protected internal virtual", "protected internal")]
    [InlineData("~System.String", "~System.Object")]
    public void Every_kind_of_difference_is_found(string real, string different)
    {
        Assert.Contains(Right, line => line.Contains(real, StringComparison.Ordinal));
        Assert.NotEmpty(Offenders(Right.Select(line => line.Replace(real, different, StringComparison.Ordinal))));
    }

    [Fact]
    public void A_member_must_be_in_every_version()
    {
        var older = new ApiList("older", Right.Where(line => !line.Contains(".Twice(", StringComparison.Ordinal)));
        var offender = Assert.Single(SurfaceCheck.Offenders(Types, older, new ApiList("newer", Right)));
        Assert.Contains("not in older: M:", offender, StringComparison.Ordinal);
    }

    private static IReadOnlyList<string> Offenders(IEnumerable<string> lines) => SurfaceCheck.Offenders(Types, new ApiList("real", lines));

    public enum Colour
    {
        Green = 3,
    }

    public delegate void Getter<T>(ref T value);

    public abstract class Sample<T>
        where T : class, IDisposable, new()
    {
        protected readonly long[] Sizes = [];

        protected Sample()
        {
        }

        public abstract int? Width { get; }

        public T? this[int index]
        {
            get => null;
            protected set => _ = value;
        }

        public static implicit operator string(Sample<T> sample) => sample.ToString()!;

        public TResult Map<TResult>(Func<T, TResult> map, TResult start = default!, float scale = 1e-8f, Colour colour = Colour.Green, params int[] sizes) =>
            map(new T());

        public void Fill(double[,] values) => values[0, 0] = 1;

        public override string ToString() => "overrides of object's members are no offence";

        protected internal virtual bool TryFind(string? name, out bool found) => found = name is not null;

        internal void Hidden()
        {
        }

        protected struct Inner
        {
        }
    }
}

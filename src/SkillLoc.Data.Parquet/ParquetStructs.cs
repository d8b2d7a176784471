namespace SkillLoc.Data.Parquet;

/// <summary>The structs of a Parquet file (parquet.thrift): what their fields must be. The library reads a field as what it should be, whatever
/// it is, so that a number becomes the length of a text.</summary>
internal sealed class ParquetStructs
{
    private readonly Dictionary<int, Field> _fields;

    private ParquetStructs(params (int Number, Field Field)[] fields) => _fields = fields.ToDictionary(one => one.Number, one => one.Field);

    /// <summary>What a field is in Thrift's compact protocol.</summary>
    internal enum Kind
    {
        Flag,
        Byte,
        Whole,
        Long,
        Real,
        Text,
        Struct,

        /// <summary>Of an encrypted file, which is not read.</summary>
        Refused,
    }

    /// <summary>A page's header.</summary>
    public static ParquetStructs PageHeader { get; }

    /// <summary>What describes the file.</summary>
    public static ParquetStructs FileMetaData { get; }

    static ParquetStructs()
    {
        Field flag = new(Kind.Flag),
            small = new(Kind.Byte),
            whole = new(Kind.Whole),
            wide = new(Kind.Long),
            text = new(Kind.Text),
            refused = new(Kind.Refused);
        Field nothing = Of(new ParquetStructs());
        Field statistics = Of(new((1, text), (2, text), (3, wide), (4, wide), (5, text), (6, text), (7, flag), (8, flag)));
        PageHeader = new(
            (1, whole),
            (2, whole),
            (3, whole),
            (4, whole),
            (5, Of(new((1, whole), (2, whole), (3, whole), (4, whole), (5, statistics)))),
            (6, nothing),
            (7, Of(new((1, whole), (2, whole), (3, flag)))),
            (8, Of(new((1, whole), (2, whole), (3, whole), (4, whole), (5, whole), (6, whole), (7, flag), (8, statistics))))
        );
        Field time = Of(new((1, flag), (2, Of(new((1, nothing), (2, nothing), (3, nothing))))));
        Field logical = Of(
            new([
                .. new[] { 1, 2, 3, 4, 6, 11, 12, 13, 14, 15 }.Select(number => (number, nothing)),
                (5, Of(new((1, whole), (2, whole)))),
                (7, time),
                (8, time),
                (10, Of(new((1, small), (2, flag)))),
                (16, Of(new((1, small)))),
                (17, Of(new((1, text)))),
                (18, Of(new((1, text), (2, whole)))),
            ])
        );
        Field element = Of(new([.. new[] { 1, 2, 3, 5, 6, 7, 8, 9 }.Select(number => (number, whole)), (4, text), (10, logical)]));
        Field pair = Of(new((1, text), (2, text)));
        Field sizes = Of(new((1, wide), (2, wide.Many), (3, wide.Many)));
        Field places = Of(new((1, Of(new([.. Enumerable.Range(1, 8).Select(number => (number, new Field(Kind.Real)))]))), (2, whole.Many)));
        Field column = Of(
            new([
                .. new[] { 1, 4, 15 }.Select(number => (number, whole)),
                .. new[] { 5, 6, 7, 9, 10, 11, 14 }.Select(number => (number, wide)),
                (2, whole.Many),
                (3, text.Many),
                (8, pair.Many),
                (12, statistics),
                (13, Of(new((1, whole), (2, whole), (3, whole))).Many),
                (16, sizes),
                (17, places),
            ])
        );
        Field chunk = Of(new((1, text), (2, wide), (3, column), (4, wide), (5, whole), (6, wide), (7, whole), (8, refused), (9, refused)));
        Field group = Of(
            new(
                (1, chunk.Many),
                (2, wide),
                (3, wide),
                (4, Of(new((1, whole), (2, flag), (3, flag))).Many),
                (5, wide),
                (6, wide),
                (7, whole)
            )
        );
        FileMetaData = new(
            (1, whole),
            (2, element.Many),
            (3, wide),
            (4, group.Many),
            (5, pair.Many),
            (6, text),
            (7, Of(new((1, nothing))).Many),
            (8, refused),
            (9, refused)
        );

        static Field Of(ParquetStructs inner) => new(Kind.Struct) { Inner = inner };
    }

    /// <summary>What a field must be; null where any will do, since the library passes it over.</summary>
    public Field? Find(int number) => _fields.GetValueOrDefault(number);

    /// <summary>What a field or an element of a list must be.</summary>
    internal sealed record Field(Kind Kind)
    {
        /// <summary>The fields of a struct.</summary>
        public ParquetStructs? Inner { get; init; }

        /// <summary>Whether there is a list of it.</summary>
        public bool IsList { get; init; }

        /// <summary>A list of it.</summary>
        public Field Many => this with { IsList = true };

        /// <summary>Whether a type of the protocol is the one.</summary>
        public bool Is(int type) =>
            IsList
                ? type == 9
                : Kind switch
                {
                    Kind.Flag => type is 1 or 2,
                    Kind.Byte => type == 3,
                    Kind.Whole => type is 4 or 5,
                    Kind.Long => type is 4 or 5 or 6,
                    Kind.Real => type == 7,
                    Kind.Text => type == 8,
                    Kind.Struct => type == 12,
                    _ => false,
                };
    }
}

using Microsoft.ML;
using Microsoft.ML.Data;

namespace Standins.MicrosoftML.Tests;

public sealed class DataViewTests
{
    private readonly MLContext _ml = new(seed: 1);

    [Fact]
    public void A_view_is_lazy_and_can_be_read_again()
    {
        var reads = 0;
        IEnumerable<Review> Rows()
        {
            foreach (var row in Review.Some)
            {
                reads++;
                yield return row;
            }
        }

        var view = _ml.Data.LoadFromEnumerable(Rows());
        var copy = _ml.Transforms.CopyColumns("Again", "Text").Fit(view).Transform(view);
        Assert.Equal(0, reads);
        Assert.Equal("fine", copy.GetColumn<string>("Again").First());
        Assert.Equal(1, reads);
        Assert.Equal(Review.Some.Select(r => r.Text), copy.GetColumn<string>("Again"));
        Assert.Equal(Review.Some.Select(r => r.Text), copy.GetColumn<string>("Again"));
        Assert.Equal(1 + 5 + 5, reads);
    }

    [Fact]
    public void Members_become_columns_of_the_declared_types()
    {
        var schema = _ml.Data.LoadFromEnumerable(Array.Empty<Keyed>()).Schema;
        Assert.Equal(["Key", "Many", "Name", "Pair", "Renamed"], schema.Select(c => c.Name).Order(StringComparer.Ordinal));
        Assert.Equal(new KeyDataViewType(typeof(uint), 3), schema["Key"].Type);
        Assert.Equal(TextDataViewType.Instance, schema["Name"].Type);
        Assert.Equal(new VectorDataViewType(NumberDataViewType.Single, 2), schema["Pair"].Type);
        Assert.False(Assert.IsType<VectorDataViewType>(schema["Many"].Type).IsKnownSize);
        Assert.Equal(BooleanDataViewType.Instance, schema["Renamed"].Type);
    }

    [Fact]
    public void Keys_of_members_are_zero_based_and_one_based_in_cursors()
    {
        var view = _ml.Data.LoadFromEnumerable(new uint[] { 0, 2, 3, 77 }.Select(k => new Keyed { Key = k }));
        Assert.Equal([1u, 3u, 0u, 0u], view.GetColumn<uint>("Key"));
    }

    [Fact]
    public void Text_that_is_null_reads_as_empty_and_an_array_that_is_null_as_an_empty_vector()
    {
        var view = _ml.Data.LoadFromEnumerable([new Keyed { Name = null, Many = null! }]);
        Assert.Equal("", view.GetColumn<string>("Name").Single());
        Assert.Empty(view.GetColumn<int[]>("Many").Single());
    }

    [Fact]
    public void CreateEnumerable_gives_back_the_rows()
    {
        Keyed[] rows = [new() { Name = "a", Pair = [1, 2], Many = [3, 4, 5], Flag = true }, new() { Name = "b", Pair = [6, 7] }];
        var back = _ml.Data.CreateEnumerable<Keyed>(_ml.Data.LoadFromEnumerable(rows), reuseRowObject: false).ToArray();
        Assert.Equal(["a", "b"], back.Select(r => r.Name));
        Assert.Equal([3, 4, 5], back[0].Many);
        Assert.Equal([6f, 7f], back[1].Pair);
        Assert.Equal([true, false], back.Select(r => r.Flag));
        Assert.Equal([1u, 1u], back.Select(r => r.Key));
    }

    [Fact]
    public void Arrays_of_strings_are_vectors_of_texts()
    {
        var view = _ml.Data.LoadFromEnumerable([new Worded { Words = ["a", "b c"] }, new Worded { Words = [] }, new Worded { Words = [null!] }]);
        Assert.Equal(new VectorDataViewType(TextDataViewType.Instance), view.Schema["Words"].Type);
        string[][] expected = [["a", "b c"], [], [""]];
        Assert.Equal(expected, view.GetColumn<string[]>("Words"));
        Assert.Equal(expected, _ml.Data.CreateEnumerable<Worded>(view, reuseRowObject: false).Select(row => row.Words));
    }

    [Fact]
    public void CreateEnumerable_wants_its_columns_unless_told_otherwise()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.CreateEnumerable<Doubled>(view, reuseRowObject: false).ToArray());
        Assert.All(_ml.Data.CreateEnumerable<Doubled>(view, reuseRowObject: false, ignoreMissingColumns: true),
            r => Assert.Equal(0, r.Twice));
    }

    [Fact]
    public void A_reused_row_object_is_one_object()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        Assert.Single(_ml.Data.CreateEnumerable<Review>(view, reuseRowObject: true).Distinct());
        Assert.Equal(5, _ml.Data.CreateEnumerable<Review>(view, reuseRowObject: false).Distinct().Count());
    }

    [Fact]
    public void A_cursor_serves_the_columns_asked_for_and_no_others()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        using var cursor = view.GetRowCursor([view.Schema["Text"]]);
        Assert.True(cursor.IsColumnActive(view.Schema["Text"]));
        Assert.False(cursor.IsColumnActive(view.Schema["Stars"]));
        Assert.Throws<ArgumentOutOfRangeException>(() => cursor.GetGetter<float>(view.Schema["Stars"]));
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<float>(view.Schema["Text"]));
    }

    [Fact]
    public void A_cursor_stands_before_the_first_row_until_it_is_moved()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        using var cursor = view.GetRowCursor(view.Schema);
        Assert.Equal(-1, cursor.Position);
        for (var row = 0; row < 5; row++)
        {
            Assert.True(cursor.MoveNext());
            Assert.Equal(row, cursor.Position);
        }

        Assert.False(cursor.MoveNext());
        Assert.False(cursor.MoveNext());
    }

    [Fact]
    public void Row_ids_differ_and_stay_the_same_from_cursor_to_cursor()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        DataViewRowId[] Ids()
        {
            using var cursor = view.GetRowCursor([]);
            var getter = cursor.GetIdGetter();
            var ids = new List<DataViewRowId>();
            while (cursor.MoveNext())
            {
                DataViewRowId id = default;
                getter(ref id);
                ids.Add(id);
            }

            return [.. ids];
        }

        Assert.Equal(5, Ids().Distinct().Count());
        Assert.Equal(Ids(), Ids());
    }

    [Fact]
    public void A_column_that_is_not_there_is_out_of_range()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        Assert.Contains("'Absent'", Assert.Throws<ArgumentOutOfRangeException>(() => view.Schema["Absent"]).Message,
            StringComparison.Ordinal);
        Assert.Null(view.Schema.GetColumnOrNull("Absent"));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.CopyColumns("A", "Absent").Fit(view));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.Concatenate("A", "Absent").Fit(view));
    }

    [Fact]
    public void A_column_of_the_same_name_hides_the_older_one()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        var replaced = _ml.Transforms.CopyColumns("Text", "Sentiment").Fit(view).Transform(view);
        Assert.Equal(4, replaced.Schema.Count);
        Assert.Equal([true, false], replaced.Schema.Where(c => c.Name == "Text").Select(c => c.IsHidden));
        Assert.Equal(3, replaced.Schema["Text"].Index);
        Assert.Equal("good", replaced.GetColumn<string>("Text").First());
        Assert.Equal("fine", replaced.GetColumn<string>(replaced.Schema.First(c => c.Name == "Text")).First());
    }

    [Fact]
    public void Selecting_drops_hidden_columns_and_orders_the_rest()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        var chain = _ml.Transforms.CopyColumns("Text", "Sentiment").Append(_ml.Transforms.SelectColumns("Stars", "Text"));
        Assert.Equal(["Stars", "Text"], chain.Fit(view).Transform(view).Schema.Select(c => c.Name));
        var dropped = _ml.Transforms.CopyColumns("Text", "Sentiment").Append(_ml.Transforms.DropColumns("Sentiment")).Fit(view)
            .Transform(view);
        Assert.Equal(["Stars", "Text"], dropped.Schema.Select(c => c.Name).Order(StringComparer.Ordinal));
        Assert.Equal("good", dropped.GetColumn<string>("Text").First());
    }

    [Fact]
    public void Concatenating_names_the_slots_after_scalar_columns()
    {
        var view = _ml.Data.LoadFromEnumerable([new Scored { Score = [1, 2, 3] }]);
        var chain = _ml.Transforms.Conversion.ConvertType("Number", "Label")
            .Append(_ml.Transforms.Concatenate("Features", "Number", "Score", "Number"));
        var result = chain.Fit(view).Transform(view);
        Assert.Equal(new VectorDataViewType(NumberDataViewType.Single, 5), result.Schema["Features"].Type);
        VBuffer<ReadOnlyMemory<char>> names = default;
        result.Schema["Features"].GetSlotNames(ref names);
        Assert.Equal(["Number", "", "", "", "Number"], names.DenseValues().Select(n => n.ToString()));
        Assert.Equal([1f, 1f, 2f, 3f, 1f], result.GetColumn<float[]>("Features").Single());
    }

    [Fact]
    public void Concatenating_one_vector_keeps_it_as_it_is()
    {
        var view = _ml.Data.LoadFromEnumerable([new Scored { Score = [1, 2, 3] }]);
        var named = _ml.Transforms.Conversion.ConvertType("Number", "Label").Append(_ml.Transforms.Concatenate("First", "Number", "Number"))
            .Append(_ml.Transforms.Concatenate("Second", "First"))
            .Append(_ml.Transforms.Concatenate("Third", "Second", "Number")).Fit(view).Transform(view);
        VBuffer<ReadOnlyMemory<char>> names = default;
        named.Schema["Second"].GetSlotNames(ref names);
        Assert.Equal(["Number", "Number"], names.DenseValues().Select(n => n.ToString()));
        named.Schema["Third"].GetSlotNames(ref names);
        Assert.Equal(["Second.Number", "Second.Number", "Number"], names.DenseValues().Select(n => n.ToString()));
    }

    [Fact]
    public void Concatenating_different_types_fails()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.Concatenate("Features", "Stars", "Text").Fit(view));
    }

    [Fact]
    public void A_schema_definition_sets_sizes_names_and_annotations()
    {
        var definition = SchemaDefinition.Create(typeof(Keyed));
        definition["Many"].ColumnType = new VectorDataViewType(NumberDataViewType.Int32, 3);
        definition["Name"].ColumnName = "Title";
        definition["Many"].AddAnnotation("SlotNames",
            new VBuffer<ReadOnlyMemory<char>>(3, ["x".AsMemory(), "y".AsMemory(), "z".AsMemory()]),
            new VectorDataViewType(TextDataViewType.Instance, 3));
        var view = _ml.Data.LoadFromEnumerable([new Keyed { Name = "t", Many = [1, 2, 3] }], definition);
        Assert.Equal("t", view.GetColumn<string>("Title").Single());
        Assert.True(view.Schema["Many"].HasSlotNames());
        VBuffer<ReadOnlyMemory<char>> names = default;
        view.Schema["Many"].GetSlotNames(ref names);
        Assert.Equal("y", names.GetItemOrDefault(1).ToString());
        Assert.Throws<ArgumentOutOfRangeException>(() =>
        {
            definition["Many"].ColumnType = NumberDataViewType.Int32;
            return _ml.Data.LoadFromEnumerable(Array.Empty<Keyed>(), definition);
        });
    }

    [Fact]
    public void Annotations_are_typed_and_flow_through_copies()
    {
        var annotations = new DataViewSchema.Annotations.Builder();
        annotations.AddPrimitiveValue("Origin", TextDataViewType.Instance, "survey".AsMemory());
        var builder = new DataViewSchema.Builder();
        builder.AddColumn("Stars", NumberDataViewType.Single, annotations.ToAnnotations());
        var view = _ml.Data.LoadFromEnumerable(Review.Some.Select(r => new StarsIn { Stars = r.Stars }), builder.ToSchema());
        var copy = _ml.Transforms.CopyColumns("Copy", "Stars").Fit(view).Transform(view);
        ReadOnlyMemory<char> origin = default;
        copy.Schema["Copy"].Annotations.GetValue("Origin", ref origin);
        Assert.Equal("survey", origin.ToString());
        var wrong = 0f;
        Assert.Throws<InvalidOperationException>(() => copy.Schema["Copy"].Annotations.GetValue("Origin", ref wrong));
    }

    [Fact]
    public void Rows_are_taken_skipped_and_filtered()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        Assert.Equal(["fine", "dull"], _ml.Data.TakeRows(view, 2).GetColumn<string>("Text"));
        Assert.Equal(["odd", "so-so"], _ml.Data.SkipRows(view, 3).GetColumn<string>("Text"));
        Assert.Empty(_ml.Data.SkipRows(view, 9).GetColumn<string>("Text"));
        Assert.DoesNotContain("odd", _ml.Data.FilterRowsByMissingValues(view, "Stars").GetColumn<string>("Text"));
        Assert.Equal(["fine", "so-so"], _ml.Data.FilterRowsByColumn(view, "Stars", 3, 5).GetColumn<string>("Text"));
        Assert.Equal(["great"], _ml.Data.FilterByCustomPredicate<StarsIn>(view, r => !(r.Stars > 4)).GetColumn<string>("Text"));
    }

    [Fact]
    public void Shuffling_keeps_the_rows_together_and_repeats_its_order()
    {
        var view = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 50).Select(i => new Review { Text = $"{i}", Stars = i }));
        var shuffled = _ml.Data.ShuffleRows(view, seed: 5);
        var first = shuffled.GetColumn<float>("Stars").ToArray();
        Assert.Equal(first, shuffled.GetColumn<float>("Stars"));
        Assert.NotEqual(Enumerable.Range(0, 50).Select(i => (float)i), first);
        Assert.Equal(Enumerable.Range(0, 50).Select(i => (float)i), first.Order());
        Assert.All(_ml.Data.CreateEnumerable<Review>(shuffled, reuseRowObject: false), r => Assert.Equal(r.Text, $"{r.Stars}"));
    }

    [Fact]
    public void A_cache_reads_its_source_once()
    {
        var reads = 0;
        var cached = _ml.Data.Cache(_ml.Data.LoadFromEnumerable(Review.Some.Select(r =>
        {
            reads++;
            return r;
        })));
        for (var pass = 0; pass < 3; pass++)
            Assert.Equal(Review.Some.Select(r => r.Text), cached.GetColumn<string>("Text"));
        Assert.Equal(5, reads);
        Assert.Equal(5, cached.GetRowCount());
    }

    [Fact]
    public void A_cache_is_not_changed_by_those_who_read_it()
    {
        var cached = _ml.Data.Cache(_ml.Data.LoadFromEnumerable([new Scored { Score = [1, 2, 3] }, new Scored { Score = [4, 5, 6] }]));
        for (var pass = 0; pass < 2; pass++)
        {
            using var cursor = cached.GetRowCursor(cached.Schema);
            var getter = cursor.GetGetter<VBuffer<float>>(cached.Schema["Score"]);
            VBuffer<float> scores = default;
            cursor.MoveNext();
            getter(ref scores);
            Assert.Equal([1f, 2f, 3f], scores.DenseValues());
            VBufferEditor.CreateFromBuffer(ref scores).Values.Fill(9);
            cursor.MoveNext();
            getter(ref scores);
            Assert.Equal([4f, 5f, 6f], scores.DenseValues());
        }
    }

    [Fact]
    public void A_preview_shows_columns_and_rows()
    {
        var preview = _ml.Data.LoadFromEnumerable(Review.Some).Preview(maxRows: 2);
        Assert.Equal(2, preview.RowView.Length);
        Assert.Equal(3, preview.ColumnView.Length);
        Assert.Equal(1.5f, preview.RowView[1].Values.Single(v => v.Key == "Stars").Value);
    }

    [Fact]
    public void GetColumn_refuses_a_type_that_does_not_fit()
    {
        var view = _ml.Data.LoadFromEnumerable(Review.Some);
        Assert.ThrowsAny<ArgumentException>(() => view.GetColumn<int>("Stars").ToArray());
    }
}

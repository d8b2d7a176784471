using Microsoft.ML.Data;

namespace Standins.MicrosoftML.Tests;

public sealed class VBufferTests
{
    [Fact]
    public void A_sparse_buffer_has_defaults_between_its_values()
    {
        var sparse = new VBuffer<float>(6, 2, [7, 9], [1, 4]);
        Assert.False(sparse.IsDense);
        Assert.Equal([0f, 7f, 0f, 0f, 9f, 0f], sparse.DenseValues());
        Assert.Equal([KeyValuePair.Create(1, 7f), KeyValuePair.Create(4, 9f)], sparse.Items());
        Assert.Equal(9, sparse.GetItemOrDefault(4));
        Assert.Equal(0, sparse.GetItemOrDefault(5));
        VBuffer<float> dense = default;
        sparse.CopyToDense(ref dense);
        Assert.True(dense.IsDense);
        Assert.Equal(sparse.DenseValues(), dense.GetValues().ToArray());
    }

    [Fact]
    public void A_copy_has_its_own_values()
    {
        var source = new VBuffer<int>(2, [1, 2]);
        VBuffer<int> copy = default;
        source.CopyTo(ref copy);
        var editor = VBufferEditor.CreateFromBuffer(ref copy);
        editor.Values[0] = 5;
        copy = editor.Commit();
        Assert.Equal([5, 2], copy.DenseValues());
        Assert.Equal([1, 2], source.DenseValues());
    }

    [Fact]
    public void An_editor_reuses_room_that_is_there()
    {
        VBuffer<int> buffer = default;
        Assert.True(VBufferEditor.Create(ref buffer, 4).CreatedNewValues);
        var editor = VBufferEditor.Create(ref buffer, 4);
        new[] { 1, 2, 3, 4 }.CopyTo(editor.Values);
        buffer = editor.Commit();
        editor = VBufferEditor.Create(ref buffer, 3);
        Assert.False(editor.CreatedNewValues);
        Assert.Equal([1, 2, 3], editor.Commit().DenseValues());
    }

    [Fact]
    public void Copying_into_a_longer_span_is_refused_only_when_it_is_too_short()
    {
        var buffer = new VBuffer<int>(3, 1, [8], [2]);
        var target = new int[3];
        buffer.CopyTo(target);
        Assert.Equal([0, 0, 8], target);
        Assert.ThrowsAny<Exception>(() => buffer.CopyTo(new int[2]));
    }
}

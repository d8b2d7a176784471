using SkillLoc.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Tests.Checkpoints;

/// <summary>Tensors of several files under one name: what an index may say, and two files beside one another.</summary>
public sealed class TensorStoreTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Index => _folder.PathOf("model.safetensors.index.json");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void AnIndexNamesFilesOfBothFormats()
    {
        Shard("1.safetensors", "a", 1);
        File.Copy(Oracles.PathOf("torch-save", "wrapped.bin"), _folder.PathOf("2.bin"));
        File.WriteAllText(Index, """{"weight_map": {"bias": "2.bin", "a": "1.safetensors", "weight": "2.bin"}}""");
        using var store = ShardedTensorStore.Open(Index);
        Assert.Equal(Index, store.Path);
        Assert.Equal(["bias", "a", "weight"], store.Tensors.Select(info => info.Name));
        Assert.Equal([_folder.PathOf("2.bin"), _folder.PathOf("1.safetensors")], store.Shards);
        Assert.True(store.Contains("weight"));
        Assert.False(store.Contains("b"));
        using Tensor bias = store.Read("bias"),
            a = store.Read("a", ScalarType.Float64);
        Assert.Equal([8f], bias.data<float>().ToArray());
        Assert.Equal([1.0], a.data<double>().ToArray());
        Assert.Equal($"{Index} has no tensor 'b' among its 3.", Assert.Throws<KeyNotFoundException>(() => store.Read("b")).Message);
        Assert.Throws<ArgumentNullException>(() => store.Read(null!));
    }

    [Theory]
    [InlineData("[]", "it needs an object weight_map from tensor names to file names")]
    [InlineData("{}", "it needs an object weight_map from tensor names to file names")]
    [InlineData("""{"weight_map": []}""", "it needs an object weight_map from tensor names to file names")]
    [InlineData("""{"weight_map": {"a": "1.safetensors", "b": 1}}""", "it needs an object weight_map from tensor names to file names")]
    [InlineData("""{"weight_map": {"b": "1.safetensors"}}""", "it says that tensor 'b' is in 1.safetensors, where it is not")]
    [InlineData("""{"weight_map": {"a": ""}}""", "it names the file ''; files must lie beside the index")]
    [InlineData("""{"weight_map": {"a": "."}}""", "it names the file '.'; files must lie beside the index")]
    [InlineData("""{"weight_map": {"a": ".."}}""", "it names the file '..'; files must lie beside the index")]
    [InlineData("""{"weight_map": {"a": "../1.safetensors"}}""", "it names the file '../1.safetensors'; files must lie beside the index")]
    [InlineData("""{"weight_map": {"a": "x\\1.safetensors"}}""", "it names the file 'x\\1.safetensors'; files must lie beside the index")]
    [InlineData("""{"weight_map": {"a": "C:1.safetensors"}}""", "it names the file 'C:1.safetensors'; files must lie beside the index")]
    [InlineData("{", "it is not valid JSON (")]
    [InlineData("""{"weight_map": {"a": "1.safetensors", "a": "1.safetensors"}}""", "it is not valid JSON (Duplicate property 'a'")]
    public void AnIndexIsRefusedWithTheReason(string json, string reason)
    {
        Shard("1.safetensors", "a", 1);
        File.WriteAllText(Index, json);
        Assert.StartsWith(
            $"{Index} is not a valid index: {reason}",
            Assert.Throws<InvalidDataException>(() => ShardedTensorStore.Open(Index)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void WhatIsMissingIsNamed()
    {
        FileNotFoundException none = Assert.Throws<FileNotFoundException>(() => ShardedTensorStore.Open(Index));
        Assert.Equal(($"There is no index file '{Index}'.", Index), (none.Message, none.FileName));
        File.WriteAllText(Index, """{"weight_map": {"a": "1.safetensors"}}""");
        FileNotFoundException shard = Assert.Throws<FileNotFoundException>(() => ShardedTensorStore.Open(Index));
        Assert.Equal(
            ($"{Index} names the file '1.safetensors', which is not beside it.", _folder.PathOf("1.safetensors")),
            (shard.Message, shard.FileName)
        );
    }

    [Fact]
    public void TwoFilesMayBeOneStore()
    {
        string one = Shard("1.safetensors", "a", 1),
            two = Shard("2.safetensors", "b", 2);
        using (var store = new JointTensorStore(SafetensorsFile.Open(one), SafetensorsFile.Open(two)))
        {
            Assert.Equal(one, store.Path);
            Assert.Equal(["a", "b"], store.Tensors.Select(info => info.Name));
            Assert.Equal((true, true, false), (store.Contains("a"), store.Contains("b"), store.Contains("c")));
            Assert.Equal((false, true), (store.IsOwn("a"), store.IsOwn("b")));
            using Tensor a = store.Read("a"),
                b = store.Read("b");
            Assert.Equal((1f, 2f), (a.item<float>(), b.item<float>()));
            Assert.StartsWith($"{one} has no tensor 'c'", Assert.Throws<KeyNotFoundException>(() => store.Read("c")).Message);
        }

        string three = Shard("3.safetensors", "a", 3);
        SafetensorsFile first = SafetensorsFile.Open(one),
            third = SafetensorsFile.Open(three);
        Assert.Equal(
            $"The tensor 'a' is in {one} and in {three}; it must be in one of them.",
            Assert.Throws<InvalidDataException>(() => new JointTensorStore(first, third)).Message
        );
        Assert.Throws<ObjectDisposedException>(() => first.Read("a"));
        Assert.Throws<ObjectDisposedException>(() => third.Read("a"));
    }

    [Fact]
    public void ValuesAreFinite()
    {
        string path = _folder.PathOf("odd.safetensors");
        using (DisposeScope scope = NewDisposeScope())
        {
            SafetensorsWriter.Write(
                path,
                [
                    ("fine", torch.tensor(new[] { 1f })),
                    ("ints", torch.tensor(new[] { 7L })),
                    ("odd", torch.tensor([1f, float.NaN, float.PositiveInfinity])),
                ]
            );
        }

        using var file = SafetensorsFile.Open(path);
        using Tensor fine = file.ReadFinite("fine"),
            ints = file.ReadFinite("ints");
        Assert.Equal((1f, 7L), (fine.item<float>(), ints.item<long>()));
        string expected = $"{path}: tensor 'odd' has 2 values that are NaN or infinite (of 3); weights must be finite.";
        Assert.Equal(expected, Assert.Throws<InvalidDataException>(() => file.ReadFinite("odd")).Message);
        Assert.Equal(expected, Assert.Throws<InvalidDataException>(() => file.ReadAll()).Message);
    }

    [Fact]
    public void ALargeTensorIsReadAgainAndAgain()
    {
        // Once it was copied, the system may take its bytes back; they are still the file's.
        string path = _folder.PathOf("large.safetensors");
        using Tensor numbers = torch.arange(1 << 19, dtype: ScalarType.Float32);
        SafetensorsWriter.Write(path, [("small", numbers[..7]), ("large", numbers)]);
        using var file = SafetensorsFile.Open(path);
        for (int time = 0; time < 3; time++)
        {
            using Tensor large = file.Read("large"),
                small = file.Read("small");
            Assert.Equal(SafetensorsTests.Bytes(numbers), SafetensorsTests.Bytes(large));
            Assert.Equal([0f, 1, 2, 3, 4, 5, 6], small.data<float>().ToArray());
        }
    }

    private string Shard(string name, string tensor, float value)
    {
        string path = _folder.PathOf(name);
        using Tensor values = torch.tensor(new[] { value });
        SafetensorsWriter.Write(path, [(tensor, values)]);
        return path;
    }
}

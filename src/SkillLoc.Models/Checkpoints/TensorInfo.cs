using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>The description of a tensor in a checkpoint.</summary>
/// <param name="Name">The parameter's name, for example <c>roberta.embeddings.word_embeddings.weight</c>.</param>
/// <param name="Dtype">The stored element type.</param>
/// <param name="Shape">The lengths of its dimensions; empty for a scalar.</param>
/// <param name="ByteLength">The number of bytes of its values as stored.</param>
public sealed record TensorInfo(string Name, torch.ScalarType Dtype, long[] Shape, long ByteLength);

using TorchSharp;

namespace SkillLoc.Models.Checkpoints;

/// <summary>What a checkpoint says about one of its tensors before the tensor is read.</summary>
/// <param name="Name">The parameter's name, for example <c>roberta.embeddings.word_embeddings.weight</c>.</param>
/// <param name="Dtype">The element type it is stored in.</param>
/// <param name="Shape">The lengths of its dimensions; empty for a scalar.</param>
/// <param name="ByteLength">The number of bytes of its values as stored.</param>
public sealed record TensorInfo(string Name, torch.ScalarType Dtype, long[] Shape, long ByteLength);

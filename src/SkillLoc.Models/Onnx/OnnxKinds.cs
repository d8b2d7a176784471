using SkillLoc.Models.Architectures;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;

namespace SkillLoc.Models.Onnx;

/// <summary>What kind of model a graph is.</summary>
internal static class OnnxKinds
{
    /// <summary>Refuses by its name what is no encoder in floats, before the search for parts fails in other words.</summary>
    public static void Check(OnnxGraph graph, string source, ModelConfig? given)
    {
        if (graph.Nodes.FirstOrDefault(OnnxOperators.IsQuantised) is { } quantised)
        {
            throw new NotSupportedException(
                $"{source} holds a quantised model ({quantised.Title}), whose weights were rounded: import the file in float32 or float16."
            );
        }

        string? decoder =
            graph.Nodes.FirstOrDefault(node => node.Operator is "If" or "Loop" or "Scan") is { } branch
                ? $"it has branches or loops ({branch.Title}), as a merged decoder or a generator has"
            : graph.Inputs.FirstOrDefault(input => input.Name.StartsWith("past", StringComparison.Ordinal)) is { } past
                ? $"its input '{past.Name}' holds what a decoder remembers"
            : graph.Inputs.FirstOrDefault(input => input.Name.StartsWith("encoder_", StringComparison.Ordinal)) is { } encoded
                ? $"its input '{encoded.Name}' is what a decoder reads of an encoder"
            : graph.Outputs.FirstOrDefault(output => output.StartsWith("present", StringComparison.Ordinal)) is { } present
                ? $"its output '{present}' is what a decoder remembers"
            : null;
        if (decoder is not null)
        {
            throw new NotSupportedException(
                $"{source} is a decoder: {decoder}. Encoders are imported from ONNX; take the model's safetensors folder instead."
            );
        }

        if (given is not null)
        {
            LanguageModel.CheckArchitecture(given);
            if (Architecture.Of(given) is not EncoderArchitecture)
            {
                throw new NotSupportedException(
                    $"{source} is of a {given.ModelType}, as {given.Source} says; encoders are imported from ONNX: "
                        + $"{string.Join(", ", Architecture.Supported.OfType<EncoderArchitecture>().Select(each => each.ModelType))}. "
                        + "Take the model's safetensors folder instead."
                );
            }
        }
    }
}

using SkillLoc.Models.Tuning;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Models.Peft;

/// <summary>Prompts and prefixes.</summary>
internal sealed partial class AdaptedTensorStore
{
    private void AddPrompt(PeftTensor prompts)
    {
        int tokens = _adapter.Config.Whole("num_virtual_tokens");
        if (_adapter.Tuner == PeftAdapter.PrefixTuning)
        {
            // A decoder's layers take entries 4 i and 4 i + 1 of the keys and values, counted around.
            long layers = _adapter.Config.Whole("num_layers"),
                width = (long)_config.Heads * _config.HeadSize;
            bool decodes = _config.IsEncoderDecoder;
            if (layers != (decodes ? _config.DecoderLayers : _config.Layers))
            {
                throw _adapter.Config.Wrong("num_layers", $"is {layers}; the base {_base.Path} has another number of layers");
            }

            Fits("prompt_embeddings", prompts, [tokens, 2 * layers * width]);
            string name = PastKeyValues.NameOf(_config);
            long[] shape = [layers, 2, _config.Heads, tokens, _config.HeadSize];
            _added[name] = (
                Info(name, ScalarType.Float32, shape),
                () =>
                {
                    Tensor entries = prompts.ToTensor().view(tokens, 2 * layers, _config.Heads, _config.HeadSize).permute(1, 2, 0, 3);
                    if (decodes)
                    {
                        long[] order =
                        [
                            .. Enumerable
                                .Range(0, (int)layers)
                                .SelectMany(i => new[] { 4L * i % (2 * layers), ((4L * i) + 1) % (2 * layers) }),
                        ];
                        entries = entries.index_select(0, tensor(order));
                    }

                    return entries.contiguous().view(shape);
                }
            );
            return;
        }

        int modules = prompts.Shape.Length == 2 && prompts.Shape[0] == 2L * tokens ? 2 : 1;
        Fits("prompt_embeddings", prompts, [(long)tokens * modules, _config.HiddenSize]);
        _added[VirtualTokens.ParameterName] = (
            Info(VirtualTokens.ParameterName, ScalarType.Float32, [1, tokens, _config.HiddenSize]),
            () => prompts.ToTensor().narrow(0, 0, tokens).unsqueeze(0)
        );
    }
}

using System.Text.Json.Nodes;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Tuning;
using TorchSharp;
using TorchSharp.Modules;

namespace SkillLoc.Models.Peft;

/// <summary>Tuning methods of this package as adapters.</summary>
internal static class TunedAdapter
{
    private const string Prefix = "base_model.model.";

    public static PeftAdapter Of(TextClassifier classifier, string baseModel)
    {
        TuningOptions? tuning = classifier.Settings.Tuning;
        OrderedDictionary<string, PeftTensor> tensors = new(StringComparer.Ordinal);
        JsonObject config = new()
        {
            ["auto_mapping"] = null,
            ["base_model_name_or_path"] = baseModel,
            ["inference_mode"] = true,
            ["revision"] = null,
            ["task_type"] = TaskType(classifier),
        };
        switch (tuning)
        {
            case LoraOptions { Bias: false, Mlp: false } lora:
                AddLora(classifier.Backbone, lora, tensors, config);
                break;
            case VirtualTokenOptions prompt:
                AddPrompt(classifier.Backbone, VirtualTokens.ParameterName, prompt.Size, tensors, config);
                break;
            case SoftPromptOptions prompt when classifier.Backbone is T5ForConditionalGeneration:
                AddPrompt(classifier.Backbone, "prompt", prompt.Size, tensors, config);
                break;
            default:
                throw new NotSupportedException(
                    $"PEFT has no tuner for {tuning?.ToString() ?? "a model without a tuning method"}: {Reason(tuning)}"
                );
        }

        AddHead(classifier, tensors, config);
        return new(new(config, PeftConfig.FileName), tensors, "the model's adapter");
    }

    private static string Reason(TuningOptions? tuning) =>
        tuning switch
        {
            null => "save it as a checkpoint, or as a graft.",
            LoraOptions => "its LoRA has neither biases of A nor a third matrix.",
            SoftPromptOptions => "its prompts stand before the text, without a mask among them.",
            PrefixOptions => "its prefixes move the text's positions, and in T5 stand in the decoder alone.",
            BitFitOptions => "save a graft of the biases, which can be written as an adapter.",
            _ => "it has LoRA, IA3, prompts and prefixes.",
        };

    private static string? TaskType(TextClassifier classifier) =>
        classifier.Head.Kind == HeadKind.SequenceClassification ? "SEQ_CLS"
        : classifier.Backbone.Config.IsEncoderDecoder ? "SEQ_2_SEQ_LM"
        : classifier.Backbone.Config.IsCausal ? "CAUSAL_LM"
        : null;

    private static void AddLora(LanguageModel model, LoraOptions lora, OrderedDictionary<string, PeftTensor> tensors, JsonObject config)
    {
        IReadOnlyDictionary<string, Parameter> parameters = model.PeftModule!.Parameters;
        bool isConv1D = model.Config.ModelType == "gpt2";
        List<string> targets = [];
        JsonObject ranks = [],
            alphas = [];
        foreach (IGrouping<string, LinearLayer> module in model.LinearLayersOf(lora.Targets).GroupBy(map => Module(map.WeightName)))
        {
            LinearLayer[] maps = [.. module];
            targets.Add(module.Key);
            string key = Prefix + module.Key;
            if (maps.Length == 1 && maps[0].Name == module.Key)
            {
                tensors.Add(key + ".lora_A.weight", Take(parameters[maps[0].Name + ".lora_A.weight"]));
                tensors.Add(key + ".lora_B.weight", Take(parameters[maps[0].Name + ".lora_B.weight"]));
                continue;
            }

            // Queries, keys and values of GPT-2 are columns of one weight: their factors stand beside one another.
            int rank = maps.Length * lora.Rank;
            PeftTensor[] a = [.. maps.Select(map => Take(parameters[map.Name + ".lora_A.weight"]))],
                b = [.. maps.Select(map => Take(parameters[map.Name + ".lora_B.weight"]))];
            long width = model.Config.HiddenSize;
            float[] joined = new float[3 * width * rank];
            for (int i = 0; i < maps.Length; i++)
            {
                int third = maps[i].Place.Kind switch
                {
                    TargetModules.Query => 0,
                    TargetModules.Key => 1,
                    _ => 2,
                };
                for (int row = 0; row < width; row++)
                {
                    Array.Copy(b[i].Values, row * lora.Rank, joined, (((third * width) + row) * rank) + (i * lora.Rank), lora.Rank);
                }
            }

            tensors.Add(key + ".lora_A.weight", new([rank, width], torch.ScalarType.Float32, [.. a.SelectMany(part => part.Values)]));
            tensors.Add(key + ".lora_B.weight", new([3 * width, rank], torch.ScalarType.Float32, joined));
            if (maps.Length > 1)
            {
                ranks[module.Key] = rank;
                alphas[module.Key] = lora.Alpha * maps.Length;
            }
        }

        config["alpha_pattern"] = alphas;
        config["bias"] = "none";
        config["fan_in_fan_out"] = isConv1D;
        config["init_lora_weights"] = true;
        config["lora_alpha"] = lora.Alpha;
        config["lora_dropout"] = 0.0;
        config["peft_type"] = PeftAdapter.Lora;
        config["r"] = lora.Rank;
        config["rank_pattern"] = ranks;
        config["target_modules"] = new JsonArray([.. targets.Select(target => (JsonNode)target)]);
        config["use_dora"] = false;
        config["use_rslora"] = false;
    }

    private static void AddPrompt(
        LanguageModel model,
        string parameter,
        int size,
        OrderedDictionary<string, PeftTensor> tensors,
        JsonObject config
    )
    {
        PeftTensor prompt = Take(model.PeftModule!.Parameters[parameter]);
        tensors.Add("prompt_embeddings", prompt with { Shape = [size, model.Config.HiddenSize] });
        config["num_attention_heads"] = model.Config.Heads;
        config["num_layers"] = model.Config.Layers;
        config["num_transformer_submodules"] = 1;
        config["num_virtual_tokens"] = size;
        config["peft_type"] = PeftAdapter.PromptTuning;
        config["prompt_tuning_init"] = "RANDOM";
        config["token_dim"] = model.Config.HiddenSize;
    }

    private static void AddHead(TextClassifier classifier, OrderedDictionary<string, PeftTensor> tensors, JsonObject config)
    {
        if (classifier.Head.Kind is HeadKind.LabelWords or HeadKind.Generation)
        {
            config["modules_to_save"] = null;
            return;
        }

        if (classifier.Head.Kind != HeadKind.SequenceClassification)
        {
            throw new NotSupportedException(
                $"The model has a head of the kind {classifier.Head.Kind}, which no Python class has; fine-tune with "
                    + $"{HeadKind.SequenceClassification} or {HeadKind.LabelWords}."
            );
        }

        var modules = new List<string>();
        foreach ((string name, Parameter parameter) in classifier.Head.Parameters)
        {
            tensors.Add(Prefix + name, Take(parameter));
            string module = name.Contains("pooler.", StringComparison.Ordinal) ? Module(name) : name.Split('.')[0];
            if (!modules.Contains(module))
            {
                modules.Add(module);
            }
        }

        config["modules_to_save"] = new JsonArray([.. modules.Select(module => (JsonNode)module)]);
    }

    private static string Module(string parameter) => parameter[..parameter.LastIndexOf('.')];

    private static PeftTensor Take(Parameter parameter)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor values = parameter.detach().to(torch.ScalarType.Float32).cpu().contiguous();
        return new(parameter.shape, torch.ScalarType.Float32, values.view(-1).data<float>().ToArray());
    }
}

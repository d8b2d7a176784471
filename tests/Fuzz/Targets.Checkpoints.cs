using System.Text;
using Google.Protobuf;
using SkillLoc.Models.Backbones;
using SkillLoc.Models.Checkpoints;
using SkillLoc.Models.Classification;
using SkillLoc.Models.Embeddings;
using SkillLoc.Models.Onnx;
using SkillLoc.Models.Peft;
using SkillLoc.Onnx;
using TorchSharp;
using static TorchSharp.torch;

namespace SkillLoc.Fuzz;

internal static partial class Targets
{
    private const int MostTensors = 1000;

    private static readonly byte[][] SafetensorsWords =
    [
        .. new[] { "__metadata__", "data_offsets", "dtype", "shape", "F32", "BF16", "I64", "BOOL", "U8", "F8_E4M3" }.Select(Utf8),
    ];

    private static IEnumerable<Target> Checkpoints(string scratch)
    {
        byte[] tensors = Written(
            scratch,
            "tensors",
            path =>
            {
                using DisposeScope scope = NewDisposeScope();
                SafetensorsWriter.Write(
                    path,
                    [
                        ("a", ones(2, 3)),
                        ("b", tensor((long[])[0, 1, 2, 3, 4])),
                        ("c", zeros(0, 3)),
                        ("d", tensor(1.5f, ScalarType.Float16)),
                    ],
                    new Dictionary<string, string> { ["format"] = "pt" }
                );
            }
        );
        yield return new("safetensors", Shape.Safetensors, [tensors], "x.safetensors", ReadSafetensors) { Words = SafetensorsWords };
        yield return OfFile(scratch, "safetensors-file", Shape.Safetensors, "x.safetensors", ReadTensors, [tensors]) with
        {
            Words = SafetensorsWords,
        };
        yield return OfFile(
            scratch,
            "shards",
            Shape.Json,
            "model.safetensors.index.json",
            path => ShardedTensorStore.Open(path).Dispose(),
            [Utf8("""{"metadata": {"total_size": 20}, "weight_map": {"a": "one.safetensors", "b": "one.safetensors", "w": "two.bin"}}""")],
            folder =>
            {
                File.WriteAllBytes(Path.Join(folder, "one.safetensors"), tensors);
                File.WriteAllBytes(Path.Join(folder, "two.bin"), TorchZip(StateDict));
            }
        ) with
        {
            Words = [.. new[] { "../", "/etc/passwd", "two.bin", "one.safetensors" }.Select(Utf8)],
            MayMiss = true,
        };
        yield return new("pickle", Shape.Pickle, [StateDict, Containers], "", bytes => _ = PickleReader.Read(bytes, bytes.Length, []));
        yield return OfFile(
            scratch,
            "torch",
            Shape.Zip,
            "pytorch_model.bin",
            path => ReadAll(TorchCheckpointFile.Open(path)),
            [TorchZip(StateDict)]
        );
        yield return OfFile(
            scratch,
            "torch-legacy",
            Shape.Pickle,
            "pytorch_model.bin",
            path => ReadAll(TorchCheckpointFile.Open(path)),
            [Legacy]
        );
        byte[] onnx = OnnxBert();
        yield return new("onnx", Shape.Protobuf, [onnx], "x.onnx", bytes => OnnxCheckpoint.Parse(bytes, "x.onnx").Dispose())
        {
            Words = [.. new[] { "MatMul", "Add", "Gather", "Reshape", "Range", "Expand", "input_ids", "axes", "epsilon" }.Select(Utf8)],
        };
        yield return new(
            "onnx-mapped",
            Shape.Protobuf,
            [onnx, OnnxBase()],
            "x.onnx",
            bytes => _ = new MappedOnnxFile(new MemoryStream(bytes), "x.onnx", leastBytes: 8)
        );
        yield return OfFile(
            scratch,
            "modules",
            Shape.Json,
            "modules.json",
            path => SentenceModules.Read(Path.GetDirectoryName(path)!)?.Dispose(),
            [
                Utf8(
                    """[{"idx": 0, "path": "", "type": "a.Transformer"}, {"path": "1", "type": "a.Pooling"}, {"path": "2", "type": "a.Normalize"}]"""
                ),
            ],
            folder =>
            {
                Directory.CreateDirectory(Path.Join(folder, "1"));
                File.WriteAllText(Path.Join(folder, "1", "config.json"), """{"pooling_mode_cls_token": true}""");
            }
        ) with
        {
            MayMiss = true,
        };
        yield return OfFile(
            scratch,
            "prompts",
            Shape.Json,
            SentencePrompts.ConfigFile,
            path => SentencePrompts.Read(Path.GetDirectoryName(path)!).Find(null),
            [Utf8("""{"__version__": {"pytorch": "2"}, "prompts": {"query": "query: ", "": "x"}, "default_prompt_name": "query"}""")]
        );
        yield return new("onnx-base", Shape.Protobuf, [OnnxBase()], "x.onnx", ReadOnnxBase)
        {
            Words =
            [
                .. new[]
                {
                    OnnxMetadata.Base,
                    "weights",
                    "derived",
                    "parameter",
                    "offset",
                    "shape",
                    "strides",
                    "width",
                    "max_length",
                }.Select(Utf8),
            ],
        };
        yield return new(
            "config",
            Shape.Json,
            [
                .. new[]
                {
                    ModelConfig.Roberta(8, 2, 2, 12, 30, 20).ToJson(),
                    """{"model_type":"gpt2","n_embd":8,"n_layer":2,"n_head":2,"n_positions":20,"vocab_size":30,"eos_token_id":2}""",
                    """{"model_type":"t5","d_model":8,"d_kv":3,"d_ff":12,"num_layers":2,"num_decoder_layers":1,"num_heads":2,"vocab_size":30,"feed_forward_proj":"gated-gelu","is_encoder_decoder":true}""",
                    """{"model_type":"distilbert","dim":8,"n_layers":2,"n_heads":2,"hidden_dim":12,"max_position_embeddings":20,"vocab_size":30,"id2label":{"0":"a","1":"b"},"architectures":["DistilBertForSequenceClassification"],"intermediate_sizes":[3,4]}""",
                }.Select(Utf8),
            ],
            "x/config.json",
            bytes => LanguageModel.CheckArchitecture(ModelConfig.Parse(bytes, "x/config.json"))
        );
        yield return OfFile(
            scratch,
            "peft-config",
            Shape.Json,
            "adapter_config.json",
            path => _ = PeftAdapter.Load(Path.GetDirectoryName(path)!),
            [
                .. new[] { "LORA", "SHIRA", "IA3", "PROMPT_TUNING", "PREFIX_TUNING" }.Select(type =>
                    Utf8(
                        $$"""{"peft_type": "{{type}}", "r": 2, "lora_alpha": 4, "rank_pattern": {"query": 3}, "alpha_pattern": {}, "target_modules": ["query"], "bias": "none", "use_rslora": false, "init_lora_weights": true, "num_virtual_tokens": 2, "token_dim": 8, "task_type": null, "base_model_name_or_path": "x"}"""
                    )
                ),
            ],
            folder => File.WriteAllBytes(Path.Join(folder, "adapter_model.safetensors"), tensors)
        );
        yield return OfFile(
            scratch,
            "peft-tensors",
            Shape.Safetensors,
            "adapter_model.safetensors",
            path => _ = PeftAdapter.Load(Path.GetDirectoryName(path)!),
            [tensors],
            folder =>
                File.WriteAllText(
                    Path.Join(folder, "adapter_config.json"),
                    """{"peft_type": "LORA", "r": 2, "target_modules": ["query"]}"""
                )
        ) with
        {
            Words = SafetensorsWords,
        };
    }

    private static void ReadSafetensors(byte[] bytes)
    {
        using var file = SafetensorsFile.FromBytes(bytes, "x.safetensors");
        Span<byte> values = stackalloc byte[64];
        foreach (TensorInfo info in file.Tensors.Where(info => info.ByteLength > 0))
        {
            file.CopyBytes(info.Name, 0, values[..(int)Math.Min(info.ByteLength, values.Length)]);
            file.CopyBytes(info.Name, info.ByteLength - 1, values[..1]);
        }
    }

    private static void ReadTensors(string path) => ReadAll(SafetensorsFile.Open(path));

    private static void ReadAll(ITensorStore store)
    {
        using (store)
        {
            // Of large files the first: each is read by itself.
            foreach (TensorInfo info in store.Tensors.Take(MostTensors))
            {
                using Tensor value = store.Read(info.Name);
            }
        }
    }

    /// <summary>Two views of one storage and a parameter, in the words of protocol 2.</summary>
    private static byte[] StateDict { get; } =
        Encoding.Latin1.GetBytes(
            "\u0080\u0002ccollections\nOrderedDict\nq\0)Rq\u0001(U\u0001w"
                + Tensor(0, "K\u0002K\u0002\u0086", "K\u0002K\u0001\u0086")
                + "U\u0001v"
                + Tensor(1, "K\u0002\u0085", "K\u0002\u0085")
                + "U\u0001pctorch._utils\n_rebuild_parameter\n"
                + Tensor(0, ")", ")")
                + "\u0088ccollections\nOrderedDict\n)R\u0087Ru}U\u0009_metadatah\u0001sb."
        );

    private static string Tensor(int offset, string shape, string stride) =>
        "ctorch._utils\n_rebuild_tensor_v2\n((U\u0007storagectorch\nFloatStorage\nU\u00010U\u0003cpuK\u0004tQ"
        + $"K{(char)offset}{shape}{stride}\u0089ccollections\nOrderedDict\n)RtR";

    /// <summary>What else a checkpoint may hold, in the words of protocol 4.</summary>
    private static byte[] Containers { get; } =
        Encoding.Latin1.GetBytes(
            "\u0080\u0004\u0095\u0030\0\0\0\0\0\0\0}\u0094(\u008c\u0005epoch\u0094K\u0003\u008c\u0004rate\u0094G?\u00b9\u0099\u0099\u0099\u0099\u0099\u009a\u008c\u0007nothing\u0094N"
                + "\u008c\u0004list\u0094]\u0094(K\u0001K\u0002M\u0001\u0001J\0\0\u0001\0\u008a\u0006\0\0\0\0\0\u0001e\u008c\u0004flag\u0094\u0088\u008c\u0005texts\u0094(h\u0002h\u0003\u0088\u0089t"
                + "\u008c\u0004type\u0094\u008c\u0005torch\u0094\u008c\u0007float16\u0094\u0093\u0094\u008c\u0004size\u0094h\u0009\u008c\u0004Size\u0094\u0093\u0094K\u0002\u0085\u0085Ru."
        );

    /// <summary>The same in the format before PyTorch 1.6.</summary>
    private static byte[] Legacy { get; } =
    [
        .. Encoding.Latin1.GetBytes(
            "\u0080\u0002\u008a\u000al\u00fc\u009cF\u00f9 j\u00a8P\u0019.\u0080\u0002M\u00e9\u0003.\u0080\u0002}(U\u0010protocol_versionM\u00e9\u0003U\u000dlittle_endian\u0088u."
        ),
        .. StateDict,
        .. Encoding.Latin1.GetBytes("\u0080\u0002]q\0U\u00010a."),
        4,
        .. new byte[7 + 16],
    ];

    private static byte[] TorchZip(byte[] pickle) =>
        ZipMutator.Write([
            ("archive/data.pkl", pickle),
            ("archive/byteorder", "little"u8.ToArray()),
            ("archive/data/0", new byte[16]),
            ("archive/version", "3\n"u8.ToArray()),
        ]);

    /// <summary>An encoder of one layer, as the exporter writes it.</summary>
    private static byte[] OnnxBert()
    {
        using var model = (MaskedLanguageModel)LanguageModel.Create(ModelConfig.Bert(4, 1, 2, 6, 12, 10), seed: 1, withHead: false);
        var graph = new OnnxModelBuilder();
        var layers = new OnnxLayers(graph, quantizes: false);
        string hidden = new EncoderGraph(layers, model).Hidden(OnnxInputs.Add(graph, hasTypes: true), 1);
        graph.AddNamed("Identity", [hidden], ["last_hidden_state"]);
        graph.Output("last_hidden_state", OnnxType.Float, "batch", "sequence", "4");
        using var file = new MemoryStream();
        graph.Write(file);
        return file.ToArray();
    }

    /// <summary>A base model of grafts with one weight, which the graph has transposed.</summary>
    private static byte[] OnnxBase()
    {
        var model = new OnnxBaseModel
        {
            EncoderFingerprint = new('a', 64),
            MaxLength = 20,
            Width = 2,
            Dense = "",
            Output = "classifier",
            Weights = new Dictionary<string, OnnxWeight> { ["w.t"] = new("w", 0, [2, 3], [1, 2]) },
            Derived = ["embeddings"],
        };
        byte[] weight = Message((1, new byte[] { 2, 3 }), (2, 1UL), (8, Utf8("w.t")), (9, new byte[2 * 3 * sizeof(float)]));
        return Message((1, 8UL), (7, Message((5, weight))), (14, Message((1, Utf8(OnnxMetadata.Base)), (2, Utf8(model.ToJson())))));
    }

    private static void ReadOnnxBase(byte[] bytes)
    {
        var file = new OnnxBaseFile(bytes, "x.onnx");
        foreach (OnnxWeight weight in file.Model.Weights.Values)
        {
            _ = weight.PlacesOf([0, 1, 5]);
        }

        _ = file.WithInputs(file.Model.Weights.Keys.ToHashSet(StringComparer.Ordinal), new Dictionary<string, OnnxInputWeight>());
    }

    /// <summary>A protobuf message of fields that are bytes, whole numbers or floats.</summary>
    private static byte[] Message(params (int Number, object Value)[] fields)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
        {
            foreach ((int number, object value) in fields)
            {
                switch (value)
                {
                    case byte[] content:
                        output.WriteTag(number, WireFormat.WireType.LengthDelimited);
                        output.WriteBytes(ByteString.CopyFrom(content));
                        break;
                    case float single:
                        output.WriteTag(number, WireFormat.WireType.Fixed32);
                        output.WriteFloat(single);
                        break;
                    default:
                        output.WriteTag(number, WireFormat.WireType.Varint);
                        output.WriteUInt64((ulong)value);
                        break;
                }
            }
        }

        return bytes.ToArray();
    }
}

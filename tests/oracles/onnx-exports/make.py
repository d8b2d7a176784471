"""Small models with random weights in the ONNX layouts that people have: Optimum's, sentence-transformers', and what ONNX Runtime makes of them.

eng/sid.sh python3 /mnt/tests/oracles/onnx-exports/make.py, with Debian sid's python3-onnx and python3-onnxruntime.
"""
import json
import shutil
import warnings
import zipfile
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from transformers import (
    BertConfig, BertForMaskedLM, BertForSequenceClassification, BertForTokenClassification, BertModel, CamembertConfig,
    CamembertForSequenceClassification, DistilBertConfig, DistilBertForSequenceClassification, ElectraConfig,
    ElectraForSequenceClassification, MPNetConfig, MPNetModel, RobertaConfig, RobertaForMaskedLM, XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

warnings.filterwarnings("ignore")
HERE = Path(__file__).parent
ORACLES = HERE.parent
SIZES = dict(hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20, max_position_embeddings=24, initializer_range=0.4)
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list("abcdefghijklmnopqrstuvwxyz") + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz"] + [".", ",", "film", "good", "bad", "was", "the"]


class Wrapped(torch.nn.Module):
    """The model with positional inputs and one output."""

    def __init__(self, model, has_types):
        super().__init__()
        self.bert, self.has_types = model, has_types

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        more = {"token_type_ids": token_type_ids} if self.has_types else {}
        return self.bert(input_ids=input_ids, attention_mask=attention_mask, return_dict=False, **more)[0]


def export(model, path, output, has_types, opset=14, attention="eager"):
    model.eval()
    model.config.use_cache = False
    model.config._attn_implementation = attention
    names = ["input_ids", "attention_mask"] + ["token_type_ids"] * has_types
    ids = torch.randint(5, 20, (2, 7))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    axes = {name: {0: "batch", 1: "sequence"} for name in names}
    axes[output] = {0: "batch"} if output == "logits" and model.__class__.__name__.endswith("SequenceClassification") else {0: "batch", 1: "sequence"}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        Wrapped(model, has_types), (ids, mask) + (torch.zeros_like(ids),) * has_types, str(path), input_names=names, output_names=[output],
        dynamic_axes=axes, opset_version=opset, do_constant_folding=True, dynamo=False,
    )


    save(onnx.load(path), path)


def save(model, path, **how):
    """Without what debuggers read, which is most of a small file."""
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.save(model, path, **how)


def folder(name, config):
    place = HERE / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / "config.json").write_text(json.dumps(config.to_diff_dict() | {"architectures": config.architectures, "model_type": config.model_type}, indent=1) + "\n")
    return place


def bert_tokenizer(place):
    (place / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}) + "\n")


def copy(oracle, place):
    for name in ["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"]:
        if (ORACLES / oracle / name).exists():
            shutil.copy(ORACLES / oracle / name, place)


def size_of(oracle):
    return json.loads((ORACLES / oracle / "config.json").read_text())["vocab_size"]


def tuned(model):
    """Biases and norms that are not 0 and 1."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


torch.manual_seed(0)
labels = dict(id2label={0: "bad", 1: "fair", 2: "good"}, label2id={"bad": 0, "fair": 1, "good": 2}, num_labels=3)

# Optimum's folder of a BERT classifier, from PyTorch's older exporter, eager and fused attention.
config = BertConfig(vocab_size=len(PIECES), architectures=["BertForSequenceClassification"], **labels, **SIZES)
place = folder("bert-classifier", config)
bert_tokenizer(place)
model = tuned(BertForSequenceClassification(config))
export(model, place / "model.onnx", "logits", True)
export(model, place / "sdpa.onnx", "logits", True, opset=17, attention="sdpa")
(place / "ort_config.json").write_text(json.dumps({"one_external_file": True, "opset": 14}) + "\n")

# The same with weights in a second file, as large models have them.
save(onnx.load(place / "model.onnx"), place / "external.onnx", save_as_external_data=True, location="external.onnx_data", size_threshold=64)

# A classifier of tokens, which is none of texts.
config = BertConfig(vocab_size=len(PIECES), **labels, **SIZES)
export(BertForTokenClassification(config), place / "tokens.onnx", "logits", True)

# A BERT without token types among its inputs, as a sentence-transformers folder, with ONNX Runtime's optimised and quantised files.
config = BertConfig(vocab_size=len(PIECES), architectures=["BertModel"], **SIZES)
place = folder("sentence-bert", config)
bert_tokenizer(place)
(place / "modules.json").write_text(json.dumps([
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
], indent=1) + "\n")
(place / "1_Pooling").mkdir()
(place / "1_Pooling" / "config.json").write_text(json.dumps({
    "word_embedding_dimension": 12, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
}) + "\n")
(place / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20, "do_lower_case": False}) + "\n")
model = tuned(BertModel(config, add_pooling_layer=False))
export(model, place / "onnx" / "model.onnx", "last_hidden_state", False)
for level, approximates, halves in [(2, False, False), (3, True, False), (4, True, True)]:
    options = FusionOptions("bert")
    options.enable_gelu_approximation = approximates
    fused = optimizer.optimize_model(str(place / "onnx" / "model.onnx"), "bert", num_heads=3, hidden_size=12, optimization_options=options, opt_level=0)
    if halves:
        fused.convert_float_to_float16(keep_io_types=True)
    save(fused.model, place / "onnx" / f"model_O{level}.onnx")
quantize_dynamic(place / "onnx" / "model.onnx", place / "onnx" / "model_qint8.onnx", weight_type=QuantType.QInt8)
save(onnx.load(place / "onnx" / "model_qint8.onnx"), place / "onnx" / "model_qint8.onnx")

# RoBERTa's language model, whose decoder is tied.
config = RobertaConfig(vocab_size=len(PIECES), type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2, architectures=["RobertaForMaskedLM"], **SIZES)
place = folder("roberta-words", config)
bert_tokenizer(place)
model = tuned(RobertaForMaskedLM(config))
export(model, place / "model.onnx", "logits", False, attention="sdpa")

# Other encoders of one layer.
SIZES["num_hidden_layers"] = 1
pieces, sentences = len(PIECES), size_of("tiny-xlm-roberta")
for name, kind, config in [
    ("xlm-roberta", XLMRobertaForSequenceClassification, XLMRobertaConfig(vocab_size=sentences, type_vocab_size=1, architectures=["XLMRobertaForSequenceClassification"], **labels, **SIZES)),
    ("camembert", CamembertForSequenceClassification, CamembertConfig(vocab_size=size_of("tiny-camembert"), type_vocab_size=1, architectures=["CamembertForSequenceClassification"], **labels, **SIZES)),
    ("electra", ElectraForSequenceClassification, ElectraConfig(vocab_size=pieces, embedding_size=8, architectures=["ElectraForSequenceClassification"], **labels, **SIZES)),
    ("distilbert", DistilBertForSequenceClassification, DistilBertConfig(vocab_size=pieces, dim=12, n_layers=1, n_heads=3, hidden_dim=20, max_position_embeddings=24, initializer_range=0.4, architectures=["DistilBertForSequenceClassification"], **labels)),
    ("mpnet", MPNetModel, MPNetConfig(vocab_size=pieces, architectures=["MPNetModel"], **SIZES)),
]:
    place = folder(name, config)
    if config.vocab_size == pieces:
        bert_tokenizer(place)
    else:
        copy("tiny-" + name, place)
    export(tuned(kind(config)), place / "model.onnx", "last_hidden_state" if name == "mpnet" else "logits", name == "electra")

# Graphs are mostly names, which a zip takes the weight of.
with zipfile.ZipFile(HERE / "exports.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for folder in sorted(path for path in HERE.iterdir() if path.is_dir()):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.writestr(zipfile.ZipInfo(str(file.relative_to(HERE)), (2026, 1, 1, 0, 0, 0)), file.read_bytes(), zipfile.ZIP_DEFLATED)
        shutil.rmtree(folder)

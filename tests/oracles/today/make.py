# Writes what this folder, ../foreign-classifiers and ../tiny-* have of the newer checkpoints: python3 make.py, with transformers 5.12.1, torch 2.14.1,
# tokenizers 0.23.1 and sentencepiece 0.2.2 as Debian sid has them. Weights are random, texts our own. The trainer of word pieces
# breaks ties differently in each run, so that another run writes files of the same kind, but not the same files.
import json
import os
import sys
import types

import sentencepiece
import torch
import transformers
import transformers.convert_slow_tokenizer
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, decoders, trainers

# Debian's tokenizers 0.23.1 calls the argument otherwise than transformers 5.12.1 does.
own_processing = processors.RobertaProcessing
processors.RobertaProcessing = lambda sep, cls, **more: own_processing(sep, cls, **more)

root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
corpus = """The film is a warm and funny story about two sisters who run a small bakery by the sea.
It was a good movie with great acting, and the music was lovely.
What a terrible, boring and far too long film; the plot made no sense at all!
I can't believe it's already over: three hours went by like ten minutes.
He said that the second half wasn't as good as the first, but I'd watch it again.
The price rose by 12.5 % in 2021 and fell to 1,234 dollars in the following year.
Nobody expected the ending. The director, a newcomer, deserves every award.
This is bad. This is good. No great surprise, yes or no?
Le film raconte l'histoire de deux sœurs qui tiennent une petite boulangerie près de la mer.
C'était un très bon film, mais la fin n'a aucun sens ; quel dommage !
Où est passé l'été ? Il a plu pendant trois semaines à Besançon.
Der Film erzählt von zwei Schwestern, die am Meer eine kleine Bäckerei führen.
Das Wetter war schön, aber die Straße über den Fluss blieb gesperrt.
La película cuenta la historia de dos hermanas que tienen una panadería pequeña junto al mar.
Фильм рассказывает о двух сёстрах, у которых есть маленькая пекарня у моря.
这部电影讲述了两个姐妹在海边经营一家小面包店的故事。
この映画は海辺で小さなパン屋を営む姉妹の物語です。
""".splitlines()
texts = [
    ("A warm and funny story about two sisters.", None, None),
    ("", None, None),
    ("   ", None, None),
    ("I can't believe it's over...  already!\n\tReally?", None, None),
    ("Où est passé l'été à Besançon ? Cafe\u0301 na\u00efve, Straße.", None, None),
    ("这部电影 この映画 한국어 영화", None, None),
    ("family \U0001F468\u200D\U0001F469\u200D\U0001F467 and \u2764\uFE0F \U0001F600", None, None),
    ("Фильм у моря \u05E9\u05DC\u05D5\u05DD", None, None),
    ("supercalifragilisticexpialidocious " + "x" * 120, None, None),
    ("The price rose by 12.5 % in 2021.", "It fell to 1,234 dollars.", None),
    ("", "a second text alone", None),
    ("The film is a warm and funny story about two sisters who run a small bakery by the sea. " * 5, None, 24),
    ("The film is a warm and funny story about two sisters. " * 4, "It was a good movie. " * 2, 32),
    ("It was a good movie. " * 6, "The film is a warm and funny story about two sisters. " * 6, 31),
]
labels = ["no", "maybe", "yes"]


def config(kind, **more):
    return {
        "vocab_size": more.pop("vocab_size"),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 66,
        "initializer_range": 0.25,
    } | more


def word_piece(names):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=420, special_tokens=names, limit_alphabet=160)
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer.get_vocab()


def byte_level(names):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=450, special_tokens=names, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(corpus, trainer)
    described = json.loads(tokenizer.to_str())["model"]
    return described["vocab"], [tuple(merge) for merge in described["merges"]]


def sentence_pieces(folder, size, rule):
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/rules.tsv", "w") as file:
        # What nmt_nfkc does to a few characters, since its whole table is larger than everything else here.
        pairs = {"\u00A0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\r": " ", "\uFB01": "fi", "\uFF26": "F", "\u2026": "...", "e\u0301": "\u00e9", "\u200B": ""}
        for source, target in pairs.items():
            file.write(" ".join(f"{ord(c):04X}" for c in source) + "\t" + " ".join(f"{ord(c):04X}" for c in target) + "\n")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus * 20),
        model_prefix=folder + "/sp",
        vocab_size=size,
        model_type="unigram",
        character_coverage=0.995,
        hard_vocab_limit=False,
        **({"normalization_rule_tsv": folder + "/rules.tsv"} if rule else {"normalization_rule_name": "identity"}),
    )
    os.rename(folder + "/sp.model", folder + "/sentencepiece.bpe.model")
    for name in ["sp.vocab", "rules.tsv"]:
        os.remove(folder + "/" + name)


def encodings(tokenizer):
    rows = []
    for text, pair, length in texts:
        encoded = tokenizer(text, pair, truncation=length is not None, max_length=length)
        rows.append({"text": text, "pair": pair, "max_length": length, "ids": encoded["input_ids"], "bare": tokenizer.encode(text, add_special_tokens=False)})
    return rows


def write_encodings(tokenizer, folder, name="encodings.json"):
    with open(f"{folder}/{name}", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=True) for row in encodings(tokenizer)) + "\n]\n")


def batch_of(tokenizer, mask=True):
    marked = tokenizer.mask_token if mask else ""
    rows = [f"It was a {marked} movie.", f"The {marked} was lovely, what a surprise it was!", f"Le film est {marked}", f"{marked}"] if mask else ["It was a good movie.", "What a film!", "no"]
    return tokenizer(rows, padding=True, return_tensors="pt")


def write_masked(model, tokenizer, folder, encoder, feed_forward):
    """Inputs, hidden states, neurons, logits, loss and gradients of one batch, as in the other oracles."""
    model.eval()
    batch = batch_of(tokenizer)
    is_mask = batch["input_ids"] == tokenizer.mask_token_id
    tensors = {name: value.clone() for name, value in batch.items()}
    tensors["mask_pos"] = is_mask.int().argmax(1)
    tensors["label_words"] = torch.tensor([20, 31])
    tensors["labels"] = torch.tensor([0, 1, 1, 0])
    neurons = []
    hooks = [layer.register_forward_hook(lambda _, __, value: neurons.append(value)) for layer in feed_forward(encoder)]
    outputs = model(**batch, output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    for i, value in enumerate(outputs.hidden_states):
        tensors[f"hidden.{i}"] = value
    for i, value in enumerate(neurons):
        tensors[f"ffn.{i}"] = value
    tensors["logits"] = outputs.logits
    scores = outputs.logits[torch.arange(4), tensors["mask_pos"]][:, tensors["label_words"]]
    tensors["label_logits"] = scores
    loss = torch.nn.functional.cross_entropy(scores, tensors["labels"])
    tensors["loss"] = loss
    loss.backward()
    # What is tied has the encoder's name, and a bias the shorter one.
    names = {}
    for name, value in sorted(model.named_parameters(remove_duplicate=False), key=lambda entry: (not entry[0].startswith(model.base_model_prefix), len(entry[0]))):
        if id(value) not in names:
            names[id(value)] = name
            tensors["grad." + name] = torch.zeros_like(value) if value.grad is None else value.grad
    # A padding token within a text; its row of the embeddings has no gradient in PyTorch.
    tensors["padded_ids"] = batch["input_ids"][1:2].clone()
    tensors["padded_ids"][0, 2] = tokenizer.pad_token_id
    with torch.no_grad():
        tensors["padded_hidden"] = encoder(tensors["padded_ids"]).last_hidden_state
    save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, folder + "/expected.safetensors", {"transformers": transformers.__version__})


def write_hidden(model, tokenizer, folder, seq2seq=False):
    model.eval()
    batch = batch_of(tokenizer, mask=False)
    with torch.no_grad():
        if seq2seq:
            outputs = model(**batch, decoder_input_ids=torch.tensor([[0, 7, 9]] * 3), output_hidden_states=True)
            tensors = {"hidden": outputs.encoder_last_hidden_state, "logits": outputs.logits}
        else:
            outputs = model(**batch, output_hidden_states=True)
            tensors = {"hidden": outputs.hidden_states[-1]} | ({"logits": outputs.logits} if "logits" in outputs else {})
    tensors |= dict(batch)
    save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, folder + "/expected.safetensors", {"transformers": transformers.__version__})


def write_classifier(name, kind, settings, tokenizer):
    folder = f"{root}/foreign-classifiers/{name}"
    torch.manual_seed(17)
    ids = dict(enumerate(labels))
    model = kind(kind.config_class(**settings, id2label=ids, label2id={label: id for id, label in ids.items()}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1 if parameter.dim() == 1 and parameter.mean() == 1 else 0))
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = []
    for text, pair in [("A warm and funny story.", None), ("What a terrible film!", None), ("It was good.", "Nobody expected it."), ("yes", "no")]:
        encoded = tokenizer(text, pair, return_tensors="pt")
        with torch.no_grad():
            scores = model(**encoded).logits.softmax(-1)[0].tolist()
        rows.append({"text": text, "pair": pair, "ids": encoded["input_ids"][0].tolist(), "scores": scores})
    with open(folder + "/expected.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def clean(folder):
    for name in ["generation_config.json", "training_args.bin"]:
        if os.path.exists(f"{folder}/{name}"):
            os.remove(f"{folder}/{name}")


def encoder_oracle(name, masked, classifier, settings, tokenizer, base, feed_forward):
    folder = f"{root}/tiny-{name}"
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(5)
    model = masked(masked.config_class(**settings))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:  # Biases are zero and norms one in new models.
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_encodings(tokenizer, folder)
    write_masked(model, tokenizer, folder, getattr(model, base), feed_forward)
    clean(folder)
    if classifier is not None:
        write_classifier(name, classifier, settings, tokenizer)


def activations(encoder):
    return [layer.intermediate for layer in encoder.encoder.layer]


bert_names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
pieces = word_piece(bert_names)
size = len(pieces)
t = transformers

bert = t.BertTokenizer(vocab=pieces)
distil = {"vocab_size": size, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 66, "initializer_range": 0.25}

class Activations:
    """What a DistilBERT feed-forward layer multiplies with its second matrix."""

    def __init__(self, layer):
        self.layer = layer

    def register_forward_hook(self, hook):
        return self.layer.register_forward_pre_hook(lambda module, inputs: hook(module, None, inputs[0]))


encoder_oracle(
    "distilbert", t.DistilBertForMaskedLM, t.DistilBertForSequenceClassification, distil, t.DistilBertTokenizer(vocab=pieces), "distilbert",
    lambda encoder: [Activations(layer.ffn.lin2) for layer in encoder.transformer.layer],
)
electra = config("electra", vocab_size=size, embedding_size=24)
encoder_oracle(
    "electra", t.ElectraForMaskedLM, t.ElectraForSequenceClassification, electra, t.ElectraTokenizer(vocab=pieces), "electra", activations
)
discriminator = f"{root}/tiny-electra-discriminator"
torch.manual_seed(6)
model = t.ElectraForPreTraining(t.ElectraConfig(**electra | {"embedding_size": 32, "hidden_act": "gelu_new"}))
model.save_pretrained(discriminator)
t.ElectraTokenizer(vocab=pieces).save_pretrained(discriminator)
write_hidden(model, t.ElectraTokenizer(vocab=pieces), discriminator)
clean(discriminator)

mpnet_pieces = word_piece(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"])
mpnet = config("mpnet", vocab_size=len(mpnet_pieces), max_position_embeddings=140, layer_norm_eps=1e-5)
encoder_oracle("mpnet", t.MPNetForMaskedLM, t.MPNetForSequenceClassification, mpnet, t.MPNetTokenizer(vocab=mpnet_pieces), "mpnet", activations)
# A row long enough for the farthest buckets.
folder = f"{root}/tiny-mpnet"
model = t.MPNetForMaskedLM.from_pretrained(folder).eval()
ids = (torch.arange(135) * 7 % (len(mpnet_pieces) - 5) + 5).unsqueeze(0)
with torch.no_grad():
    save_file({"input_ids": ids, "hidden": model.mpnet(ids).last_hidden_state}, folder + "/long.safetensors")

for name, rule, model_type in [("xlm-roberta", True, "XLMRoberta"), ("camembert", False, "Camembert")]:
    folder = f"{root}/tiny-{name}"
    sentence_pieces(folder, 330, rule)
    processor = sentencepiece.SentencePieceProcessor(model_file=folder + "/sentencepiece.bpe.model")
    tokenizer = getattr(t, model_type + "Tokenizer").from_pretrained(folder)
    settings = config(name, vocab_size=len(tokenizer), type_vocab_size=1, layer_norm_eps=1e-5)
    settings |= {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    encoder_oracle(
        name, getattr(t, model_type + "ForMaskedLM"), getattr(t, model_type + "ForSequenceClassification"), settings, tokenizer, "roberta", activations
    )
    # What the SentencePiece model gives, with fairseq's ids.
    offset, first = (1, {0: 3, 1: 0, 2: 2}) if name == "xlm-roberta" else (4, {0: 3})
    rows = [{"text": text, "ids": [first.get(id, id + offset) for id in processor.encode(text)]} for text, pair, _ in texts if pair is None]
    with open(folder + "/encodings.pieces.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    # A tokenizer.json as older versions converted it, and as the hub has it.
    roles = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "unk": "<unk>", "pad": "<pad>", "mask": "<mask>"}
    slow = types.SimpleNamespace(vocab_file=folder + "/sentencepiece.bpe.model", convert_tokens_to_ids=tokenizer.convert_tokens_to_ids)
    for role, token in roles.items():
        setattr(slow, role + "_token", token)
        setattr(slow, role + "_token_id", tokenizer.convert_tokens_to_ids(token))
    converted = getattr(t.convert_slow_tokenizer, {"xlm-roberta": "XLMRobertaConverter", "camembert": "CamembertConverter"}[name])(slow).converted()
    converted.save(folder + "/tokenizer.hub.json", pretty=False)
    rows = [
        {"text": text, "pair": pair, "ids": converted.encode(text, pair).ids, "bare": converted.encode(text, add_special_tokens=False).ids}
        for text, pair, length in texts
        if length is None
    ]
    with open(folder + "/encodings.hub.json", "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")

# The older architectures as transformers saves them now.
shards = {"max_shard_size": "40KB"}
torch.manual_seed(7)
folder = f"{root}/today/bert"
model = t.BertModel(t.BertConfig(**config("bert", vocab_size=size)))
model.save_pretrained(folder, **shards)
bert.save_pretrained(folder)
write_encodings(bert, folder)
write_hidden(model, bert, folder)

vocabulary, merges = byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
roberta = t.RobertaTokenizer(vocab=vocabulary, merges=merges)
folder = f"{root}/today/roberta"
model = t.RobertaModel(t.RobertaConfig(**config("roberta", vocab_size=len(vocabulary), type_vocab_size=1, layer_norm_eps=1e-5)))
model.save_pretrained(folder, **shards)
roberta.save_pretrained(folder)
write_encodings(roberta, folder)
write_hidden(model, roberta, folder)

vocabulary, merges = byte_level(["<|endoftext|>"])
gpt2 = t.GPT2Tokenizer(vocab=vocabulary, merges=merges)
gpt2.pad_token = "<|endoftext|>"
folder = f"{root}/today/gpt2"
ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
model = t.GPT2LMHeadModel(t.GPT2Config(vocab_size=len(vocabulary), n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.25, **ids))
model.to(torch.bfloat16).save_pretrained(folder)
gpt2.save_pretrained(folder)
write_encodings(gpt2, folder)
write_hidden(t.GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32), gpt2, folder)

folder = f"{root}/today/t5"
sentence_pieces(folder, 330, True)
processor = sentencepiece.SentencePieceProcessor(model_file=folder + "/sentencepiece.bpe.model")
vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(processor.id_to_piece(i), processor.get_score(i)) for i in range(3, processor.get_piece_size())]
os.remove(folder + "/sentencepiece.bpe.model")
t5 = t.T5Tokenizer(vocab=vocabulary, extra_ids=100)
model = t.T5ForConditionalGeneration(t.T5Config(vocab_size=len(t5), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, initializer_factor=0.5))
model.save_pretrained(folder, max_shard_size="60KB")
t5.save_pretrained(folder)
write_encodings(t5, folder)
write_hidden(model, t5, folder, seq2seq=True)
for name in ["bert", "roberta", "gpt2", "t5"]:
    clean(f"{root}/today/{name}")

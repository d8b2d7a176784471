# Writes token-offsets.json beside it: python3 token-offsets.py. For each text the ids and characters of its tokens by tokenizers 0.23.1, in UTF-16
# units; white space at the start of a token is no part of it.
import json
import os
from tokenizers import ByteLevelBPETokenizer, Tokenizer, models, normalizers, pre_tokenizers

root = os.path.dirname(os.path.abspath(__file__))
texts = [
    "a good film",
    "  The movie was bad,  very BAD! ",
    "It isn't what I'd call unforgettable; it's well-acted.",
    "Caf\u00e9 na\u00efve r\u00e9sum\u00e9",
    "price: $3.50 (or 2,5 EUR)\nnew line\ttab",
    "smile \U0001f600 twice \U0001f600\U0001f600",
    "\u4e2d\u6587 and english",
    "quux zyzzyva \u2603 snow",
]


def bert(folder):
    tokenizer = Tokenizer(models.WordPiece.from_file(folder + "/vocab.txt", unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def byte_level(folder):
    return ByteLevelBPETokenizer(folder + "/vocab.json", folder + "/merges.txt")


def t5(folder):
    return Tokenizer.from_file(folder + "/tokenizer.json")


def row(tokenizer, text):
    encoded = tokenizer.encode(text, add_special_tokens=False)
    units = [0]
    for letter in text:
        units.append(units[-1] + (2 if ord(letter) > 0xFFFF else 1))
    spans = []
    for start, end in encoded.offsets:
        while start < end and text[start].isspace():
            start += 1
        spans.append([units[start], units[end]])
    return {"text": text, "ids": encoded.ids, "spans": spans}


makers = {"tiny-bert": bert, "tiny-roberta": byte_level, "tiny-gpt2": byte_level, "tiny-t5": t5}
result = {}
for name, make in makers.items():
    tokenizer = make(f"{root}/{name}")
    result[name] = [row(tokenizer, text) for text in texts]
with open(root + "/token-offsets.json", "w") as file:
    json.dump(result, file, separators=(",", ":"))
    file.write("\n")

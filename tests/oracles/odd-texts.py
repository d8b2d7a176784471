# Writes odd-texts.json beside it: python3 odd-texts.py. With tokenizers 0.23.1 and sentencepiece, as transformers 5.12.1 makes them of these files, but
# without added tokens: in SkillLoc the spelling of a special token within a text is text.
import json
import os
import sentencepiece
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, ByteLevelBPETokenizer

root = os.path.dirname(os.path.abspath(__file__))
texts = [
    "",
    "   ",
    "family \U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466 and \u2764\uFE0F",
    "\u05E9\u05DC\u05D5\u05DD \u0645\u0631\u062D\u0628\u0627 \u200Ffilm\u200E",
    "e\u0301 n\u0303 a\u030A\u0323 \u1E69 \u0073\u0323\u0307",
    "bell\u0007 back\u0008 del\u007F nel\u0085 esc\u001B[0m",
    "nul\u0000in the\u0000film",
    "x" * 300 + " film",
    "\u4E2D\u6587\u5F71\u8BC4 \uD55C\uAD6D\uC5B4 \u65E5\u672C\u8A9E \U00020000",
    "tab\there\nline\r\nend\u2028sep\u2029par",
    "a [MASK] b <mask> c </s> d [SEP] <s> <pad> [CLS] <|endoftext|> <extra_id_0> <unk> [UNK]",
    "non\u00A0breaking\u202Fspace\u3000wide\u2003em\u200Bzero",
    "\uFF26\uFF29\uFF2C\uFF2D \uFB01lm \u2460 \u00BD \u0130stanbul \u1E9E\u00DF",
]


def bert(folder):
    tokenizer = Tokenizer(models.WordPiece.from_file(folder + "/vocab.txt", unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def byte_level(folder):
    return ByteLevelBPETokenizer(folder + "/vocab.json", folder + "/merges.txt")


def t5(folder):
    with open(folder + "/tokenizer.json") as file:
        described = json.load(file)
    for token in described["added_tokens"]:
        described["model"]["vocab"][token["id"]][0] = f"\ue000{token['id']}"
    return Tokenizer.from_str(json.dumps(described | {"added_tokens": []}))


makers = {"tiny-bert": bert, "tiny-roberta": byte_level, "tiny-gpt2": byte_level, "tiny-t5": t5}
tokenizers = {name: make(f"{root}/{name}") for name, make in makers.items()}
spiece = sentencepiece.SentencePieceProcessor(model_file=root + "/tiny-t5/spiece.model")
rows = [
    {
        "text": text,
        "ids": {name: tokenizer.encode(text, add_special_tokens=False).ids for name, tokenizer in tokenizers.items()}
        | {"tiny-t5/spiece.model": spiece.encode(text)},
    }
    for text in texts
]
with open(root + "/odd-texts.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")

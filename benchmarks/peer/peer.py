"""The peer of SkillLoc's benchmarks: RoBERTa with a masked-language-model head in plain PyTorch, trained as the grafting paper's code does.

  peer.py fine-tune FOLDER OPTIMIZER BATCH ACCUMULATION STEPS [--pad 128|longest] [--gradients all|trained]
  peer.py mask FOLDER BATCHES [--pad 128|longest] [--gradients all|trained]

FOLDER is what `SkillLoc.Benchmarks write FOLDER` made. Prints one line of JSON. Needs PyTorch and nothing else.
"""
import argparse
import json
import math
import random
import resource
import struct
import time

import torch
from torch import nn
from torch.nn import functional as F

WARMUP = 3
LOSS_ROWS = 64


class Clock:
    """Examples per second of wall time, and of processor time, which a busy machine disturbs less."""

    def __init__(self):
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def speed(self, examples):
        return {
            "examplesPerSecond": examples / (time.perf_counter() - self.wall),
            "examplesPerCpuSecond": examples / (time.process_time() - self.processor),
        }


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden = config["hidden_size"]
        self.pad = config["pad_token_id"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], hidden, padding_idx=self.pad)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], hidden, padding_idx=self.pad)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], hidden)
        self.LayerNorm = nn.LayerNorm(hidden, config["layer_norm_eps"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, ids):
        real = ids.ne(self.pad).long()
        positions = torch.cumsum(real, 1) * real + self.pad
        types = torch.zeros_like(ids)
        x = self.word_embeddings(ids) + self.token_type_embeddings(types) + self.position_embeddings(positions)
        return self.dropout(self.LayerNorm(x))


class Residual(nn.Module):
    def __init__(self, inputs, config):
        super().__init__()
        self.dense = nn.Linear(inputs, config["hidden_size"])
        self.LayerNorm = nn.LayerNorm(config["hidden_size"], config["layer_norm_eps"])
        self.dropout = nn.Dropout(config["hidden_dropout_prob"])

    def forward(self, x, residual):
        return self.LayerNorm(self.dropout(self.dense(x)) + residual)


class SelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden = config["hidden_size"]
        self.heads = config["num_attention_heads"]
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        self.dropout = nn.Dropout(config["attention_probs_dropout_prob"])

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, x, mask):
        query, key, value = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(query.size(-1)) + mask
        context = torch.matmul(self.dropout(scores.softmax(-1)), value)
        return context.permute(0, 2, 1, 3).contiguous().view(x.size())


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden, inner = config["hidden_size"], config["intermediate_size"]
        self.attention = nn.ModuleDict({"self": SelfAttention(config), "output": Residual(hidden, config)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, inner)})
        self.output = Residual(inner, config)

    def forward(self, x, mask):
        attended = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(F.gelu(self.intermediate["dense"](attended)), attended)


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))})

    def forward(self, ids, mask):
        x = self.embeddings(ids)
        mask = (1.0 - mask[:, None, None, :].float()) * -10000.0
        for layer in self.encoder["layer"]:
            x = layer(x, mask)
        return x


class Head(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config["hidden_size"], config["hidden_size"])
        self.layer_norm = nn.LayerNorm(config["hidden_size"], config["layer_norm_eps"])
        self.bias = nn.Parameter(torch.zeros(config["vocab_size"]))

    def forward(self, x, words):
        return F.linear(self.layer_norm(F.gelu(self.dense(x))), words, self.bias)


class PromptModel(nn.Module):
    """Logits of the label words at the mask: the whole sequence and then the whole vocabulary are computed, as in the paper's code."""

    def __init__(self, config, words):
        super().__init__()
        self.roberta = Encoder(config)
        self.lm_head = Head(config)
        self.words = words

    def forward(self, ids, mask, positions):
        hidden = self.roberta(ids, mask)
        at_mask = hidden[torch.arange(len(ids)), positions]
        scores = self.lm_head(at_mask, self.roberta.embeddings.word_embeddings.weight)
        return torch.cat([scores[:, word].unsqueeze(-1) for word in self.words], -1)


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    return {
        name: torch.frombuffer(data, dtype=torch.float32, count=math.prod(info["shape"]), offset=info["data_offsets"][0]).view(info["shape"]).clone()
        for name, info in header.items()
    }


def load(folder, words):
    with open(f"{folder}/config.json") as file:
        model = PromptModel(json.load(file), words)
    model.load_state_dict(read_safetensors(f"{folder}/model.safetensors"))
    return model


def collate(rows, pad):
    """Padding is chosen here; everything else is the same for both choices."""
    length = 128 if pad == "128" else max(len(row["ids"]) for row in rows)
    ids = torch.tensor([row["ids"] + [1] * (length - len(row["ids"])) for row in rows])
    mask = torch.tensor([[1] * len(row["ids"]) + [0] * (length - len(row["ids"])) for row in rows])
    positions = torch.tensor([row["position"] for row in rows])
    labels = torch.tensor([row["label"] for row in rows])
    return ids, mask, positions, labels


def batches(rows, size, shuffle):
    order = list(range(len(rows)))
    shuffle.shuffle(order)
    return [[rows[i] for i in order[start:start + size]] for start in range(0, len(rows), size)]


def loss_of(model, rows, pad):
    ids, mask, positions, labels = collate(rows, pad)
    return F.cross_entropy(model(ids, mask, positions), labels)


def first_loss(model, rows, pad):
    model.eval()
    with torch.no_grad():
        return loss_of(model, rows[:LOSS_ROWS], pad).item()


def trained_names(model):
    return [name for name, _ in model.named_parameters() if "encoder.layer" in name]


def freeze_others(model, gradients):
    if gradients == "trained":
        trained = set(trained_names(model))
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in trained)


def fine_tune(arguments, words, rows):
    model = load(f"{arguments.folder}/base", words)
    loss = first_loss(model, rows, arguments.pad)
    freeze_others(model, arguments.gradients)
    trained = set(trained_names(model))
    decayed = [p for n, p in model.named_parameters() if n in trained and "bias" not in n and "LayerNorm.weight" not in n]
    others = [p for n, p in model.named_parameters() if n in trained and ("bias" in n or "LayerNorm.weight" in n)]
    groups = [{"params": decayed, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=1e-5) if arguments.optimizer == "sgd" else torch.optim.AdamW(groups, lr=1e-5)
    steps = WARMUP + arguments.steps
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 if arguments.optimizer == "sgd" else (steps - step) / steps)
    shuffle = random.Random(0)
    queue = []
    model.train()
    model.zero_grad()
    for step in range(steps):
        if step == WARMUP:
            clock = Clock()
        for _ in range(arguments.accumulation):
            if not queue:
                queue = batches(rows, arguments.batch, shuffle)
            (loss_of(model, queue.pop(), arguments.pad) / arguments.accumulation).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        model.zero_grad()
    return clock.speed(arguments.steps * arguments.batch * arguments.accumulation), loss


def top_movement(pre, tuned, names, sparsity):
    """The threshold of the coordinates that moved most, by a running merge."""
    count = int(sparsity * sum(pre[name].numel() for name in names))
    best = torch.zeros(count)
    for name in names:
        best = torch.topk(torch.cat([best, (tuned[name] - pre[name]).abs().flatten()]), count)[0]
    return best.min()


def train_mask(arguments, words, rows):
    """One epoch of the paper's mask training: gradients, one update of the scores, the metric of the rounded mask."""
    model = load(f"{arguments.folder}/base", words)
    freeze_others(model, arguments.gradients)
    model.eval()
    names = trained_names(model)
    parameters = dict(model.named_parameters())
    pre = {name: parameters[name].detach().clone() for name in names}
    tuned_model = load(f"{arguments.folder}/tuned", words)
    loss = first_loss(tuned_model, rows, arguments.pad)
    tuned = {name: p.detach() for name, p in tuned_model.named_parameters() if name in pre}
    threshold = top_movement(pre, tuned, names, 1e-4)
    base = {name: ((tuned[name] - pre[name]).abs() > threshold).float() for name in names}
    scores = {name: torch.rand_like(pre[name]) for name in names}
    beta, rate = 10.0, 1e7

    def gamma(name):
        soft = torch.sigmoid(scores[name] - beta)
        return base[name] * (1 - soft) + (1 - base[name]) * soft

    def graft(rounded):
        with torch.no_grad():
            for name in names:
                mask = torch.round(gamma(name)) if rounded else gamma(name)
                parameters[name].copy_(pre[name] + mask * (tuned[name] - pre[name]))

    def reset():
        with torch.no_grad():
            for name in names:
                parameters[name].copy_(pre[name])

    shuffle = random.Random(0)
    clock = Clock()
    graft(rounded=False)
    sums = {name: torch.zeros_like(pre[name]) for name in names}
    count = examples = 0
    for batch in batches(rows, 8, shuffle)[:arguments.batches]:
        model.zero_grad()
        loss_of(model, batch, arguments.pad).backward()
        for name in names:
            sums[name] += rate * parameters[name].grad * (tuned[name] - pre[name])
        count += 1
        examples += len(batch)
    reset()
    with torch.no_grad():
        for name in names:
            soft = torch.sigmoid(scores[name] - beta)
            scores[name] -= (1 - 2 * base[name]) * (sums[name] / count) * soft * (1 - soft)
    graft(rounded=True)
    right = 0
    with torch.no_grad():
        for batch in batches(rows, 8, shuffle)[:arguments.batches]:
            ids, mask, positions, labels = collate(batch, arguments.pad)
            right += (model(ids, mask, positions).argmax(-1) == labels).sum().item()
    reset()
    return clock.speed(examples), loss


def main():
    parser = argparse.ArgumentParser()
    jobs = parser.add_subparsers(dest="job", required=True)
    tune = jobs.add_parser("fine-tune")
    tune.add_argument("folder")
    tune.add_argument("optimizer", choices=["sgd", "adamw"])
    tune.add_argument("batch", type=int)
    tune.add_argument("accumulation", type=int)
    tune.add_argument("steps", type=int)
    mask = jobs.add_parser("mask")
    mask.add_argument("folder")
    mask.add_argument("batches", type=int)
    for job in (tune, mask):
        job.add_argument("--pad", choices=["128", "longest"], default="128")
        job.add_argument("--gradients", choices=["all", "trained"], default="all")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    with open(f"{arguments.folder}/rows.json") as file:
        data = json.load(file)
    run = fine_tune if arguments.job == "fine-tune" else train_mask
    speed, loss = run(arguments, data["words"], data["rows"])
    print(json.dumps({**speed, "loss": loss, "peakMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()

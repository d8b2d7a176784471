"""The peer of SkillLoc's benchmarks: PyTorch with the models of transformers, used well: rows are padded to the longest of their batch (and
sorted by length for scoring), no gradient is made that is not needed, and the head reads the mask alone.

  peer.py FOLDER JOB ROWS      FOLDER is what `SkillLoc.Benchmarks write FOLDER` made; prints one line of JSON
  peer.py kernels TOKENS HIDDEN INNER   which BLAS it uses, and how fast linear is
"""
import ctypes
import json
import os
import random
import resource
import statistics
import sys
import time

import torch
from torch.nn import functional as F
from transformers import AutoModelForMaskedLM

WARMUP, BATCH, MASK_BATCH, SCORING_ROWS, LOSS_ROWS, POINTS = 3, 16, 8, 32, 32, 26


class Clock:
    def __init__(self):
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def speed(self, rows):
        return {"perSecond": rows / (time.perf_counter() - self.wall), "perCpuSecond": rows / (time.process_time() - self.processor)}


class Model:
    """A model of transformers, and the logits of the label words at the mask."""

    def __init__(self, folder, words):
        self.all = AutoModelForMaskedLM.from_pretrained(folder)
        self.head = self.all.cls if self.all.base_model_prefix == "bert" else self.all.lm_head
        self.trained = [p for n, p in self.all.named_parameters() if "encoder.layer" in n]
        self.all.requires_grad_(False)
        for parameter in self.trained:
            parameter.requires_grad_(True)
        self.words = torch.tensor(words)
        self.all.eval()

    def logits(self, ids, mask, positions):
        hidden = self.all.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        return self.head(hidden[torch.arange(len(ids)), positions])[:, self.words]


class Jobs:
    def __init__(self, folder, job, count):
        with open(f"{folder}/rows.json") as file:
            data = json.load(file)
        self.folder, self.words, self.pad = folder, data["words"], data["pad"]
        self.rows = data["long" if job == "score-long" else "short"][:count]
        self.shuffle = random.Random(0)

    def load(self, name):
        return Model(f"{self.folder}/{name}", self.words)

    def collate(self, rows):
        length = max(len(row["ids"]) for row in rows)
        return (
            torch.tensor([row["ids"] + [self.pad] * (length - len(row["ids"])) for row in rows]),
            torch.tensor([[1] * len(row["ids"]) + [0] * (length - len(row["ids"])) for row in rows]),
            torch.tensor([row["position"] for row in rows]),
            torch.tensor([row["label"] for row in rows]),
        )

    def shuffled(self, size):
        rows = self.rows[:]
        self.shuffle.shuffle(rows)
        return [rows[start:start + size] for start in range(0, len(rows), size)]

    def by_length(self):
        rows = sorted(self.rows, key=lambda row: -len(row["ids"]))
        return [rows[start:start + SCORING_ROWS] for start in range(0, len(rows), SCORING_ROWS)]

    def loss(self, model, rows):
        *inputs, labels = self.collate(rows)
        return F.cross_entropy(model.logits(*inputs), labels)

    def first_loss(self, model):
        with torch.no_grad():
            return self.loss(model, self.rows[:LOSS_ROWS]).item()

    def right(self, model, batches):
        with torch.no_grad():
            for rows in batches:
                *inputs, labels = self.collate(rows)
                (model.logits(*inputs).argmax(-1) == labels).sum().item()

    def fine_tune(self):
        model = self.load("base")
        loss = self.first_loss(model)
        optimizer = torch.optim.AdamW(model.trained, lr=1e-5, weight_decay=1e-4)
        model.all.train()
        steps, queue = len(self.rows) // BATCH, []
        for step in range(-WARMUP, steps):
            if step == 0:
                clock = Clock()
            queue = queue or self.shuffled(BATCH)
            optimizer.zero_grad()
            self.loss(model, queue.pop()).backward()
            torch.nn.utils.clip_grad_norm_(model.trained, 1.0)
            optimizer.step()
        return clock.speed(steps * BATCH), loss

    def mask(self):
        """One epoch of the paper's mask training: gradients, one update of the scores, the accuracy of the rounded mask."""
        model, tuned = self.load("base"), self.load("tuned")
        loss = self.first_loss(tuned)
        pre = [p.detach().clone() for p in model.trained]
        moved = [t.detach() - p for t, p in zip(tuned.trained, pre)]
        everything = torch.cat([m.abs().flatten() for m in moved])
        threshold = everything.topk(int(1e-4 * len(everything))).values.min()
        patch = [(m.abs() > threshold).float() for m in moved]
        scores = [torch.rand_like(p) for p in pre]

        def graft(rounded):
            with torch.no_grad():
                for p, before, m, base, score in zip(model.trained, pre, moved, patch, scores):
                    soft = torch.sigmoid(score - 10)
                    share = base * (1 - soft) + (1 - base) * soft
                    p.copy_(before + (share.round() if rounded else share) * m)

        clock = Clock()
        graft(False)
        sums = [torch.zeros_like(p) for p in pre]
        batches = self.shuffled(MASK_BATCH)
        for rows in batches:
            model.all.zero_grad()
            self.loss(model, rows).backward()
            for total, p, m in zip(sums, model.trained, moved):
                total += 1e7 * p.grad * m
        with torch.no_grad():
            for score, base, total in zip(scores, patch, sums):
                soft = torch.sigmoid(score - 10)
                score -= (1 - 2 * base) * (total / len(batches)) * soft * (1 - soft)
        graft(True)
        self.right(model, self.by_length())
        return clock.speed(len(self.rows)), loss

    def probe(self):
        """A pass for the neurons' mean activations over the rows' own tokens, and one for how well they predict."""
        model = self.load("tuned")
        loss, means = self.first_loss(model), {}
        layers = model.all.base_model.encoder.layer
        read = {}
        for i, layer in enumerate(layers):
            layer.intermediate.register_forward_hook(lambda _, __, output, i=i: read.__setitem__(i, output))

        def passes(add):
            sums = dict.fromkeys(range(len(layers)), 0)
            for rows in self.by_length():
                ids, mask, _, labels = self.collate(rows)
                model.all.base_model(input_ids=ids, attention_mask=mask)
                real = mask.unsqueeze(-1).float()
                for i, activations in read.items():
                    sums[i] = sums[i] + add(i, (activations * real).sum(1) / real.sum(1), labels)
            return sums

        clock = Clock()
        with torch.no_grad():
            means = {i: total / len(self.rows) for i, total in passes(lambda i, values, _: values.sum(0)).items()}
            passes(lambda i, values, labels: ((values > means[i]) == labels.bool().unsqueeze(-1)).sum(0))
        return clock.speed(len(self.rows)), loss

    def interpolate(self):
        model, second = self.load("base"), self.load("tuned")
        loss = self.first_loss(second)
        start = [p.detach().clone() for p in model.all.parameters()]
        clock = Clock()
        for point in range(POINTS):
            with torch.no_grad():
                for p, a, b in zip(model.all.parameters(), start, second.all.parameters()):
                    p.copy_(torch.lerp(a, b, point / (POINTS - 1)))
            self.right(model, self.by_length())
        return clock.speed(len(self.rows) * POINTS), loss

    def score(self):
        model = self.load("tuned")
        loss = self.first_loss(model)
        clock = Clock()
        self.right(model, self.by_length())
        return clock.speed(len(self.rows)), loss


def blas():
    """The BLAS in this process: OpenBLAS tells its version and the processor it chose kernels for."""
    with open("/proc/self/maps") as file:
        libraries = {line.split()[-1] for line in file if "blas" in line.lower() or "mkl" in line.lower()}
    for path in libraries:
        library = ctypes.CDLL(path)
        if hasattr(library, "openblas_get_corename"):
            for name in ("openblas_get_config", "openblas_get_corename"):
                getattr(library, name).restype = ctypes.c_char_p
            return f"{library.openblas_get_config().decode()} (kernels for {library.openblas_get_corename().decode()})"
    return ", ".join(os.path.basename(path) for path in libraries) or "unknown: " + torch.__config__.show()


def kernels(tokens, hidden, inner):
    def seconds(inputs, outputs):
        x, weight, times = torch.randn(tokens, inputs), torch.randn(outputs, inputs), []
        for _ in range(11):
            start = time.perf_counter()
            for _ in range(10):
                F.linear(x, weight)
            times.append((time.perf_counter() - start) / 10)
        return statistics.median(times)

    with torch.no_grad():
        flops = 2 * tokens * (4 * hidden * hidden + 2 * hidden * inner)
        speed = flops / (4 * seconds(hidden, hidden) + seconds(hidden, inner) + seconds(inner, hidden)) / 1e9
    import transformers

    return {
        "gigaFlops": speed,
        "kernels": f"PyTorch {torch.__version__}, transformers {transformers.__version__}, {torch.backends.cpu.get_cpu_capability()}, {blas()}",
    }


def main():
    torch.manual_seed(0)
    if sys.argv[1] == "kernels":
        print(json.dumps(kernels(*map(int, sys.argv[2:]))))
        return
    folder, job, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    speed, loss = getattr(Jobs(folder, job, count), job.split("-")[0] if job.startswith("score") else job.replace("-", "_"))()
    print(json.dumps({**speed, "loss": loss, "peakMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()

"""Runs the jobs of benchmarks/README.md on every side by turns and writes tables; `eng/bench.sh` calls it.

  compare.py PROGRAM FOLDER RESULTS [--threads N] [--rounds N] [--only TEXT]
"""
import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys

SID, PEER = ["eng/sid.sh", "python3"], "/mnt/benchmarks/peer/peer.py"

TOKENS = 512

# Folder, name, hidden and feed-forward size.
MODELS = [("minilm", "MiniLM", 384, 1536), ("roberta", "RoBERTa-base's width", 768, 3072)]

# Job, name, rows for MiniLM (a third of them for the other), passes forward and backward.
JOBS = [
    ("fine-tune", "Fine-tuning, AdamW, batch 16", 192, 1, 1),
    ("mask", "Mask training, an epoch", 384, 2, 1),
    ("probe", "Probing neurons", 768, 2, 0),
    ("interpolate", "Interpolation, 26 points", 96, 1, 0),
    ("score-short", "Scoring, short rows", 768, 1, 0),
    ("score-long", "Scoring, long rows", 96, 1, 0),
]
SIDES = ["ours", "bfloat16", "reference", "fair", "pytorch", "onnx"]
TITLES = ["ours", "of the roof", "ours in bfloat16", "TorchSharp, reference's way", "TorchSharp, fair way", "PyTorch", "ONNX Runtime"]


def offered(side, job):
    return not (side == "bfloat16" and job == "mask") and not (side == "onnx" and not job.startswith("score"))


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(program, folder, side, job, rows):
    if side == "pytorch":
        return run([*SID, PEER, f"/mnt/{folder}", job, rows])
    # What is several times slower does fewer rows.
    return run([program, "job", folder, side, job, max(32, rows // {"reference": 4, "fair": 2}.get(side, 1))])


def check(job, results):
    for side, result in results.items():
        gap = abs(result["loss"] - results["ours"]["loss"])
        if gap > (0.1 if side == "bfloat16" else 1e-4):
            sys.exit(f"{job}: the loss of {side} differs from ours by {gap} on the same rows: they do not compute the same thing.")


def table(title, rounds, work, key):
    """A row for each model and job: speeds, and in brackets ours over each; bfloat16's over ours in float32."""
    lines = ["", title, "", f"| model | job | {' | '.join(TITLES)} |", "|---|---" + "|---" * len(TITLES) + "|"]
    for folder, name, *_ in MODELS:
        for job, label, *_ in JOBS:
            turns = rounds.get((folder, job))
            if not turns:
                continue
            ours = statistics.median(turn["ours"][key] for turn in turns)
            share = statistics.median(turn["ours"][key] * work[folder, job] / (1e9 * turn["roof"][key]) for turn in turns)
            cells = [f"{ours:.1f}", f"{100 * share:.0f} %"]
            for side in SIDES[1:]:
                if not offered(side, job):
                    cells.append("")
                    continue
                ratio = statistics.median(turn["ours"][key] / turn[side][key] for turn in turns)
                ratio = 1 / ratio if side == "bfloat16" else ratio
                cells.append(f"{statistics.median(turn[side][key] for turn in turns):.1f} (**{ratio:.2f}**)")
            lines.append(f"| {name} | {label} | {' | '.join(cells)} |")
    return lines


def memory(rounds):
    lines = ["", "Peak resident memory of the process, MiB:", "", f"| model | job | {' | '.join(SIDES)} |", "|---|---" + "|---" * len(SIDES) + "|"]
    for folder, name, *_ in MODELS:
        for job, label, *_ in JOBS:
            turns = rounds.get((folder, job))
            if turns:
                cells = [f"{max(turn[side]['peakMiB'] for turn in turns):.0f}" if offered(side, job) else "" for side in SIDES]
                lines.append(f"| {name} | {label} | {' | '.join(cells)} |")
    return lines


def flops(job, layers, hidden, inner, tokens):
    """Floating-point operations of the matrix products that a row of some tokens needs. Of the last layer only keys and values are needed
    everywhere (where neurons are probed, all but the last product), and no gradient of what the first layer reads."""
    *_, forward, backward = next(entry for entry in JOBS if entry[0] == job)
    layer = 4 * hidden * hidden + 2 * hidden * inner
    last = layer - hidden * inner if job == "probe" else 2 * hidden * hidden
    once = 2 * (tokens * ((layers - 1) * layer + last) + (0 if job == "probe" else layer - last))
    return (forward + 2 * backward) * once - backward * 2 * tokens * 3 * hidden * hidden


def write(path, arguments, rounds, work, said, loads):
    """What has been measured so far."""
    with open("/proc/cpuinfo") as file:
        processor = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    roofs = []
    for folder, model, *_ in MODELS:
        values = [turn["roof"]["perCpuSecond"] for (where, _), turns in rounds.items() if where == folder for turn in turns]
        if values:
            roofs.append(f"- The roof, `linear` at the shapes of {model}: {statistics.median(values):.0f} GFLOP/s of processor time.")
    lines = [
        f"{datetime.date.today()}, {processor}, {os.cpu_count()} cores, {arguments.threads} thread(s), load {min(loads):.1f} to {max(loads):.1f}; "
        f"medians of {arguments.rounds} rounds by turns.",
        "",
        *said,
        *roofs,
        *table("Rows per second of processor time:", rounds, work, "perCpuSecond"),
        *table("Rows per second of wall time:", rounds, work, "perSecond"),
        *memory(rounds),
    ]
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".tmp", "w") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(path + ".tmp", path)
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("results")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only jobs whose model and name contain this")
    arguments = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("OPENBLAS_", "MKL_", "KMP_", "OMP_"))]:
        del os.environ[name]
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)

    rounds, work, said, loads, text = {}, {}, [], [], "no job is called so"
    for folder, model, hidden, inner in MODELS:
        here = f"{arguments.folder}/{folder}"
        with open(f"{here}/base/config.json") as file:
            layers = json.load(file)["num_hidden_layers"]
        with open(f"{here}/rows.json") as file:
            data = json.load(file)
        peer = run([*SID, PEER, "kernels", TOKENS, hidden, inner])
        roof = run([arguments.program, "kernels", here, TOKENS])
        said.append(
            f"- {model}: {layers} layers of {hidden}. Ours: libtorch {roof['libtorch']}, {roof['kernels']}; `linear` in bfloat16 makes "
            f"{roof['bfloat16']:.2f} times as many products as in float32, oneDNN in float32 {roof['oneDnn']:.2f} times. The peer: {peer['kernels']}; "
            f"its `linear` makes {peer['gigaFlops']:.0f} GFLOP/s of wall time."
        )
        print(said[-1], flush=True)
        for job, label, rows, *_ in JOBS:
            if arguments.only not in f"{model} {job}":
                continue
            rows = rows if folder == "minilm" else max(32, rows // 3 // 16 * 16)
            texts = data["long" if job == "score-long" else "short"][:rows]
            work[folder, job] = flops(job, layers, hidden, inner, statistics.mean(len(text["ids"]) for text in texts))
            turns = rounds[folder, job] = []
            for _ in range(arguments.rounds):
                loads.append(os.getloadavg()[0])
                results = {side: measure(arguments.program, here, side, job, rows) for side in SIDES if offered(side, job)}
                check(job, results)
                roof = run([arguments.program, "kernels", here, TOKENS])
                turns.append({**results, "roof": {"perSecond": roof["gigaFlops"], "perCpuSecond": roof["gigaFlopsPerCpuSecond"]}})
                print(model, job, {side: round(result["perCpuSecond"], 1) for side, result in turns[-1].items()}, flush=True)
            text = write(arguments.results, arguments, rounds, work, said, loads)
    print(text)


if __name__ == "__main__":
    main()

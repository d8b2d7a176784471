"""Runs the peer's jobs and ours by turns and writes a table of ratios; see README.md. `eng/bench.sh` calls it.

  compare.py PROGRAM FOLDER RESULTS [--threads N] [--rounds N]
"""
import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer", "peer.py")
TOKENS = "1024"
FEW_TOKENS = "128"

# Title, arguments, and the size of the job: at padding 128 the peer does a quarter of it.
JOBS = [
    ("Fine-tuning, SGD, micro-batch 2 x 4", ["fine-tune", "{folder}", "sgd", "2", "4"], 24),
    ("Fine-tuning, AdamW, batch 16", ["fine-tune", "{folder}", "adamw", "16", "1"], 12),
    ("Mask training, an epoch", ["mask", "{folder}"], 128),
]
PEERS = [
    ("padded to 128", ["--pad", "128"]),
    ("padded to the longest", ["--pad", "longest"]),
    ("padded to the longest, frozen parameters without gradients", ["--pad", "longest", "--gradients", "trained"]),
]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def kernels():
    """What OpenBLAS would choose if it knew the processor; both sides get it."""
    with open("/proc/cpuinfo") as file:
        flags = next((line for line in file if line.startswith("flags")), "").split()
    return "SkylakeX" if "avx512dq" in flags else "Haswell" if "fma" in flags else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("results")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(arguments.threads)
    if kernels():
        os.environ.setdefault("OPENBLAS_CORETYPE", kernels())

    # With one thread, processor time tells the work done whatever else the machine does; with more, threads that wait spin.
    measure = "examplesPerCpuSecond" if arguments.threads == 1 else "examplesPerSecond"
    lines = [
        f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, {arguments.threads} thread(s), load "
        f"{os.getloadavg()[0]:.1f}; OPENBLAS_CORETYPE={os.environ.get('OPENBLAS_CORETYPE', 'unset')}; medians of {arguments.rounds} "
        f"rounds by turns; examples per second of {'processor' if arguments.threads == 1 else 'wall'} time.",
        "",
        "| job | peer | ours | peer's | ratio | peak MiB, ours | peer's |",
        "|---|---|---|---|---|---|---|",
    ]
    memory = None
    for title, job, size in JOBS:
        job = [part.format(folder=arguments.folder) for part in job]
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append([run([arguments.program, *job, str(size), TOKENS])])
            for name, options in PEERS:
                part = size // 4 if "128" in options else size
                rounds[-1].append(run([sys.executable, PEER, *job, str(part), *options]))
            print(title, [round(result[measure], 2) for result in rounds[-1]], flush=True)
        ours = [turn[0] for turn in rounds]
        for i, (name, _) in enumerate(PEERS, 1):
            peers = [turn[i] for turn in rounds]
            gap = max(abs(a["loss"] - b["loss"]) for a, b in zip(ours, peers))
            if gap > 1e-5:
                sys.exit(f"{title}: the losses of the same rows differ by {gap}: the two sides do not compute the same thing.")
            speed, other = (statistics.median(result[measure] for result in side) for side in (ours, peers))
            ratio = statistics.median(a[measure] / b[measure] for a, b in zip(ours, peers))
            peak, peak_peer = (max(result["peakMiB"] for result in side) for side in (ours, peers))
            lines.append(f"| {title} | {name} | {speed:.1f} | {other:.1f} | **{ratio:.2f}** | {peak:.0f} | {peak_peer:.0f} |")
        live = max(result["liveTensors"] for result in ours)
        if live:
            sys.exit(f"{title}: {live} tensors are left.")
        if job[0] == "mask":
            memory = ours[-1]
            small = run([arguments.program, *job, str(size), FEW_TOKENS])
    lines += [
        "",
        f"Peak of mask training above what the process had before the fine-tuned model was loaded: {memory['peakOverRuntimeMiB']:.0f} MiB with "
        f"the activations of {TOKENS} tokens, {small['peakOverRuntimeMiB']:.0f} MiB with those of {FEW_TOKENS}; four times the model's "
        f"parameters are {4 * memory['parametersMiB']:.0f} MiB. "
        "No tensor is left after any job. Both sides give the same loss for the same rows.",
    ]
    table = "\n".join(lines) + "\n"
    os.makedirs(os.path.dirname(os.path.abspath(arguments.results)), exist_ok=True)
    with open(arguments.results + ".tmp", "w") as file:
        file.write(table)
    os.replace(arguments.results + ".tmp", arguments.results)
    print(table)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Held-out loss after the same time: this program against a hand-tuned PyTorch loop (loop.py). Prints a Markdown table.

First the speed of both is measured, alternating with the machine to themselves, which gives the number of steps each
makes in --minutes. Then each trains that many steps, so that a machine that is busy meanwhile changes no result. Each
side's learning rate is the best of --rates in runs of --pilot of the steps. All models are evaluated by
`bert-variants eval` on the same passages with the same masks. A run that is in --out is not made again.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

from compare import HERE, ROOT, environment

SIZES = {"tiny": (2, 128, 2), "mini": (4, 256, 4), "small": (4, 512, 8)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a text file")
    parser.add_argument("valid", help="a text file")
    parser.add_argument("--out", required=True, help="folder for runs")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rates", type=float, nargs="*", default=[1e-3, 2e-3, 4e-3])
    parser.add_argument("--pilot", type=float, default=0.1, help="share of the steps on which the rate is chosen")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--python", help="an interpreter that has torch and transformers")
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "bert-variants"))
    arguments = parser.parse_args()
    python = environment(arguments.python)
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = out / "tokenizer.json"
    layers, hidden, heads = SIZES[arguments.size]

    def run(*command):
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(map(str, command))} failed")
        return done.stdout

    if not tokenizer.exists():
        train = [arguments.binary, "tokenizer", "train", "--corpus", arguments.text, "--out", tokenizer]
        run(*train, "--tokenizer", "train:wordpiece:8192", "--cache", out / "cache")

    def ours(folder, rate, *budget):
        command = [arguments.binary, "pretrain", "--preset", arguments.size, "--corpus", arguments.text, "--out", folder]
        command += ["--tokenizer", tokenizer, "--cache", out / "cache", "--threads", arguments.threads]
        command += ["--set", f"optimizer.learning_rate={rate}", "--set", "corpus.valid_fraction=0", *budget]
        run(*command)
        last = (folder / "metrics.jsonl").read_text().splitlines()[-1]
        return json.loads(last)["step"]

    def theirs(folder, rate, *budget):
        command = [python, HERE / "loop.py", arguments.text, tokenizer, folder, "--threads", arguments.threads]
        command += ["--layers", layers, "--hidden", hidden, "--heads", heads, "--rate", rate, *budget]
        return run(*command)

    measured = out / "speed.json"
    if not measured.exists():
        ours(out / "prepare", 1e-4, "--steps", 10)
        seconds = {"ours": [], "PyTorch": []}
        for number in range(3):
            ours(out / f"speed-{number}", 1e-4, "--minutes", 0.5)
            rows = (out / f"speed-{number}" / "metrics.jsonl").read_text().splitlines()
            first, last = json.loads(rows[9]), json.loads(rows[-1])
            seconds["ours"].append((last["seconds"] - first["seconds"]) / (last["step"] - first["step"]))
            steps, time = re.search(r"steps (\d+) in ([\d.]+) s", theirs("none", 1e-4, "--minutes", 0.5)).groups()
            seconds["PyTorch"].append(float(time) / int(steps))
        medians = {side: statistics.median(values) for side, values in seconds.items()}
        measured.write_text(json.dumps(medians))
    speed = json.loads(measured.read_text())
    sides = {"ours": ours, "PyTorch": theirs}

    def loss(side, rate, steps):
        folder = out / f"{side}-{rate:g}-{steps}"
        answer = out / f"{folder.name}.json"
        if not answer.exists():
            sides[side](folder, rate, "--steps", steps)
            command = [arguments.binary, "eval", "--model", folder, "--task", "loss", "--input", arguments.valid]
            answer.write_text(run(*command, "--max-length", 128, "--cache", out / "cache", "--json"))
        found = json.loads(answer.read_text())["loss"]
        print(f"{side}, learning rate {rate:g}, {steps} steps: {found:.4f}", file=sys.stderr, flush=True)
        return found

    print("| | seconds a step | steps | learning rate | held-out loss |\n|---|---|---|---|---|")
    for side in sides:
        steps = int(arguments.minutes * 60 / speed[side])
        rate = min(arguments.rates, key=lambda rate: loss(side, rate, int(steps * arguments.pilot)))
        print(f"| {side} | {speed[side]:.4f} | {steps:,} | {rate:g} | {loss(side, rate, steps):.4f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Two builds of this program, in turns: did another profile, compiler or dependency make it slower? Prints a Markdown table.

BEFORE and AFTER are folders such as target/release, each with `bert-variants` and `examples/steps`. Measured are training
steps of the small presets' sizes; with --text the way from a text to tokens; with --table and --teacher (a fine-tuned
model) the training of the BiLSTM student; and how long the command takes to say its version. Ratios are the time before
divided by the time after, above 1 the second build is faster: the median over rounds, with the lowest and the highest.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "pytorch"))
import lstm  # noqa: E402
from compare import ROWS, Contestant  # noqa: E402

STEPS = 15


def steps(folders, shape, arguments):
    """Milliseconds of a training step, a pair for each round."""
    names = ["layers", "hidden", "heads", "vocabulary", "batch", "length"]
    flags = [word for name, value in zip(names, shape) for word in (f"--{name}", str(value))]
    return [side_by_side(folders, [*flags, "--dropout", "0.1"]) for _ in range(arguments.rounds)]


def side_by_side(folders, flags):
    """The median of STEPS steps of each build, in new processes, one step of each in turn: the machine's mood changes within
    seconds, and where a process lies in memory matters as much as a few per cent of its code."""
    contestants = [Contestant([folder / "examples" / "steps", *flags]) for folder in folders]
    for contestant in contestants:
        contestant.ask("run 3")
    turns = [[contestant.ask("run 1")["ms"][0] for contestant in contestants] for _ in range(STEPS)]
    for contestant in contestants:
        contestant.stop()
    return [statistics.median(times) for times in zip(*turns)]


def seconds(command):
    started = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def version(folder, _):
    return min(seconds([folder / "bert-variants", "--version"]) for _ in range(10)) * 1e3


def tokenise(folder, arguments):
    with tempfile.TemporaryDirectory() as cache:
        command = [folder / "bert-variants", "corpus", "build", "--corpus", arguments.text, "--cache", cache]
        return seconds([*command, "--tokenizer", "train:wordpiece:8192"])


def student(folder, arguments):
    arguments.binary = folder / "bert-variants"
    return 1e6 / lstm.ours(arguments, arguments.threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=pathlib.Path)
    parser.add_argument("after", type=pathlib.Path)
    parser.add_argument("--rows", nargs="*", default=["tiny", "mini", "small"], choices=list(ROWS), metavar="ROW")
    parser.add_argument("--text", help="a text file")
    parser.add_argument("--table", help="a TSV file with the columns sentence and label")
    parser.add_argument("--teacher", help="the run of a fine-tuned model")
    parser.add_argument("--steps", type=int, default=150, help="of the BiLSTM student")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()

    folders = [arguments.before, arguments.after]
    commands = {"the command's version, ms": version}
    if arguments.text:
        commands["tokenizer trained, text tokenised and packed, s"] = tokenise
    if arguments.table and arguments.teacher:
        commands["BiLSTM student, microseconds a token"] = student

    print("| | before | after | before / after | lowest | highest |\n|---|---|---|---|---|---|")
    measured = {f"step of {name}, ms": lambda name=name: steps(folders, ROWS[name], arguments) for name in arguments.rows}
    for name, measure in commands.items():
        measured[name] = lambda measure=measure: [
            [measure(folder, arguments) for folder in folders] for _ in range(arguments.rounds)
        ]
    for name, measure in measured.items():
        rounds = measure()
        before, after = (statistics.median(times) for times in zip(*rounds))
        ratios = [first / second for first, second in rounds]
        cells = [name, f"{before:.1f}", f"{after:.1f}"]
        cells += [f"{ratio:.3f}" for ratio in (statistics.median(ratios), min(ratios), max(ratios))]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

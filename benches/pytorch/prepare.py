#!/usr/bin/env python3
"""From text to the first training step: this program against Hugging Face datasets, tokenizers and Trainer.

Tokenisation and packing: `corpus build` into an empty cache against `datasets` with the same tokenizer.json, one process
a core, in the way of run_mlm.py (tokenise lines, then join them into blocks), its cache empty too. Then the time from
the command to the end of the first training step, caches empty again, and peak memory of the whole process tree until
then. Alternates the two; prints a Markdown table of medians.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from compare import HERE, ROOT, environment

def resident(pid):
    """Resident megabytes of a process and all that it started."""
    total = 0
    try:
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += resident(child)
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        total += int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
    except (OSError, TypeError):
        pass
    return total


def watched(command, until=None, environment=None):
    """Runs a command; returns seconds until a line that matches `until` (or the end), peak megabytes, and its output."""
    started, peak, output = time.perf_counter(), [0.0], []
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    ended = threading.Event()

    def watch():
        while not ended.wait(0.05):
            peak[0] = max(peak[0], resident(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    seconds = None
    for line in process.stdout:
        output.append(line)
        if until and seconds is None and re.search(until, line):
            seconds = time.perf_counter() - started
            process.terminate()
    code = process.wait()
    ended.set()
    watcher.join()
    if (until and seconds is None) or (not until and code != 0):
        raise SystemExit("".join(output[-20:]))
    return seconds or time.perf_counter() - started, peak[0], "".join(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a text file")
    parser.add_argument("--python", help="an interpreter that has torch, transformers and datasets")
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "bert-variants"))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    python = environment(arguments.python)
    work = pathlib.Path(tempfile.mkdtemp())
    tokenizer = work / "tokenizer.json"
    train = [arguments.binary, "tokenizer", "train", "--corpus", arguments.text, "--out", tokenizer]
    watched([*train, "--tokenizer", "train:wordpiece:8192", "--cache", work / "tokenizers"])
    rows = {"tokenise and pack, seconds": [], "tokenise and pack, peak MB": []}
    firsts = {"command to first step, seconds": [], "until then, peak MB": []}
    for number in range(arguments.rounds):
        cache = work / f"cache-{number}"
        build = [arguments.binary, "corpus", "build", "--corpus", arguments.text, "--tokenizer", tokenizer]
        seconds, megabytes, _ = watched([*build, "--cache", cache])
        script = [python, HERE / "trainer.py", arguments.text, tokenizer, "--processes", arguments.processes]
        theirs, their_megabytes, _ = watched([*script, work / f"hf-{number}"])
        rows["tokenise and pack, seconds"].append((seconds, theirs))
        rows["tokenise and pack, peak MB"].append((megabytes, their_megabytes))
        pretrain = [arguments.binary, "pretrain", "--preset", "tiny", "--corpus", arguments.text]
        pretrain += ["--tokenizer", tokenizer, "--cache", work / f"first-{number}", "--out", work / f"run-{number}"]
        pretrain += ["--set", "corpus.valid_fraction=0", "--steps", 1]
        seconds, megabytes, _ = watched(pretrain)
        train = [*script, work / f"hf-run-{number}", "--train", work / f"hf-out-{number}"]
        theirs, their_megabytes, _ = watched(train, until="stepped")
        firsts["command to first step, seconds"].append((seconds, theirs))
        firsts["until then, peak MB"].append((megabytes, their_megabytes))
        for leftover in work.glob("*-[0-9]*"):
            shutil.rmtree(leftover, ignore_errors=True)
    print("| | ours | Hugging Face | ratio |\n|---|---|---|---|")
    for name, pairs in {**rows, **firsts}.items():
        if pairs:
            ours, theirs = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
            ratio = statistics.median(theirs / ours for ours, theirs in pairs)
            print(f"| {name} | {ours:.1f} | {theirs:.1f} | {ratio:.2f} |")
    shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())

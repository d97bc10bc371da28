#!/usr/bin/env python3
"""Speed and memory of a training step: this program against PyTorch, alternating in one run. Prints a Markdown table.

Makes a virtual environment in target/bench-venv with what requirements.txt names, unless --python gives one. All
contestants of a row are started, warmed up, and then asked in turn for a few steps each, round after round, so that a
noisy machine is noisy for all; a ratio is the median over rounds of (their milliseconds / our milliseconds), where a
peer in bfloat16 is compared with ours in bfloat16.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# name: layers, hidden, heads, vocabulary, batch, length
ROWS = {
    "tiny": (2, 128, 2, 8192, 32, 128),
    "mini": (4, 256, 4, 8192, 32, 128),
    "small": (4, 512, 8, 8192, 32, 128),
    "mini, 512 tokens": (4, 256, 4, 8192, 8, 512),
    "tiny, 30,522 words": (2, 128, 2, 30522, 32, 128),
    "mini, 30,522 words": (4, 256, 4, 30522, 32, 128),
}
OURS = {"ours": [], "ours, bf16": ["--bf16"]}
PEERS = {
    "masked": ["--logits", "masked"],
    "masked, compiled": ["--logits", "masked", "--compile"],
    "all": ["--logits", "all"],
    "all, compiled": ["--logits", "all", "--compile"],
    "masked, bf16": ["--logits", "masked", "--bf16"],
    "masked, bf16, compiled": ["--logits", "masked", "--bf16", "--compile"],
}


class Contestant:
    def __init__(self, command, environment=None):
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
        self.process = subprocess.Popen(command, env=environment, **pipes)
        self.hello = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self.process.args))} stopped; run it by hand to see why")
        return json.loads(line)

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self.read()

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def environment(given):
    if given:
        return given
    folder = ROOT / "target" / "bench-venv"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True)
    return str(python)


def row(name, shape, python, threads, arguments):
    layers, hidden, heads, vocabulary, batch, length = shape
    flags = ["--layers", layers, "--hidden", hidden, "--heads", heads, "--vocabulary", vocabulary]
    flags += ["--batch", batch, "--length", length, "--dropout", arguments.dropout]
    flags = list(map(str, flags))
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    contestants = {name: Contestant([arguments.binary, *flags, *extra], environment) for name, extra in OURS.items()}
    with tempfile.TemporaryDirectory() as data:
        contestants["ours"].ask(f"export {data}")
        common = [python, str(HERE / "peer.py"), *flags, "--threads", str(threads), "--data", data]
        contestants |= {peer: Contestant([*common, *PEERS[peer]]) for peer in arguments.peers}
    first = {name: contestant.ask(f"run {arguments.warm}") for name, contestant in contestants.items()}
    rounds = [
        {name: contestant.ask(f"run {arguments.steps}") for name, contestant in contestants.items()}
        for _ in range(arguments.rounds)
    ]
    for contestant in contestants.values():
        contestant.stop()
    times = {name: [statistics.median(r[name]["ms"]) for r in rounds] for name in contestants}
    memory = {name: rounds[-1][name]["megabytes"] for name in contestants}
    mine = {peer: times["ours, bf16" if "--bf16" in PEERS[peer] else "ours"] for peer in arguments.peers}
    ratio = {
        peer: statistics.median(theirs / ours for theirs, ours in zip(times[peer], mine[peer])) for peer in mine
    }
    cells = [name, *(f"{batch * length / statistics.median(times[side]) * 1e3:,.0f}" for side in OURS)]
    cells += [f"{ratio[peer]:.2f}" for peer in mine]
    eager = memory[arguments.peers[0]]
    cells += [f"{memory['ours']:.0f} MB", f"{memory['ours'] / eager:.2f}"]
    print("| " + " | ".join(cells) + " |", flush=True)
    difference = {peer: abs(first[peer]["losses"][0] - first["ours"]["losses"][0]) for peer in mine}
    return {"row": name, "ms": times, "megabytes": memory, "ratio": ratio, "first_loss_difference": difference}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="an interpreter that has torch and transformers")
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "examples" / "steps"))
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), metavar="PEER")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", help="write all measurements to this file")
    arguments = parser.parse_args()
    python = environment(arguments.python)
    head = ["configuration", "our tokens/s", "in bf16", *(f"PyTorch {peer}" for peer in arguments.peers), "our memory", "of PyTorch's"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    results = [row(name, ROWS[name], python, arguments.threads, arguments) for name in arguments.rows]
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1))
    if arguments.dropout == 0:
        worst = max(max(result["first_loss_difference"].values()) for result in results)
        print(f"\nlargest difference of the first loss from the same weights: {worst:.1e}")


if __name__ == "__main__":
    sys.exit(main())

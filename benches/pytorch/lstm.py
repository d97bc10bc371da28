#!/usr/bin/env python3
"""Tokens per second of training the BiLSTM student: this program against PyTorch, in turns. Prints a Markdown table.

The network of Tang et al. 2019 (embeddings of 300, 150 units in each direction, 200 in between) learns the labels of a table
of sentences with AdamW and clipping, in batches of 32 of mixed lengths; PyTorch once with packed sequences, as its
documentation asks for, and once on the rectangle with its padding, which is faster on some machines but reads padding. Only
tokens that are no padding count. --teacher is a fine-tuned model, whose tokenizer both use.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EMBEDDING, WIDTH, INNER, BATCH, LENGTH = 300, 150, 200, 32, 128
WARM = 20


def ours(arguments, threads):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "run"
        command = [arguments.binary, "distill", "--method", "bilstm", "--teacher", arguments.teacher, "--out", out]
        command += ["--train", arguments.table, "--steps", arguments.steps, "--learning-rate", "1e-3", "--batch", BATCH]
        command += ["--set", "objective.distillation.share=0.0", "--set", f"log.every={WARM}", "--threads", threads]
        command += ["--set", "evaluation.every=1000000", "--set", "checkpoint.every=1000000"]
        subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        first, last = rows[0], rows[-1]
        return (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])


def theirs(arguments, threads, packed):
    command = [arguments.python, __file__, arguments.table, "--teacher", arguments.teacher, "--steps", arguments.steps]
    command += ["--peer", "packed" if packed else "padded", "--threads", threads]
    return float(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def peer(arguments):
    import torch
    from tokenizers import Tokenizer

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    tokenizer = Tokenizer.from_file(str(pathlib.Path(arguments.teacher) / "tokenizer.json"))
    with open(arguments.table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    names = sorted({row["label"] for row in rows})
    examples = [
        (encoding.ids[:LENGTH], names.index(row["label"]))
        for encoding, row in zip(tokenizer.encode_batch([row["sentence"] for row in rows]), rows)
    ]

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(tokenizer.get_vocab_size(), EMBEDDING)
            self.lstm = torch.nn.LSTM(EMBEDDING, WIDTH, batch_first=True, bidirectional=True)
            self.inner = torch.nn.Linear(2 * WIDTH, INNER)
            self.output = torch.nn.Linear(INNER, len(names))
            self.dropout = torch.nn.Dropout(0.1)

        def forward(self, ids, lengths):
            x = self.embedding(ids)
            if arguments.peer == "packed":
                x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            _, (state, _) = self.lstm(x)
            return self.output(self.dropout(torch.relu(self.inner(torch.cat([state[0], state[1]], dim=1)))))

    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    shuffle, tokens, started = random.Random(1), 0, 0.0
    order = []
    for step in range(arguments.steps):
        if step == WARM:
            tokens, started = 0, time.perf_counter()
        if len(order) < BATCH:
            order = shuffle.sample(range(len(examples)), len(examples))
        part, order = [examples[i] for i in order[:BATCH]], order[BATCH:]
        lengths = torch.tensor([len(ids) for ids, _ in part])
        longest = int(lengths.max())
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in part])
        loss = torch.nn.functional.cross_entropy(network(ids, lengths), torch.tensor([label for _, label in part]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        tokens += int(lengths.sum())
    print(tokens / (time.perf_counter() - started))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="a TSV file with the columns sentence and label")
    parser.add_argument("--teacher", required=True, help="the run of a fine-tuned model")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--python", help="an interpreter that has torch")
    parser.add_argument("--peer", choices=["packed", "padded"], help=argparse.SUPPRESS)
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "bert-variants"))
    arguments = parser.parse_args()
    if arguments.peer:
        return peer(arguments)
    from compare import environment

    arguments.python = environment(arguments.python)
    threads = arguments.threads
    rounds = [
        (ours(arguments, threads), theirs(arguments, threads, True), theirs(arguments, threads, False))
        for _ in range(arguments.rounds)
    ]
    print("| | tokens per second | ours / theirs |\n|---|---|---|")
    for side, name in enumerate(["ours", "PyTorch, packed", "PyTorch, padded"]):
        speed = statistics.median(round[side] for round in rounds)
        ratio = statistics.median(round[0] / round[side] for round in rounds)
        print(f"| {name} | {speed:,.0f} | {ratio:.2f} |")
    return None


if __name__ == "__main__":
    sys.exit(main())

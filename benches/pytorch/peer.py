"""Training steps of the same model in PyTorch, for compare.py: answers `run N` on stdin with a line of JSON.

The model is transformers' BertForMaskedLM with PyTorch's fused attention, AdamW and clipping. `--logits masked` computes
logits only at the predicted places, as a careful user would by hand; `--logits all` everywhere, as run_mlm.py does.
"""

import argparse
import json
import resource
import sys
import time

import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertForMaskedLM

parser = argparse.ArgumentParser()
for name in ("layers", "hidden", "heads", "vocabulary", "batch", "length"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--dropout", type=float, required=True)
parser.add_argument("--logits", choices=["masked", "all"], required=True)
parser.add_argument("--compile", action="store_true")
parser.add_argument("--bf16", action="store_true")
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--data", required=True, help="folder that `export` wrote")
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(1)
config = BertConfig(
    vocab_size=args.vocabulary,
    hidden_size=args.hidden,
    num_hidden_layers=args.layers,
    num_attention_heads=args.heads,
    intermediate_size=4 * args.hidden,
    max_position_embeddings=512,
    hidden_dropout_prob=args.dropout,
    attention_probs_dropout_prob=args.dropout,
    attn_implementation="sdpa",
)
model = BertForMaskedLM(config).train()

ours = load_file(f"{args.data}/weights.safetensors")


def copy(target, name, transpose=False):
    value = ours.pop(name)
    target.data.copy_(value.T if transpose else value)


def linear(target, name):
    copy(target.weight, f"{name}.weight", transpose=True)
    copy(target.bias, f"{name}.bias")


def norm(target, name):
    copy(target.weight, f"{name}.gamma")
    copy(target.bias, f"{name}.beta")


embeddings = model.bert.embeddings
copy(embeddings.word_embeddings.weight, "encoder.embeddings.tokens")
copy(embeddings.position_embeddings.weight, "encoder.embeddings.places.positions")
copy(embeddings.token_type_embeddings.weight, "encoder.embeddings.places.segments")
norm(embeddings.LayerNorm, "encoder.embeddings.places.norm")
for i, layer in enumerate(model.bert.encoder.layer):
    attention, inner = f"encoder.stack.attention.{i}", f"encoder.stack.feed_forward.{i}"
    linear(layer.attention.self.query, f"{attention}.query")
    linear(layer.attention.self.key, f"{attention}.key")
    linear(layer.attention.self.value, f"{attention}.value")
    linear(layer.attention.output.dense, f"{attention}.output")
    norm(layer.attention.output.LayerNorm, f"{attention}.norm")
    linear(layer.intermediate.dense, f"{inner}.inner")
    linear(layer.output.dense, f"{inner}.outer")
    norm(layer.output.LayerNorm, f"{inner}.norm")
head = model.cls.predictions
linear(head.transform.dense, "head.transform")
norm(head.transform.LayerNorm, "head.norm")
copy(head.bias, "head.bias")
assert not ours, f"not used: {sorted(ours)}"

stored = load_file(f"{args.data}/batches.safetensors")
batches = []
for i in range(len(stored) // 3):
    tokens, places, labels = (stored[f"{i}.{name}"].long() for name in ("tokens", "places", "labels"))
    everywhere = torch.full((args.batch * args.length,), -100)
    everywhere[places] = labels
    shape = (args.batch, args.length)
    batches.append((tokens.view(shape), places, labels, everywhere.view(shape)))


def masked(tokens, places, labels, _everywhere):
    hidden = model.bert(tokens).last_hidden_state.view(-1, args.hidden).index_select(0, places)
    return torch.nn.functional.cross_entropy(model.cls(hidden), labels)


def all_places(tokens, _places, _labels, everywhere):
    return model(tokens, labels=everywhere).loss


loss_of = masked if args.logits == "masked" else all_places
if args.compile:
    loss_of = torch.compile(loss_of)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, eps=1e-6, weight_decay=0.01, fused=True)
print(json.dumps({"ready": True, "torch": torch.__version__}), flush=True)
step = 0
for line in sys.stdin:
    command, count = line.split()
    assert command == "run", line
    milliseconds, losses = [], []
    for _ in range(int(count)):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            loss = loss_of(*batches[step % len(batches)])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        milliseconds.append((time.perf_counter() - start) * 1e3)
        step += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"ms": milliseconds, "losses": losses, "megabytes": peak}), flush=True)

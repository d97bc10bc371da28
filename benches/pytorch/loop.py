"""A hand-tuned PyTorch loop of masked language modelling, for quality.py: transformers' BERT, logits only where masked.

Text is tokenised once and cut into blocks without padding; masks are drawn anew for every batch, 80/10/10; fused
attention, fused AdamW, clipping, a warmup of 5 % and a line down to zero. Writes a folder for `bert-variants eval`.
With --minutes it only measures: prints the steps it made in that time.
"""

import argparse
import time

import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertForMaskedLM

parser = argparse.ArgumentParser()
for name in ("text", "tokenizer", "out"):
    parser.add_argument(name)
for name in ("layers", "hidden", "heads", "threads"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--steps", type=int, default=1_000_000)
parser.add_argument("--minutes", type=float)
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--length", type=int, default=128)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(args.seed)
tokenizer = Tokenizer.from_file(args.tokenizer)
cls, sep, mask = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]", "[MASK]"))
vocabulary = tokenizer.get_vocab_size()
specials = 5
with open(args.text, encoding="utf-8") as file:
    lines = [line for line in file.read().splitlines() if line.strip()]
stream = []
for start in range(0, len(lines), 4096):
    for encoding in tokenizer.encode_batch(lines[start : start + 4096], add_special_tokens=False):
        stream.extend(encoding.ids)
inner = args.length - 2
blocks = torch.tensor(stream[: len(stream) // inner * inner], dtype=torch.int32).view(-1, inner)
del stream, lines

config = BertConfig(
    vocab_size=vocabulary,
    hidden_size=args.hidden,
    num_hidden_layers=args.layers,
    num_attention_heads=args.heads,
    intermediate_size=4 * args.hidden,
    max_position_embeddings=512,
    hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1,
    attn_implementation="sdpa",
)
model = BertForMaskedLM(config).train()
no_decay = [p for p in model.parameters() if p.ndim < 2]
decay = [p for p in model.parameters() if p.ndim >= 2]
groups = [{"params": decay, "weight_decay": 0.01}, {"params": no_decay, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=args.rate, eps=1e-6, fused=True)
warmup = max(1, args.steps // 20)
schedule = torch.optim.lr_scheduler.LambdaLR(
    optimizer, lambda step: min((step + 1) / warmup, max(0.0, (args.steps - step) / (args.steps - warmup)))
)


def batches():
    while True:
        order = torch.randperm(len(blocks))
        for start in range(0, len(order) - args.batch + 1, args.batch):
            rows = blocks[order[start : start + args.batch]].long()
            rows = torch.nn.functional.pad(rows, (1, 0), value=cls)
            rows = torch.nn.functional.pad(rows, (0, 1), value=sep)
            chosen = (torch.rand(rows.shape) < 0.15) & (rows >= specials)
            places = chosen.view(-1).nonzero().squeeze(1)
            labels = rows.view(-1)[places]
            fate = torch.rand(len(places))
            other = torch.randint(specials, vocabulary, (len(places),))
            shown = torch.where(fate < 0.8, mask, torch.where(fate < 0.9, other, labels))
            rows.view(-1)[places] = shown
            yield rows, places, labels


started = time.perf_counter()
for step, (rows, places, labels) in enumerate(batches()):
    if step == args.steps or (args.minutes and time.perf_counter() - started > 60 * args.minutes):
        break
    hidden = model.bert(rows).last_hidden_state.view(-1, args.hidden).index_select(0, places)
    loss = torch.nn.functional.cross_entropy(model.cls(hidden), labels)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
if args.minutes:
    print(f"steps {step} in {time.perf_counter() - started:.1f} s")
else:
    model.save_pretrained(args.out)
    tokenizer.save(f"{args.out}/tokenizer.json")

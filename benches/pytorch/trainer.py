"""The steps of Hugging Face's run_mlm.py, for prepare.py: text, tokens, blocks, and with --train a step of Trainer."""

import argparse
from itertools import chain

parser = argparse.ArgumentParser()
for name in ("text", "tokenizer", "cache"):
    parser.add_argument(name)
parser.add_argument("--length", type=int, default=128)
parser.add_argument("--processes", type=int, required=True)
parser.add_argument("--train", help="folder for the output of Trainer")
args = parser.parse_args()

from datasets import load_dataset
from transformers import PreTrainedTokenizerFast

special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
tokenizer = PreTrainedTokenizerFast(tokenizer_file=args.tokenizer, **special)
lines = load_dataset("text", data_files=args.text, cache_dir=args.cache)["train"]


def tokenise(batch):
    return tokenizer(batch["text"], return_special_tokens_mask=True)


def group(batch):
    joined = {key: list(chain(*batch[key])) for key in batch}
    total = len(next(iter(joined.values()))) // args.length * args.length
    blocks = range(0, total, args.length)
    return {key: [values[i : i + args.length] for i in blocks] for key, values in joined.items()}


tokens = lines.map(tokenise, batched=True, num_proc=args.processes, remove_columns=["text"])
blocks = tokens.map(group, batched=True, num_proc=args.processes)
print("prepared", len(blocks), "blocks", flush=True)

if args.train:
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    class Tell(TrainerCallback):
        def on_step_end(self, *_, **__):
            print("stepped", flush=True)

    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
    )
    settings = TrainingArguments(
        output_dir=args.train, per_device_train_batch_size=32, max_steps=1, report_to=[], use_cpu=True
    )
    collator = DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm_probability=0.15)
    model = BertForMaskedLM(config)
    Trainer(model=model, args=settings, train_dataset=blocks, data_collator=collator, callbacks=[Tell()]).train()

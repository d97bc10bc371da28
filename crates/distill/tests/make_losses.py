#!/usr/bin/env python3
"""Writes losses.json: distillation losses as PyTorch computes them in the authors' code, with their inputs.

DistilBERT: `distiller.py` (KLDivLoss batchmean of softened logits times T^2 where the attention mask or the labels are,
CosineEmbeddingLoss of hidden states, summed MSELoss over the number of places). TinyBERT: `general_distill.py` and
`task_distill.py` (scores at most -100 are zeroed in either matrix, MSELoss over everything, one map to the teacher's width,
soft cross-entropy averaged over batch and classes), and the same without padding. Tang et al.: MSELoss of logits beside a
cross-entropy. Needs torch.
"""

import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(20261124)
LENGTHS = [4, 2]
BATCH, LEN, VOCABULARY = len(LENGTHS), max(LENGTHS), 11
mask = torch.tensor([[1 if i < length else 0 for i in range(LEN)] for length in LENGTHS])
real = mask.bool()
out = {"lengths": LENGTHS}


def keep(name, value):
    out[name] = value.tolist() if value.dim() == 0 else value.reshape(-1).tolist()
    return value


def distilbert():
    student = keep("distilbert/student_logits", torch.randn(BATCH, LEN, VOCABULARY) * 2)
    teacher = keep("distilbert/teacher_logits", torch.randn(BATCH, LEN, VOCABULARY) * 2)
    labels = torch.full((BATCH, LEN), -100)
    labels[0, 1], labels[0, 2], labels[1, 1] = 3, 7, 0
    keep("distilbert/labels", labels)
    divergence = nn.KLDivLoss(reduction="batchmean")
    for name, chosen in [("all", real), ("predicted", labels > -1)]:
        s, t = student[chosen], teacher[chosen]
        for temperature in [1.0, 2.0]:
            loss = divergence(F.log_softmax(s / temperature, -1), F.softmax(t / temperature, -1)) * temperature**2
            keep(f"distilbert/divergence_{name}_{temperature:.0f}", loss)
        keep(f"distilbert/squares_{name}", nn.MSELoss(reduction="sum")(s, t) / s.shape[0])
    keep("distilbert/mlm", F.cross_entropy(student.view(-1, VOCABULARY), labels.view(-1), ignore_index=-100))
    hidden = [keep(f"distilbert/{name}_hidden", torch.randn(BATCH, LEN, 6)) for name in ["student", "teacher"]]
    s, t = (states[real] for states in hidden)
    keep("distilbert/cosine", nn.CosineEmbeddingLoss()(s, t, torch.ones(len(s))))


def tinybert():
    heads, width, teacher_width = 2, 3, 5
    mapping = keep("tinybert/mapping", torch.tensor([2, 4]))
    bias = ((1 - mask) * -10000.0)[:, None, None, :]
    student = [torch.randn(BATCH, heads, LEN, LEN) + bias for _ in range(2)]
    teacher = [torch.randn(BATCH, heads, LEN, LEN) + bias for _ in range(4)]
    fit = nn.Linear(width, teacher_width)
    keep("tinybert/fit_weight", fit.weight.detach().T)
    keep("tinybert/fit_bias", fit.bias.detach())
    states = [torch.randn(BATCH, LEN, width) for _ in range(3)]
    teacher_states = [torch.randn(BATCH, LEN, teacher_width) for _ in range(5)]
    for name, tensors in [
        ("student_scores", student),
        ("teacher_scores", teacher),
        ("student_states", states),
        ("teacher_states", teacher_states),
    ]:
        keep(f"tinybert/{name}", torch.stack(tensors))

    def shown(scores):
        return torch.where(scores <= -1e2, torch.zeros_like(scores), scores)

    pairs = real[:, None, :, None] & real[:, None, None, :]
    pairs = pairs.expand(-1, heads, -1, -1)
    matched = [teacher[layer - 1] for layer in mapping.tolist()]
    with torch.no_grad():
        keep("tinybert/attention_authors", sum(F.mse_loss(shown(s), shown(t)) for s, t in zip(student, matched)))
        keep("tinybert/attention_clean", sum(F.mse_loss(s[pairs], t[pairs]) for s, t in zip(student, matched)))
        matched = [teacher_states[layer] for layer in [0, *mapping.tolist()]]
        fitted = [fit(state) for state in states]
        for name, choose in [("authors", lambda x: x), ("clean", lambda x: x[real])]:
            losses = [F.mse_loss(choose(s), choose(t)) for s, t in zip(fitted, matched)]
            keep(f"tinybert/embedding_{name}", losses[0])
            keep(f"tinybert/hidden_{name}", sum(losses[1:]))
        # A student of one head learns the mean of the teacher's two.
        one = [s.mean(1, keepdim=True) for s in student]
        matched = [teacher[layer - 1].mean(1, keepdim=True) for layer in mapping.tolist()]
        keep("tinybert/attention_one_head", sum(F.mse_loss(s[pairs[:, :1]], t[pairs[:, :1]]) for s, t in zip(one, matched)))
        keep("tinybert/student_scores_one_head", torch.stack(one))


def prediction():
    student = keep("prediction/student", torch.randn(5, 3) * 2)
    teacher = keep("prediction/teacher", torch.randn(5, 3) * 2)
    labels = keep("prediction/labels", torch.tensor([0, 2, 1, 1, 0]))
    soft = -F.softmax(teacher, -1) * F.log_softmax(student, -1)
    keep("prediction/soft_authors", soft.mean())
    keep("prediction/soft", soft.sum(-1).mean())
    warm = -F.softmax(teacher / 3, -1) * F.log_softmax(student / 3, -1)
    keep("prediction/soft_3", 9 * warm.sum(-1).mean())
    keep("prediction/squares_authors", F.mse_loss(student, teacher))
    keep("prediction/squares", ((student - teacher) ** 2).sum(-1).mean())
    keep("prediction/hard", F.cross_entropy(student, labels))


distilbert()
tinybert()
prediction()
path = pathlib.Path(__file__).with_name("losses.json")
path.write_text(json.dumps(out, indent=0, sort_keys=True) + "\n")

#!/usr/bin/env bash
# Spans in two sequences with next-sentence prediction, in one, and in one with the boundary objective (SpanBERT, Joshi et
# al. 2020, table 7).
. "$(dirname "$0")/lib.sh"
pretrain two-sequences --objective sbo --set objective.weight=0.0 --set objective.sequences=next-sentence
pretrain one-sequence --objective sbo --set objective.weight=0.0
pretrain one-sequence-boundary --objective sbo
evaluate units
compare mlm/loss mlm/accuracy eval/units/span/loss eval/units/token/loss

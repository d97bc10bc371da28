#!/usr/bin/env bash
# Spans in two sequences with next-sentence prediction, in one, and in one with the boundary objective (SpanBERT, Joshi et
# al. 2020, table 7).
. "$(dirname "$0")/lib.sh"
arm two-sequences --objective sbo --set objective.weight=0.0 --set objective.sequences=next-sentence
arm one-sequence --objective sbo --set objective.weight=0.0
arm one-sequence-boundary --objective sbo
evaluate units
table mlm/loss mlm/accuracy eval/units/span/loss eval/units/token/loss

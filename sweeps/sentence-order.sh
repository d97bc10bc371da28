#!/usr/bin/env bash
# Next sentence, sentence order, or neither (ALBERT, Lan et al. 2020, table 5, intrinsic tasks): trained on each, judged on
# all. Expect the order's model to know something of next sentences, and not the reverse.
. "$(dirname "$0")/lib.sh"
arm none --objective sop --set objective.labels=none
arm next-sentence --objective sop --set objective.labels=next-sentence
arm sentence-order --objective sop --set objective.labels=sentence-order
evaluate nsp
evaluate sop
table mlm/accuracy eval/nsp/accuracy eval/sop/accuracy

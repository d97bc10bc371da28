#!/usr/bin/env bash
# Next sentence, sentence order, or neither (ALBERT, Lan et al. 2020, table 5, intrinsic tasks): trained on each, judged on
# all. Expect the order's model to know something of next sentences, and not the reverse.
. "$(dirname "$0")/lib.sh"
pretrain none --objective sop --set objective.labels=none
pretrain next-sentence --objective sop --set objective.labels=next-sentence
pretrain sentence-order --objective sop --set objective.labels=sentence-order
evaluate nsp
evaluate sop
compare mlm/accuracy eval/nsp/accuracy eval/sop/accuracy

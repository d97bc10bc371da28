#!/usr/bin/env bash
# Static against dynamic masking (RoBERTa, Liu et al. 2019, table 1): one, five or ten masks of each passage used in turn,
# or a new one each epoch. Expect a difference only after more epochs than there are duplicates.
. "$(dirname "$0")/lib.sh"
pretrain dynamic --objective mlm
pretrain static-10 --objective mlm --set objective.duplicates=10
pretrain static-5 --objective mlm --set objective.duplicates=5
pretrain static-1 --objective mlm --set objective.duplicates=1
compare loss mlm/accuracy

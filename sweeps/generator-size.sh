#!/usr/bin/env bash
# Size of ELECTRA's generator, what it shares with the discriminator, and samples without a model (ELECTRA, Clark et al.
# 2020, figure 3 and section 3.2). Expect the best discriminators near a quarter to a half of the width; their own metrics
# are not comparable, since larger generators are harder to find out.
. "$(dirname "$0")/lib.sh"
pretrain unigram --objective rtd --set objective.generator.kind=unigram
for size in 0.125 0.25 0.5 1.0; do
  pretrain "width-$size-of-it" --objective rtd --set objective.generator.size=$size
done
pretrain tokens-tied --objective rtd --set objective.generator.tying=tokens
pretrain nothing-tied --objective rtd --set objective.generator.tying=none
pretrain all-tied --objective rtd --set objective.generator.size=1.0 --set objective.generator.tying=all
compare rtd/auc rtd/f1 rtd/replaced

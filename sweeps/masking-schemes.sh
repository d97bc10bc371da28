#!/usr/bin/env bash
# What is masked at once: pieces, words, n-grams, spans (SpanBERT, Joshi et al. 2020, table 6). Losses over different units
# are not comparable; eval/units has each model's loss on each unit.
. "$(dirname "$0")/lib.sh"
for family in bert bert-whole-word albert spanbert; do
  pretrain "$family" --objective mlm --set objective.masking.family=$family
done
evaluate units
compare eval/units/token/loss eval/units/word/loss eval/units/n-gram/loss eval/units/span/loss

#!/usr/bin/env bash
# From masked language modelling to ELECTRA, step by step (ELECTRA, Clark et al. 2020, table 5), with equal compute:
# --flops for each arm, all networks counted, by default about what masked language modelling needs for --tokens at the
# "tiny" size. The arms' own losses are not comparable: given a task's tables, the sweep fine-tunes every encoder.
. "$(dirname "$0")/lib.sh"
[ -n "$smoke" ] && : "${flops:=3e8}"
: "${flops:=$(awk "BEGIN { print 4.0e6 * $tokens }")}"
pretrain mlm --flops "$flops" --objective mlm
pretrain electra --flops "$flops" --objective rtd
pretrain electra-15-percent --flops "$flops" --objective rtd --set objective.variant=electra-15
pretrain replace-mlm --flops "$flops" --objective rtd --set objective.variant=replace-mlm
pretrain all-tokens-mlm --flops "$flops" --objective rtd --set objective.variant=all-tokens-mlm
compare loss mlm/accuracy rtd/auc rtd/f1

[ -n "$smoke$train" ] || exit 0
. "$(dirname "$0")/tasks.sh"
arms=(mlm electra electra-15-percent replace-mlm all-tokens-mlm)
for arm in "${arms[@]}"; do
  finetune "finetuned-$arm" "$out/$arm-seed{seed}"
done
keep "${arms[@]/#/finetuned-}"
compare_as "$name-finetuned" dev/accuracy test/accuracy

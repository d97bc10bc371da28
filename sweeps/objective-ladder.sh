#!/usr/bin/env bash
# From masked language modelling to ELECTRA, step by step (ELECTRA, Clark et al. 2020, table 5), with equal compute: as many
# floating-point operations as masked language modelling of the size needs for the tokens asked for, all networks counted.
# The encoders' own losses cannot be compared with each other: given the tables of a task, it fine-tunes them.
. "$(dirname "$0")/lib.sh"
# Operations of a training token: 3 * 2 * parameters of the layers, and the attention; 3 MFLOP a token at the "tiny" size.
budget=(--flops "$(awk "BEGIN { print ${FLOPS_PER_TOKEN:-4.0e6} * $tokens }")")
[ -n "$smoke" ] && budget=(--flops 3e8)
arm mlm --objective mlm
arm electra --objective rtd
arm electra-15-percent --objective rtd --set objective.variant=electra-15
arm replace-mlm --objective rtd --set objective.variant=replace-mlm
arm all-tokens-mlm --objective rtd --set objective.variant=all-tokens-mlm
arms=(mlm electra electra-15-percent replace-mlm all-tokens-mlm)
table loss mlm/accuracy rtd/auc rtd/f1
[ -n "$smoke$train" ] || exit 0
. "$(dirname "$0")/tasks.sh"
for arm in "${arms[@]}"; do tune "tuned-$arm" "$out/$arm-seed{seed}"; done
only "${arms[@]/#/tuned-}"
name+=-tuned
table dev/accuracy test/accuracy

#!/usr/bin/env bash
# Width of the token table, with and without sharing of all layers (ALBERT, Lan et al. 2020, table 3).
. "$(dirname "$0")/lib.sh"
widths="32 64 128"
[ -n "$smoke" ] && widths="8 32"
for sharing in none all; do
  for width in $widths; do
    pretrain "$sharing-$width-wide" --objective sop --set encoder.sharing=$sharing --set encoder.embedding="$width"
  done
done
compare mlm/loss mlm/accuracy sop/accuracy

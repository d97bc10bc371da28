#!/usr/bin/env bash
# Which sublayers share their weights (ALBERT, Lan et al. 2020, table 4). Expect sharing the feed-forward network to cost
# most.
. "$(dirname "$0")/lib.sh"
for sharing in none attention feed-forward all; do
  pretrain "share-$sharing" --objective sop --set encoder.sharing=$sharing
done
compare mlm/loss mlm/accuracy sop/accuracy

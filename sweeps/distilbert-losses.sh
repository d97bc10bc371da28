#!/usr/bin/env bash
# What each loss of DistilBERT and its start are worth (Sanh et al. 2019, table 4): a student of half the layers of a teacher
# (--teacher, or trained first), without one of them at a time, and without a teacher.
. "$(dirname "$0")/lib.sh"
pretrain_teacher
student=(--set encoder.layers=2 --set encoder.segments=0)
distilled=("${student[@]}" --objective distilbert --set "teacher=$teacher")
pretrain all-losses "${distilled[@]}" --init "$teacher"
pretrain no-divergence "${distilled[@]}" --init "$teacher" --set objective.divergence=0.0
pretrain no-cosine "${distilled[@]}" --init "$teacher" --set objective.cosine=0.0
pretrain no-mlm "${distilled[@]}" --init "$teacher" --set objective.mlm=0.0
pretrain random-start "${distilled[@]}" --set objective.start=random
pretrain no-teacher "${student[@]}" --objective mlm
evaluate units
keep all-losses no-{divergence,cosine,mlm,teacher} random-start
compare eval/units/token/loss eval/units/token/accuracy eval/units/word/loss

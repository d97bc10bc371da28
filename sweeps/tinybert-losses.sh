#!/usr/bin/env bash
# What each loss, each mapping of layers and each stage of TinyBERT is worth (Jiao et al. 2020, tables 2 to 4).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tasks.sh"
finetune_teacher
distil_on_text general tinybert-general --set encoder.layers=2
intermediate=(--intermediate-epochs "$sentence_epochs" --intermediate-learning-rate 1e-3)
both_stages=(tinybert-task --student "$out/general-seed{seed}" "${intermediate[@]}")
hard_labels=(--train "$labelled" --epochs "$epochs" --set objective.distillation.share=0.0)
distil all "${both_stages[@]}"
distil no-embedding "${both_stages[@]}" --set objective.embedding=0.0
distil no-hidden "${both_stages[@]}" --set objective.hidden=0.0
distil no-attention "${both_stages[@]}" --set objective.attention=0.0
distil no-prediction "${both_stages[@]}" "${hard_labels[@]}"
distil top-layers "${both_stages[@]}" --set objective.mapping=top
distil bottom-layers "${both_stages[@]}" --set objective.mapping=bottom
distil no-general tinybert-task "${intermediate[@]}" --set encoder.layers=2
distil no-intermediate tinybert-task --student "$out/general-seed{seed}" --stage prediction
finetune no-task-distillation "$out/general-seed{seed}"
compare_with_teacher all no-{embedding,hidden,attention,prediction,general,intermediate,task-distillation} \
  {top,bottom}-layers
compare test/accuracy eval/trade-off/agreement

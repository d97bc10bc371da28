#!/usr/bin/env bash
# Students with hard labels, from a teacher, and from a teacher with more sentences: DistilBERT (Sanh et al. 2019), TinyBERT
# (Jiao et al. 2020, table 2: stages) and a BiLSTM (Tang et al. 2019, table 1), with the cost of each.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tasks.sh"
finetune_teacher
augmented=$out/augmented.tsv
if [ ! -f "$augmented" ]; then
  "$bin" augment --method tinybert --model "$teacher" --input "$sentences" --output "$augmented" --copies 5 || exit
fi

# Predictions at the masked positions only, which costs a sixth of all positions.
distil_on_text distilbert distilbert --set encoder.layers=2 --set objective.positions=predicted
finetune distilbert-hard-labels "$out/distilbert-seed{seed}" --from-scratch
finetune distilbert-general "$out/distilbert-seed{seed}"
# Distilled again while it adapts to the task (Sanh et al. 2019, section 3), which is TinyBERT's last stage.
distil distilbert-distilled tinybert-task --stage prediction --student "$out/distilbert-seed{seed}" --learning-rate 5e-4

distil_on_text tinybert tinybert-general --set encoder.layers=2
finetune tinybert-hard-labels "$out/tinybert-seed{seed}" --from-scratch
finetune tinybert-general "$out/tinybert-seed{seed}"
two_stages=(tinybert-task --student "$out/tinybert-seed{seed}" --intermediate-learning-rate 1e-3)
distil tinybert-distilled "${two_stages[@]}" --intermediate-epochs "$sentence_epochs"
distil tinybert-augmented "${two_stages[@]}" --intermediate-epochs 1 --train "$augmented" --epochs 1

hard_labels=(--train "$labelled" --epochs "$epochs" --set objective.distillation.share=0.0)
distil bilstm-hard-labels bilstm "${hard_labels[@]}"
distil bilstm-distilled bilstm
distil bilstm-augmented bilstm --train "$augmented" --epochs 1

compare_with_teacher {distilbert,tinybert}-{hard-labels,general,distilled} bilstm-{hard-labels,distilled} \
  {tinybert,bilstm}-augmented
compare test/accuracy eval/trade-off/agreement eval/trade-off/ratio/parameters eval/trade-off/ratio/rows_per_second

#!/usr/bin/env bash
# What each loss, each mapping of layers and each stage of TinyBERT is worth (Jiao et al. 2020, tables 2 to 4).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tasks.sh"
teach
general general tinybert-general --set encoder.layers=2
inside=(--intermediate-epochs "$passes" --intermediate-learning-rate 1e-3)
stages=(tinybert-task --student "$out/general-seed{seed}" "${inside[@]}")
student all "${stages[@]}"
student no-embedding "${stages[@]}" --set objective.embedding=0.0
student no-hidden "${stages[@]}" --set objective.hidden=0.0
student no-attention "${stages[@]}" --set objective.attention=0.0
sentences=$train passes=$epochs student no-prediction "${stages[@]}" --set objective.advice.share=0.0
student top-layers "${stages[@]}" --set objective.mapping=top
student bottom-layers "${stages[@]}" --set objective.mapping=bottom
student no-general tinybert-task "${inside[@]}" --set encoder.layers=2
student no-intermediate tinybert-task --student "$out/general-seed{seed}" --stage prediction
tune no-task-distillation "$out/general-seed{seed}"
kept all no-{embedding,hidden,attention,prediction,general,intermediate,task-distillation} {top,bottom}-layers
table test/accuracy eval/trade-off/agreement

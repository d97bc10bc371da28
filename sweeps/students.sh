#!/usr/bin/env bash
# Students with hard labels, from a teacher, and from a teacher with more sentences: DistilBERT (Sanh et al. 2019), TinyBERT
# (Jiao et al. 2020, table 2: stages) and a BiLSTM (Tang et al. 2019, table 1), with what each costs.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tasks.sh"
teach
more=$out/more.tsv
[ -f "$more" ] || "$bin" augment --method tinybert --model "$teacher" --input "$sentences" --output "$more" --copies 5 || exit
# Predictions at the masked positions only, which costs a sixth of all positions.
general distilbert distilbert --set encoder.layers=2 --set objective.positions=predicted
general tinybert tinybert-general --set encoder.layers=2
tune distilbert-hard-labels "$out/distilbert-seed{seed}" --from-scratch
tune distilbert-general "$out/distilbert-seed{seed}"
# Distilled again while it adapts to the task (Sanh et al. 2019, section 3), which is TinyBERT's last stage.
rate=5e-4 student distilbert-distilled tinybert-task --stage prediction --student "$out/distilbert-seed{seed}"
tune tinybert-hard-labels "$out/tinybert-seed{seed}" --from-scratch
tune tinybert-general "$out/tinybert-seed{seed}"
inside=(--intermediate-learning-rate 1e-3 --intermediate-epochs)
student tinybert-distilled tinybert-task --student "$out/tinybert-seed{seed}" "${inside[@]}" "$passes"
from=$more student tinybert-augmented tinybert-task --student "$out/tinybert-seed{seed}" "${inside[@]}" 1
sentences=$train passes=$epochs student bilstm-hard-labels bilstm --set objective.advice.share=0.0
student bilstm-distilled bilstm
from=$more student bilstm-augmented bilstm
kept {distilbert,tinybert}-{hard-labels,general,distilled} bilstm-{hard-labels,distilled} {tinybert,bilstm}-augmented
table test/accuracy eval/trade-off/agreement eval/trade-off/ratio/parameters eval/trade-off/ratio/rows_per_second

# What the sweeps with a task share: its tables, and the ways to learn it. Sourced after lib.sh.
if [ -n "$smoke" ]; then
  # Whether a line comes from a story or from a recipe.
  train=$out/train.tsv dev=$out/dev.tsv test=$out/dev.tsv epochs=1
  for part in train dev; do
    folder=$root/corpora/tiny/${part/dev/valid}
    printf 'sentence\tlabel\n' >"$out/$part.tsv"
    for label in stories recipes; do
      grep -v '^$' "$folder/$label.txt" | head -n 40 | sed "s/$/\t$label/" >>"$out/$part.tsv"
    done
  done
elif [ -z "$train" ] || [ -z "$dev" ] || [ -z "$test" ]; then
  echo "give --train, --dev and --test, or --smoke" >&2
  usage 2
fi

# `labelled` is the table for fine-tuning, `sentences` the table for students, and `sentence_epochs` the number of epochs
# over `sentences` that reads as many sentences as `epochs` over `labelled`.
labelled=$train sentences=$train sentence_epochs=$epochs
if [ -n "$labels" ]; then
  labelled=$out/labelled.tsv
  head -n $((labels + 1)) "$sentences" >"$labelled"
  sentence_epochs=$(awk -v rows="$(wc -l <"$sentences")" "BEGIN { print $epochs * $labels / (rows - 1) }")
fi
length=48
evaluated_on=(--dev "$dev" --test "$test" --max-length $length)
finetuning=(--task classification --train "$labelled" --epochs "$epochs" "${evaluated_on[@]}" --learning-rate 5e-4)

# finetune ARM MODEL FLAGS...: learns from the labels with every seed.
finetune() {
  for_each_seed "$1" finetune --model "$2" "${finetuning[@]}" "${@:3}"
}

# distil ARM METHOD FLAGS...: learns from the fine-tuned teacher's predictions for `sentences`, unless FLAGS say otherwise.
distil() {
  local flags=("${@:3}")
  has_flag --train "${flags[@]}" || flags+=(--train "$sentences")
  has_flag --epochs "${flags[@]}" || flags+=(--epochs "$sentence_epochs")
  has_flag --learning-rate "${flags[@]}" || flags+=(--learning-rate 1e-3)
  for_each_seed "$1" distill --method "$2" --teacher "$finetuned_teacher" "${evaluated_on[@]}" "${flags[@]}"
}

# distil_on_text ARM METHOD FLAGS...: learns from the pretrained teacher on the text.
distil_on_text() {
  for_each_seed "$1" distill --method "$2" --teacher "$teacher" --corpus "$corpus" --valid "$valid" --tokens "$tokens" \
    --max-length $length --batch 64 --learning-rate 1e-3 "${@:3}"
}

# finetune_teacher: sets `teacher`, and `finetuned_teacher` to its fine-tuned form.
finetune_teacher() {
  pretrain_teacher
  for_first_seed finetuned-teacher finetune --model "$teacher" "${finetuning[@]}"
  finetuned_teacher=$out/finetuned-teacher-seed${seeds%% *}
}

# compare_with_teacher ARM...: each student of ARM... beside the fine-tuned teacher, in quality and in cost.
compare_with_teacher() {
  keep "$@"
  evaluate trade-off --teacher "$finetuned_teacher"
}

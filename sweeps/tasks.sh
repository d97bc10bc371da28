# What the sweeps with a task share: its tables, and the ways to learn it. Sourced after lib.sh.
if [ -n "$smoke" ]; then
  # Is a line from a story or from a recipe?
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
# What has labels, what has not, and how often to go through the latter to have seen as many sentences.
sentences=$train passes=$epochs
if [ -n "$labels" ]; then
  train=$out/labelled.tsv
  head -n $((labels + 1)) "$sentences" >"$train"
  passes=$(awk -v rows="$(wc -l <"$sentences")" "BEGIN { print $epochs * $labels / (rows - 1) }")
fi
length=48
data=(--dev "$dev" --test "$test" --max-length $length)

# tune NAME MODEL FLAGS...: learns the labels.
tune() {
  local arm=$1 model=$2
  shift 2
  each "$arm" finetune --model "$model" --task classification --train "$train" --epochs "$epochs" "${data[@]}" \
    --learning-rate 5e-4 "$@"
}

# student NAME METHOD FLAGS...: learns from the tuned teacher, $passes times from $sentences, or once from $from, at $rate.
student() {
  local arm=$1 method=$2 passes=$passes
  [ -n "${from:-}" ] && passes=1
  shift 2
  each "$arm" distill --method "$method" --teacher "$tuned" --train "${from:-$sentences}" --epochs "$passes" "${data[@]}" \
    --learning-rate "${rate:-1e-3}" "$@"
}

# general NAME METHOD FLAGS...: learns from the teacher's text.
general() {
  local arm=$1 method=$2
  shift 2
  each "$arm" distill --method "$method" --teacher "$teacher" --corpus "$corpus" --valid "$valid" --tokens "$tokens" \
    --max-length $length --batch 64 --learning-rate 1e-3 "$@"
}

# teach: pretrains a teacher, unless there is one, and fine-tunes it.
teach() {
  teach_text
  once tune tuned "$teacher"
  tuned=$out/tuned-seed${seeds%% *}
}

# kept ARM...: puts each student beside the teacher.
kept() {
  only "$@"
  evaluate trade-off --teacher "$tuned"
}

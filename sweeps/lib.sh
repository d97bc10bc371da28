# What the sweeps share. A sweep sources this file, then calls `pretrain` for each of its arms and `compare` at the end.
#
#   sweeps/NAME.sh [--smoke] [--corpus PATH] [--valid PATH] [--out DIR] [--preset NAME] [--tokens N] [--flops N]
#                  [--seeds "1 2 3"] [--train TABLE --dev TABLE --test TABLE] [--teacher DIR] [--epochs N] [--labels N]
#                  [-- FLAGS OF PRETRAIN]
#
# Every arm is trained with every seed on the same data in the same order with the same budget. The same command continues
# an interrupted sweep: it skips finished runs and resumes the others. A run that fails does not stop the sweep, and is
# reported at the end. --smoke does all of it with a very small model on corpora/tiny. --flops is the budget of
# objective-ladder.sh.
#
# Sweeps over students need a task's tables, with the columns sentence and label. --teacher is a pretrained model, used
# instead of a teacher trained by the sweep. With --labels N only the first N sentences of the training table keep their
# labels: fine-tuning sees those alone, a student sees all sentences with the teacher's predictions, and each arm reads as
# many sentences in total, except the arms with augmented sentences.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=$(basename "$0" .sh)
bin=${BERT_VARIANTS:-$root/target/release/bert-variants}
corpus= valid= out= smoke=
train= dev= test= teacher= labels=
preset=tiny tokens= flops= seeds= epochs=3
extra=()
failed=()
finished=()

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" | sed '$d'
  exit "$1"
}

while [ $# -gt 0 ]; do
  case $1 in
    --smoke) smoke=yes ;;
    --corpus | --valid | --out | --preset | --tokens | --flops | --seeds | --train | --dev | --test | --teacher | --epochs | \
      --labels)
      [ $# -ge 2 ] || { echo "$1 needs a value" >&2; usage 2; }
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    --) shift; extra=("$@"); break ;;
    --help | -h) usage 0 ;;
    *) echo "unknown: $1" >&2; usage 2 ;;
  esac
  shift
done

if [ -n "$smoke" ]; then
  : "${corpus:=$root/corpora/tiny/train}" "${valid:=$root/corpora/tiny/valid}" "${out:=$root/runs/smoke/$name}"
  : "${seeds:=1 2}" "${tokens:=3000}"
  extra+=(--tokenizer train:wordpiece:1024 --max-length 48 --batch 8 --set evaluation.passages=16 --set log.every=1
    --set encoder.hidden=32 --set encoder.heads=2 --set encoder.feed_forward=64 --set encoder.positions=48)
elif [ -z "$corpus" ] || [ -z "$valid" ]; then
  echo "give --corpus and --valid, or --smoke" >&2
  usage 2
fi
: "${out:=$root/runs/$name}" "${seeds:=1 2 3}" "${tokens:=20000000}"
[ -x "$bin" ] || { echo "$bin is missing: run make build, or set BERT_VARIANTS" >&2; exit 1; }
mkdir -p "$out" || exit 1
text=(--preset "$preset" --corpus "$corpus" --valid "$valid" "${extra[@]}")

# has_flag FLAG FLAGS...: whether FLAG is among FLAGS.
has_flag() {
  local flag=$1 given
  shift
  for given in "$@"; do
    [ "$given" = "$flag" ] && return
  done
  return 1
}

# stop_if_interrupted CODE: leaves the sweep if CODE is the exit code of an interrupted command.
stop_if_interrupted() {
  [ "$1" = 130 ] || [ "$1" = 143 ] || return 0
  echo "$name: stopped; the same command continues" >&2
  exit "$1"
}

# run_with_seed SEED ARM COMMAND...: one run, unless it is finished.
run_with_seed() {
  local seed=$1 arm=$2 run=$out/$2-seed$1 command code
  shift 2
  set -- "${@//\{seed\}/$seed}"
  command=$(printf '%q ' "$@")

  if [ -f "$run/summary.json" ]; then
    if [ "$(cat "$run.command" 2>/dev/null)" = "$command" ]; then
      finished+=("$run")
    else
      failed+=("$run (finished with other settings, see $run.command: give another --out, or remove the run)")
    fi
    return
  fi

  echo "$name: $arm, seed $seed" >&2
  echo "$command" >"$run.command"
  if "$bin" "$@" --seed "$seed" --out "$run" >"$run.log" 2>&1; then
    finished+=("$run")
  else
    code=$?
    stop_if_interrupted $code
    failed+=("$run (exit $code, see $run.log)")
  fi
}

# for_each_seed ARM COMMAND...: runs a command of bert-variants with every seed; {seed} in COMMAND becomes the seed.
for_each_seed() {
  local seed
  for seed in $seeds; do
    run_with_seed "$seed" "$@"
  done
}

# for_first_seed ARM COMMAND...: runs a command with the first seed alone.
for_first_seed() {
  run_with_seed "${seeds%% *}" "$@"
}

# pretrain ARM FLAGS...: pretrains with every seed, for --tokens unless FLAGS have another budget.
pretrain() {
  local arm=$1 budget=()
  shift
  has_flag --flops "$@" || budget=(--tokens "$tokens")
  for_each_seed "$arm" pretrain "${text[@]}" "${budget[@]}" "$@"
}

# pretrain_teacher: sets `teacher` to a model of four layers, trained here unless --teacher names one.
pretrain_teacher() {
  [ -n "$teacher" ] && return
  for_first_seed teacher pretrain "${text[@]}" --tokens "$tokens" --set encoder.layers=4
  teacher=$out/teacher-seed${seeds%% *}
}

# keep ARM...: leaves the other arms out of what follows.
keep() {
  local run arm all=("${finished[@]}")
  finished=()
  for run in "${all[@]}"; do
    for arm in "$@"; do
      case $run in "$out/$arm"-seed*) finished+=("$run") ;; esac
    done
  done
}

# evaluate TASK FLAGS...: evaluates every finished run; `compare` finds the results as eval/TASK/...
evaluate() {
  local task=$1 run code
  shift
  for run in "${finished[@]}"; do
    [ -f "$run/eval-$task.json" ] && continue
    if "$bin" eval --model "$run" --task "$task" "$@" --json >"$run/eval-$task.json.tmp" 2>>"$run.log"; then
      mv "$run/eval-$task.json.tmp" "$run/eval-$task.json"
    else
      code=$?
      rm -f "$run/eval-$task.json.tmp"
      stop_if_interrupted $code
      failed+=("$run (eval --task $task, see $run.log)")
    fi
  done
}

# compare METRICS...: the table of the arms on stdout, and beside the runs as CSV and as a page.
compare() {
  compare_as "$name" "$@"
}

# compare_as NAME METRICS...: the same with files called NAME.
compare_as() {
  local file=$out/$1
  shift
  if [ ${#finished[@]} -gt 0 ]; then
    "$bin" compare "${finished[@]}" --metric "$@" --csv "$file.csv" --html "$file.html" || failed+=("compare")
    echo "also in $file.csv and $file.html" >&2
  fi
  if [ ${#failed[@]} -gt 0 ]; then
    echo "$name: failed:" >&2
    printf '  %s\n' "${failed[@]}" >&2
    exit 1
  fi
}

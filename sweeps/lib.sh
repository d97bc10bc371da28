# What the sweeps share. A sweep sources this file, then calls `arm` for each of its arms and `table` at the end.
#
#   sweeps/NAME.sh [--smoke] [--corpus PATH] [--valid PATH] [--out DIR] [--preset NAME] [--tokens N] [--seeds "1 2 3"]
#                  [--train TABLE --dev TABLE --test TABLE] [--teacher DIR] [--epochs N] [--labels N]
#                  [-- FLAGS OF PRETRAIN]
#
# Sweeps over students of a task need the tables, of sentences and labels; --teacher is a pretrained model that they use
# instead of training one. With --labels only that many sentences of the table for training have a label: the teacher and
# whoever learns from labels see no others, students see all sentences with what the teacher says of them, and all learn
# from as many, but for those with augmented sentences. The objectives' ladder fine-tunes its models where there are tables.
# Every arm is trained with every seed on the same data order and the same budget. A sweep that was interrupted is
# continued by the same command: finished runs are skipped, others resume. A run that fails is reported at the end, and
# the others go on. --smoke does all of it with a very small model on corpora/tiny.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name=$(basename "$0" .sh)
bin=${BERT_VARIANTS:-$root/target/release/bert-variants}
corpus= valid= out= smoke=
train= dev= test= teacher= labels=
preset=tiny tokens= seeds= epochs=3
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
    --corpus | --valid | --out | --preset | --tokens | --seeds | --train | --dev | --test | --teacher | --epochs | --labels)
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
budget=(--tokens "$tokens")

# stop CODE: where that of a command says that it was interrupted, the user wants to stop and not to go on with the next.
stop() {
  [ "$1" = 130 ] || [ "$1" = 143 ] || return 0
  echo "$name: stopped; the same command continues" >&2
  exit "$1"
}

# each NAME COMMAND...: runs the command of this program with every seed. {seed} in it becomes the seed.
each() {
  local arm=$1 seed run code command
  shift
  for seed in $seeds; do
    run=$out/$arm-seed$seed
    command=$(printf '%q ' "${@//\{seed\}/$seed}")
    if [ -f "$run/summary.json" ]; then
      # What was made by another command is another run.
      if [ "$(cat "$run.command" 2>/dev/null)" = "$command" ]; then
        finished+=("$run")
      else
        failed+=("$run (finished with other settings, in $run.command: give another --out, or remove it)")
      fi
      continue
    fi
    echo "$name: $arm, seed $seed" >&2
    echo "$command" >"$run.command"
    if "$bin" "${@//\{seed\}/$seed}" --seed "$seed" --out "$run" >"$run.log" 2>&1; then
      finished+=("$run")
    else
      code=$?
      stop $code
      failed+=("$run (exit $code, see $run.log)")
    fi
  done
}

# arm NAME FLAGS...: pretrains the arm with every seed.
arm() {
  local arm=$1
  shift
  each "$arm" pretrain "${text[@]}" "${budget[@]}" "$@"
}

# once ARM...: the first seed alone.
once() {
  local all=$seeds
  seeds=${seeds%% *}
  "$@"
  seeds=$all
}

# teach_text: pretrains a teacher of four layers, unless there is one.
teach_text() {
  [ -n "$teacher" ] && return
  once arm teacher --set encoder.layers=4
  teacher=$out/teacher-seed${seeds%% *}
}

# only ARM...: forgets the other arms, which are steps on the way.
only() {
  local run arm all=("${finished[@]}")
  finished=()
  for run in "${all[@]}"; do
    for arm in "$@"; do
      case $run in "$out/$arm"-seed*) finished+=("$run") ;; esac
    done
  done
}

# evaluate TASK FLAGS...: evaluates every finished run, for `table` to find as eval/TASK/...
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
      stop $code
      failed+=("$run (eval --task $task, see $run.log)")
    fi
  done
}

# table METRICS...: the table, as text on stdout and beside the runs as CSV and as a page.
table() {
  local run
  if [ ${#finished[@]} -gt 0 ]; then
    "$bin" compare "${finished[@]}" --metric "$@" --csv "$out/$name.csv" --html "$out/$name.html" || failed+=("compare")
    echo "also in $out/$name.csv and $out/$name.html" >&2
  fi
  if [ ${#failed[@]} -gt 0 ]; then
    echo "$name: failed:" >&2
    printf '  %s\n' "${failed[@]}" >&2
    exit 1
  fi
}

#!/usr/bin/env bash
# What a user without Rust does with the wheel: installs it in a new virtual environment, and trains 20 steps.
#
#   tests/wheel.sh WHEEL
set -euo pipefail

wheel=$(realpath "$1")
corpora=$(realpath "$(dirname "$0")/../corpora/tiny")
version=$(basename "$wheel" | cut -d - -f 2)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
cd "$folder"
# Nothing of the environment that built the wheel.
clean() { env -i HOME="$folder" PATH="$folder/venv/bin:/usr/bin:/bin" "$@"; }

started=$SECONDS
clean pip install --quiet --disable-pip-version-check --no-index "$wheel"
echo "installed in $((SECONDS - started)) s"
[ "$(clean bert-variants --version)" = "bert-variants $version" ]

clean bert-variants pretrain --preset demo --corpus "$corpora/train" --valid "$corpora/valid" --out run --steps 20
[ "$(cat run/latest)" = step-00000020 ]
clean bert-variants eval --model run --task loss
echo "the wheel of version $version works"

# Cheapest check first. `make` lists the targets.
CARGO ?= cargo
# Cargo features besides the default ones (cpu and wgpu), such as `make test FEATURES=ndarray`.
FEATURES ?=
# Options of the demo's training, such as DEMO="--steps 300".
DEMO ?=
# Options of the sweeps: SWEEPS="--corpus TEXT --valid TEXT --train TABLE --dev TABLE --test TABLE", or some of them.
SWEEPS ?= --smoke

# Text for the benchmarks that need some: TEXT=FILE, and VALID=FILE for the time to quality, which takes hours.
TEXT ?=
VALID ?=

CARGO_FLAGS = --release --workspace $(if $(FEATURES),--features $(FEATURES))
BIN = target/release/bert-variants
ifdef CARGO_TARGET_DIR
BIN = $(CARGO_TARGET_DIR)/release/bert-variants
endif

.PHONY: help check fmt clippy test build sweeps bench demo parity

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

check: fmt clippy ## format and lints, warnings denied

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy $(CARGO_FLAGS) --all-targets -- -D warnings

test: ## every test
	$(CARGO) test $(CARGO_FLAGS)

build: ## the program
	$(CARGO) build --release $(if $(FEATURES),--features $(FEATURES))

demo: build ## pretrain on corpora/tiny for one to two minutes, then evaluate
	$(BIN) pretrain --preset demo --corpus corpora/tiny/train --valid corpora/tiny/valid --out runs/demo $(DEMO)
	$(BIN) eval --model runs/demo --task loss
	$(BIN) eval --model runs/demo --task pll --input corpora/tiny/sentences.txt
	$(BIN) inspect --preset demo --corpus corpora/tiny/train --count 2

sweeps: build ## the papers' tables at small scale: a smoke run, or SWEEPS="--corpus TEXT --valid TEXT"
	@for sweep in $(filter-out sweeps/lib.sh sweeps/tasks.sh,$(wildcard sweeps/*.sh)); do BERT_VARIANTS=$(abspath $(BIN)) $$sweep $(SWEEPS) || exit 1; done

bench: ## kernels against their compositions, a step against PyTorch; with TEXT=FILE VALID=FILE from text to quality too
	$(CARGO) bench -p kernels
	$(CARGO) build --release --examples $(if $(FEATURES),--features $(FEATURES))
	python3 benches/pytorch/compare.py
	$(if $(TEXT),python3 benches/pytorch/prepare.py $(TEXT))
	$(if $(and $(TEXT),$(VALID)),python3 benches/pytorch/quality.py $(TEXT) $(VALID) --out runs/quality)

parity: ## make the reference numbers of tests/fixtures again (needs Python with torch and transformers)
	python3 tests/fixtures/make_parity.py
	python3 tests/fixtures/make_heads.py
	python3 tests/fixtures/make_old.py
	python3 crates/distill/tests/make_losses.py

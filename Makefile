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
# Where `make install` puts the program, its manual pages and its completions.
PREFIX ?= $(HOME)/.local

TARGET = $(or $(CARGO_TARGET_DIR),target)
BIN = $(TARGET)/release/bert-variants
# One profile and one set of features for the program, its tests, its benchmarks and the lints: each dependency is
# compiled once.
FLAGS = --release --locked $(if $(FEATURES),--features $(FEATURES))
VERSION = $(lastword $(subst @, ,$(shell $(CARGO) pkgid --offline)))
COMPLETIONS = share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d
MATURIN = $(TARGET)/packaging/bin/maturin
ARCHIVE = bert-variants-$(VERSION)-$(shell rustc -vV | sed -n 's/host: //p')

.PHONY: help requirements check fmt clippy docs test build demo sweeps bench install wheel dist test-wheel licences \
  check-cuda configuration parity

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

requirements:
	@$(CARGO) --version >/dev/null 2>&1 || { echo 'cargo is missing: install Rust with rustup, version' \
	  "$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer" >&2; exit 1; }
	@echo 'int main(void) { return 0; }' | $(CC) -x c -o /dev/null - 2>/dev/null || { echo 'no C compiler that links a' \
	  'program ($(CC)): install gcc or clang with the headers of the C library (Debian, Ubuntu: build-essential; macOS:' \
	  'xcode-select --install), or name another one with CC=' >&2; exit 1; }

check: fmt clippy docs ## format, lints and documentation, warnings denied

fmt:
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	$(CARGO) fmt --all --check

clippy: requirements
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
	$(CARGO) clippy $(FLAGS) --workspace --all-targets -- -D warnings

docs: requirements ## the crates' documentation, in target/doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(FLAGS) --workspace --no-deps

test: requirements ## every test
	$(CARGO) test $(FLAGS) --workspace

build: requirements ## the program, in target/release
	@test -x $(BIN) || echo "Compiling bert-variants and $$(grep -c '^name' Cargo.lock) dependencies at most:" \
	  'about ten minutes on two fast cores, twenty on two slow ones; later builds take seconds.'
	$(CARGO) build $(FLAGS)

demo: build ## pretrain on corpora/tiny for one to two minutes, evaluate, fill a mask, write a page
	@echo 'Training two layers of 128 on 200 kB of text: one to two minutes on two cores.'
	$(BIN) pretrain --preset demo --corpus corpora/tiny/train --valid corpora/tiny/valid --out runs/demo $(DEMO)
	$(BIN) inspect --preset demo --corpus corpora/tiny/train --count 2
	$(BIN) eval --model runs/demo --task loss
	$(BIN) eval --model runs/demo --task pll --input corpora/tiny/sentences.txt
	$(BIN) fill-mask --model runs/demo --text 'The baker opened [MASK] door and put the bread on the table.'
	$(BIN) compare runs/demo --html runs/demo/report.html
	@echo 'The curves are in runs/demo/report.html.'

sweeps: build ## the papers' tables at small scale: a smoke run, or SWEEPS="--corpus TEXT --valid TEXT"
	@for sweep in $(filter-out sweeps/lib.sh sweeps/tasks.sh,$(wildcard sweeps/*.sh)); do BERT_VARIANTS=$(abspath $(BIN)) $$sweep $(SWEEPS) || exit 1; done

bench: requirements ## kernels against their compositions, a step against PyTorch; with TEXT=FILE VALID=FILE from text to quality too
	$(CARGO) bench --locked $(if $(FEATURES),--features $(FEATURES)) --workspace --bench operations
	$(CARGO) build $(FLAGS) --examples
	python3 benches/pytorch/compare.py
	$(if $(TEXT),python3 benches/pytorch/prepare.py $(TEXT))
	$(if $(and $(TEXT),$(VALID)),python3 benches/pytorch/quality.py $(TEXT) $(VALID) --out runs/quality)

install: build ## the program, its manual pages and completions into PREFIX, ~/.local when left out
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin $(COMPLETIONS))
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin
	$(BIN) man --to $(DESTDIR)$(PREFIX)/share/man/man1
	$(BIN) completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/bert-variants
	$(BIN) completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_bert-variants
	$(BIN) completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/bert-variants.fish

$(MATURIN): pyproject.toml
	@python3 -m venv --help >/dev/null 2>&1 || { echo 'Python 3 with its module venv is missing, which packages the' \
	  'wheel (Debian, Ubuntu: python3-venv)' >&2; exit 1; }
	python3 -m venv $(TARGET)/packaging
	$(TARGET)/packaging/bin/pip install --quiet "$$(sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml)"
	@touch $@

wheel: build $(MATURIN) ## the Python package that holds the program, in dist
	$(MATURIN) build $(FLAGS) --out dist

dist: wheel licences ## the wheel, and an archive with program, manual pages, completions, README and licences, in dist
	rm -rf $(TARGET)/$(ARCHIVE)
	mkdir -p $(TARGET)/$(ARCHIVE)/completions
	cp $(BIN) README.md LICENSE-MIT $(TARGET)/licences.tsv $(TARGET)/$(ARCHIVE)
	$(BIN) man --to $(TARGET)/$(ARCHIVE)/man
	for shell in bash zsh fish elvish powershell; do $(BIN) completions $$shell > $(TARGET)/$(ARCHIVE)/completions/bert-variants.$$shell || exit 1; done
	tar -C $(TARGET) -czf dist/$(ARCHIVE).tar.gz $(ARCHIVE)

test-wheel: wheel ## install the wheel in a new virtual environment, without cargo, and train 20 steps
	tests/wheel.sh dist/bert_variants-$(VERSION)-*.whl

licences: requirements ## the licences of all dependencies, in target/licences.tsv, and whether they and their sources are allowed
	@mkdir -p $(TARGET)
	$(CARGO) tree --locked --workspace --edges normal,build --target all --prefix none --format '{l}	{p}' \
	  | sed -n '/ (\//d; s/ (proc-macro)//; s/ (\*)$$//; /./p' | sort -u > $(TARGET)/licences.tsv
	@cut -f 1 $(TARGET)/licences.tsv | sort | uniq -c | sort -rn
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo 'cargo-deny is not installed: deny.toml was not checked'; exit 0; }; \
	  $(CARGO) deny --all-features check --hide-inclusion-graph bans licenses sources && \
	  if ls -d $${CARGO_HOME:-$(HOME)/.cargo}/advisory-dbs/*/ >/dev/null 2>&1; then $(CARGO) deny --all-features --offline check advisories; \
	  else echo 'no database of advisories is at hand (`cargo deny fetch` brings it): they were not checked'; fi

# With DOCS_RS the backend's build does not fetch LLVM, which a check does not need.
check-cuda: requirements ## that the backend cuda compiles
	DOCS_RS=1 $(CARGO) check --release --locked --features cuda

configuration: requirements ## write docs/configuration.md anew from the code
	$(CARGO) test $(FLAGS) --test configuration -- --ignored

parity: ## make the reference numbers of tests/fixtures again (needs Python with torch and transformers)
	python3 tests/fixtures/make_parity.py
	python3 tests/fixtures/make_heads.py
	python3 tests/fixtures/make_old.py
	python3 crates/distill/tests/make_losses.py

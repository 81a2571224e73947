# Every habit has one command here; `make help` lists them. Works from anywhere: make -C <checkout> run

override ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
PYTHON ?= $(firstword $(shell command -v python3.11) $(shell command -v python3))
BIN := $(ROOT)/.venv/bin

.DEFAULT_GOAL := help
.PHONY: help run stop status setup test lint format lock bench bench-quick

help: ## show this list
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/make \1|\2/p' "$(ROOT)/Makefile" | column -t -s '|'

run: setup ## set up what is missing, start the platform, play the demo tape through it, print what came out
	@cd "$(ROOT)" && "$(BIN)/tapehouse" demo

stop: ## stop the platform; its data stays
	@[ ! -x "$(BIN)/tapehouse" ] || "$(BIN)/tapehouse" down

status: ## show every process of the platform
	@"$(BIN)/tapehouse" status

setup: ## do every set-up step that is missing
	@[ -n "$(PYTHON)" ] || { echo "Python is missing: install python3.11 with its venv module" >&2; exit 1; }
	@cd "$(ROOT)" && "$(PYTHON)" -m deploy.setup

# What shares the running platform waits for restarts most of the time; everything else runs beside it.
SHARING := tests/flow tests/quality tests/realtime tests/spark tests/stores
OTHERS := $(filter-out $(SHARING) tests/__pycache__,$(patsubst $(ROOT)/%/,%,$(wildcard $(ROOT)/tests/*/)))

test: setup ## run the whole test suite, on its own ports and data
	@cd "$(ROOT)" && log=$$(mktemp) && { "$(BIN)/python" -m pytest $(OTHERS) >"$$log" 2>&1 & others=$$!; \
		trap 'kill $$others 2>/dev/null' INT TERM; \
		"$(BIN)/python" -m pytest $(SHARING); shared=$$?; \
		echo "waiting for $(OTHERS)"; wait $$others; rest=$$?; cat "$$log"; rm -f "$$log"; \
		[ $$shared -eq 0 ] && [ $$rest -eq 0 ]; }

bench: setup ## measure the core beside its peers, then parsing and collecting; takes more than an hour
	@cd "$(ROOT)" && "$(BIN)/python" -m benchmarks && "$(BIN)/python" -m benchmarks.parse && \
		"$(BIN)/python" -m benchmarks.collector

bench-quick: setup ## bars, batches and rebuilds beside their peers, smaller counts; takes under six minutes
	@cd "$(ROOT)" && "$(BIN)/python" -m benchmarks --quick

lint: setup ## check style, types and the direction of imports
	@cd "$(ROOT)" && "$(BIN)/ruff" check && "$(BIN)/ruff" format --check && "$(BIN)/mypy" && "$(BIN)/lint-imports"

format: setup ## bring the code into its style
	@cd "$(ROOT)" && "$(BIN)/ruff" check --fix && "$(BIN)/ruff" format

lock: ## pin every dependency of pyproject.toml anew
	@cd "$(ROOT)" && "$(BIN)/uv" pip compile pyproject.toml --extra dev --generate-hashes --no-strip-extras \
		--python-version 3.11 --no-emit-index-url --no-emit-find-links -o requirements.lock

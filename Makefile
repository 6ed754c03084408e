# make book [PRESET=quick] [COHORT=phantom] [DATA=/folder/of/cohorts]
# make test | make trials | make check | make reference DATA=/folder/of/cohorts
# make gpu DATA=/folder/of/cohorts [MINUTES=7]: a part of the paper's own setting, on a GPU
# Every target makes .venv first, once; PYTHON names the interpreter it is made with.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

ifdef DATA
export MAMMOSTUDY_DATA := $(abspath $(DATA))
endif

.PHONY: book test trials check reference gpu
.DEFAULT_GOAL := book

book: $(INSTALLED)
	@$(BIN)/mammostudy book $(if $(PRESET),--preset "$(PRESET)") $(if $(COHORT),--cohort "$(COHORT)") $(if $(DATA),--data "$(DATA)")
	@echo 'Commands live in $(BIN): source $(BIN)/activate, then mammostudy --help'

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m 'not book and not slow'

trials: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pydicom-data==1.0.0
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m slow

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/nbstripout --keep-id --verify book/chapters/*.ipynb

reference: $(INSTALLED)
	$(BIN)/mammostudy run --cohort cdd-cesm --preset reference --keep

gpu: $(INSTALLED)
	$(BIN)/python tools/gpu.py pack "$(DATA)"
	$(BIN)/python tools/gpu.py run $(if $(MINUTES),--minutes "$(MINUTES)")

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or newer is needed; name one with PYTHON=...'; exit 1; }
	@echo 'Installing the packages into .venv (the first time this takes some minutes)...'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[book,dicom,pretrained,test]'
	@touch $@
	@echo 'Installed.'

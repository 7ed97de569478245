# Every target makes its own .venv with the tested versions when there is none.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test laws mutants check docs dist clean

demo: .venv/installed
	$(BIN)/landcover demo

test: check
	$(BIN)/pytest -n 2 --dist loadfile

laws: .venv/installed
	$(BIN)/pytest -m laws -s -o faulthandler_timeout=0

mutants: .venv/installed
	$(BIN)/python benchmarks/mutants.py

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed
	$(BIN)/mkdocs build

dist: .venv/installed
	$(BIN)/python -m build --outdir dist .

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv demo runs dist site

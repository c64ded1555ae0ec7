# The daily commands. Without `just`, type what stands below a name.

# install for development
install:
    pip install -e '.[test]'

# run the tests
test *ARGS:
    python -m pytest {{ARGS}}

# style, types, layers, and docs that have rotted
lint:
    ruff check .
    ruff format --check .
    mypy
    python tools/layers.py
    python tools/docs.py --check
    python tests/goldens/freeze_outputs.py --check

# make the pages and outputs that come from the code
docs:
    python tools/docs.py
    python tests/goldens/freeze_outputs.py

# build the site into site/ (pip install -e '.[docs]')
site:
    mkdocs build --strict
    python tools/llms.py

# measure speed, memory and coverage (benchmarks/README.md)
bench:
    python benchmarks/speed.py

# One recipe per chore. `just` itself: `pipx install rust-just`, or read the command here and type it.

# list the recipes
default:
    @just --list

# the default tests: no key, no sound card, no network
test *arguments:
    uv run pytest {{arguments}}

# the tests that run the real local models
models *arguments:
    uv run pytest -m models {{arguments}}

# the tests that need the rig of scripts/audio_rig.py (PulseAudio; installed where we are root) or audio libraries
audio *arguments:
    uv run pytest -m "audio and not soak and not models" {{arguments}}

# both at once: short conversations on the rig, with the real models
talks *arguments:
    uv run pytest -m "audio and models and not soak" {{arguments}}

# what takes minutes: those tests, and long conversations on the rig (self-interruptions, cuts, what was heard)
soak *arguments:
    uv run pytest -m "soak"
    uv run python scripts/soak.py {{arguments}}

# the official clients of the providers against our servers
clients *arguments:
    uv run --group clients pytest -m clients {{arguments}}

# build every wheel and install each into a clean environment
packaging *arguments:
    uv run pytest -m packaging {{arguments}}

# branch coverage of the core by its own tests
coverage:
    uv run coverage run -m pytest -q packages/duologue/tests
    uv run coverage report --fail-under=95 --skip-covered --show-missing

# style, formatting and the rules of CONTRIBUTING.md
lint:
    uv run --group lint ruff check .
    uv run --group lint ruff format --check .
    uv run python scripts/check_structure.py

# rewrite what ruff can mend by itself
fmt:
    uv run --group lint ruff check --fix .
    uv run --group lint ruff format .

# mypy, strict
types:
    uv run --group lint mypy packages/*/src examples typing_tests scripts benchmarks

# build the documentation into site/
docs:
    uv run --group docs mkdocs build --strict

# the documentation at localhost, rebuilt as you write
docs-serve:
    uv run --group docs mkdocs serve

# write the exact versions into pyproject.toml and requirements.lock (--upgrade for newer ones)
lock *arguments:
    python3 scripts/lock.py {{arguments}}

# write the tables of Gemini's models and options into docs/reference/gemini.md
google-tables:
    uv run python scripts/google_tables.py

# write the public names and signatures into tests/public_api.txt
api:
    uv run python scripts/public_api.py

# write docs/reference/providers.md from the capability data
providers:
    uv run python scripts/provider_table.py

# print the benchmarks and write their JSON files
bench:
    for benchmark in benchmarks/*.py; do uv run python "$benchmark"; done

# everything that must hold before a change lands
ci:
    bash .ci/run

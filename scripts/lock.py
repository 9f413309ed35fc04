"""Write the exact versions of everything into `pyproject.toml` and `requirements.lock`.

`uv.lock` names the hosts its files came from, so it is not tracked. What is tracked instead names none:

- the block `constraint-dependencies` in the root `pyproject.toml`: from it a fresh clone resolves to the same
  versions, on every Python and platform;
- the block `build-constraint-dependencies` beside it: the same for what builds the wheels;
- `requirements.lock`: the same versions with the hashes of their files, for `pip install --require-hashes`.

Run it as `just lock`, `just lock --upgrade` (newest versions that fit) or `just lock --check` (writes nothing,
fails if the blocks are not what `uv.lock` says).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "# --- written by scripts/lock.py: `just lock` ---"
END = "# --- end of what scripts/lock.py writes ---"
EXPORT = ["--no-emit-workspace", "--no-annotate", "--no-header", "--frozen"]


def pins(exported: str) -> list[str]:
    """Return one `name==version` per package, with its marker only where a package has several versions."""
    lines = [line.strip() for line in exported.splitlines() if line.strip() and not line.startswith((" ", "#", "-"))]
    parts = [[part.strip() for part in line.removesuffix("\\").partition(";")[::2]] for line in lines]
    names = [pin.partition("==")[0] for pin, _ in parts]
    return [
        f"{pin}; {marker}" if marker and names.count(name) > 1 else pin
        for name, (pin, marker) in zip(names, parts, strict=True)
    ]


def block(constraints: list[str], build_constraints: list[str]) -> str:
    """Return the generated part of `[tool.uv]`."""
    lines = [BEGIN]
    for key, values in (("constraint", constraints), ("build-constraint", build_constraints)):
        lines += [f"{key}-dependencies = [", *(f'    "{value}",' for value in values), "]"]
    return "\n".join([*lines, END]) + "\n"


def without_block(pyproject: str) -> str:
    """Return the project file without the generated block."""
    return re.sub(rf"(?ms)^{re.escape(BEGIN)}$.*?^{re.escape(END)}\n", "", pyproject)


def with_block(pyproject: str, generated: str) -> str:
    """Return the project file with the generated block as the last thing of `[tool.uv]`."""
    head, header, rest = without_block(pyproject).partition("[tool.uv]\n")
    if not header:
        raise SystemExit("pyproject.toml has no [tool.uv]: the versions have no place to go")
    own, table, tail = rest.partition("\n[")
    return f"{head}{header}{own.rstrip()}\n{generated}{table}{tail}"


def uv(*arguments: str, project: Path) -> str:
    """Run uv without this machine's package settings and return what it prints."""
    settings = (
        "UV_INDEX",
        "UV_DEFAULT_INDEX",
        "UV_EXTRA_INDEX",
        "UV_FIND_LINKS",
        "UV_CONSTRAINT",
        "UV_OVERRIDE",
        "PIP_",
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    command = [os.environ.get("UV", "uv"), *arguments]  # `uv run` says where it is: it need not be on the path
    done = subprocess.run(command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"`uv {' '.join(arguments)}` failed: its message is above")
    return done.stdout


def copy_of_the_project(target: Path) -> Path:
    """Copy what uv resolves from: the work tree stays as it is while uv works."""
    members = [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("examples/*/pyproject.toml")]
    for source in [ROOT / "uv.lock", ROOT / "pyproject.toml", *members]:
        if source.exists():
            copy = target / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    return target


def generated_block(project: Path) -> str:
    """Return the block that `uv.lock` asks for."""
    everything = uv("export", *EXPORT, "--all-packages", "--all-groups", "--no-hashes", project=project)
    building = uv("export", *EXPORT, "--only-group", "build", "--no-hashes", project=project)
    return block(pins(everything), pins(building))


def resolve(project: Path, *, upgrade: bool) -> tuple[str, str]:
    """Resolve in `project`; return its new project file and the hashed requirements."""
    file = project / "pyproject.toml"
    before = file.read_text()
    if not upgrade:
        uv("lock", project=project)  # a fresh clone has no uv.lock: this makes it with the versions of the block
    # Then without the block, so that a new requirement may move an old version; uv keeps every other one.
    file.write_text(without_block(before))
    uv("lock", *(["--upgrade"] if upgrade else []), project=project)
    after = with_block(before, generated_block(project))
    hashed = uv("export", *EXPORT, "--all-packages", "--all-groups", project=project)
    file.write_text(after)
    uv("lock", project=project)
    return after, hashed


def main() -> None:
    """Resolve and write, or check what is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the blocks are out of date")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = copy_of_the_project(Path(folder))
        if arguments.check:
            uv("lock", project=project)
            before = (ROOT / "pyproject.toml").read_text()
            if with_block(before, generated_block(project)) != before:
                sys.exit("the versions in pyproject.toml are out of date: run `just lock` and commit what it writes")
            return
        after, hashed = resolve(project, upgrade=arguments.upgrade)
        shutil.copyfile(project / "uv.lock", ROOT / "uv.lock")
    (ROOT / "pyproject.toml").write_text(after)
    (ROOT / "requirements.lock").write_text(hashed)


if __name__ == "__main__":
    main()

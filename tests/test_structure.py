"""The checker of the house's rules: each rule fires, and only where it should."""

from pathlib import Path

import pytest


@pytest.fixture
def check(script):
    return script("check_structure")


def of_module(check, source: str, path: str = "packages/x/src/x/noun.py") -> list[str]:
    return list(check.module_faults(Path(path), f'"""A module."""\n{source}'))


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1\n" * 400, "401 lines"),
        ("try:\n    pass\nexcept Exception:\n    pass\n", "broad except"),
        ("try:\n    pass\nexcept:\n    pass\n", "broad except"),
        ("try:\n    pass\nexcept (OSError, BaseException):\n    pass\n", "broad except"),
        ("try:\n    pass\nexcept Exception as exc:\n    raise Other from exc\n", "broad except"),
        ("async def f():\n    asyncio.create_task(g())\n", "nobody owns"),
        ("async def f():\n    self._loop.create_task(g())\n", "nobody owns"),
        ("async def f():\n    asyncio.ensure_future(g())\n", "nobody owns"),
        ("def f():\n    return asyncio.Queue()\n", "no bound"),
        ("def f():\n    return queue.SimpleQueue()\n", "no bound"),
        ("start()\n", "on import"),
    ],
)
def test_a_broken_rule_is_found(check, source, fault):
    [found] = of_module(check, source)
    assert fault in found


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n" * 399,
        "try:\n    pass\nexcept OSError:\n    pass\n",
        "try:\n    pass\nexcept Exception:  # the task boundary: goes to the owner\n    pass\n",
        "try:\n    pass\nexcept Exception:\n    # the task boundary\n    pass\n",
        "try:\n    pass\nexcept BaseException:\n    tidy()\n    raise\n",
        "def f():\n    return asyncio.Queue()  # bounded by who fills it\n",
        "async def f(group):\n    group.create_task(g())\n",
        "def f():\n    return asyncio.Queue(maxsize=10)\n",
        "def f():\n    return asyncio.Queue(10)\n",
    ],
)
def test_what_follows_the_rules_passes(check, source):
    assert of_module(check, source) == []


def test_the_owner_of_tasks_may_start_them(check):
    source = "async def f():\n    asyncio.create_task(g())\n"
    assert of_module(check, source, path=check.TASK_OWNER) == []


def test_a_module_needs_a_docstring_and_a_name(check):
    found = list(check.module_faults(Path("packages/x/src/x/utils.py"), "x = 1\n"))
    assert [("says nothing" in fault, "docstring" in fault) for fault in found] == [(True, False), (False, True)]


def test_a_script_may_act_when_it_is_run(check):
    assert of_module(check, "start()\n", path="scripts/noun.py") == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("see https://pypi." + "org/simple", "host"),
        ("cd /ro" + "ot/x", "path of one machine"),
        ("# TO" + "DO later", "unfinished"),
    ],
)
def test_text_that_no_file_may_hold_is_found(check, text, fault):
    [found] = check.text_faults(Path("README.md"), f"fine\n{text}\n")
    assert found.startswith("README.md:2:")
    assert fault in found


def test_text_that_only_looks_alike_passes(check):
    assert list(check.text_faults(Path("a.md"), "https://example.org/work/x  docs/root/x  pypi\n")) == []


def test_a_package_says_what_it_lacks(check, tmp_path):
    package = tmp_path / "packages" / "duologue-x"
    source = package / "src" / "duologue_x"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text('"""X."""\n')
    found = " ".join(check.faults(tmp_path, []))
    for missing in ("README.md", "pyproject.toml", "py.typed", "no tests", "__all__"):
        assert missing in found
    for name in ("README.md", "pyproject.toml", "src/duologue_x/py.typed", "tests/test_x.py"):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).touch()
    (source / "__init__.py").write_text('"""X."""\n\n__all__ = ["x"]\n')
    assert check.faults(tmp_path, []) == []


def test_recordings_and_pictures_are_not_read_as_text(check, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"\xff\xfe\x00RIFF")
    assert check.faults(tmp_path, [Path("a.wav")]) == []

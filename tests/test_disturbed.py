"""A test on the audio rig that fails is skipped on a disturbed machine, and nowhere else."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("root_conftest", CONFTEST)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pytest_runtest_call


def failing(hook, error, funcargs, *markers):
    item = SimpleNamespace(funcargs=funcargs, get_closest_marker=lambda name: name if name in markers else None)
    running = hook(item)
    next(running)
    running.throw(error)


def rig(disturbed):
    return {"calm": SimpleNamespace(disturbed=disturbed)}


def test_a_failure_on_a_disturbed_rig_is_skipped(hook):
    with pytest.raises(pytest.skip.Exception, match="too busy"):
        failing(hook, AssertionError(), rig(disturbed=True))


@pytest.mark.parametrize(
    ("error", "funcargs", "markers"),
    [
        (AssertionError("calm"), rig(disturbed=False), ()),
        (AssertionError("no rig"), {}, ()),
        (AssertionError("models"), rig(disturbed=True), ("models",)),
        (ValueError("no judgement"), rig(disturbed=True), ()),
    ],
)
def test_every_other_failure_stays_one(hook, error, funcargs, markers):
    with pytest.raises(type(error), match=str(error)):
        failing(hook, error, funcargs, *markers)

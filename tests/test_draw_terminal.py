"""Pictures of terminals."""

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def draw():
    spec = importlib.util.spec_from_file_location("draw_terminal", ROOT / "scripts" / "draw_terminal.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.draw


def words(picture):
    return "".join(ElementTree.fromstring(picture).itertext()).replace("\xa0", " ")


def test_what_stands_on_the_terminal_is_in_the_picture(draw):
    picture = draw("\x1b[1;36myou\x1b[0m    Hello & <b>\n\x1b[9mnot heard\x1b[0m\n")
    assert "you" in words(picture)
    assert "Hello & <b>" in words(picture)
    assert "line-through" in picture


def test_it_loads_nothing_from_elsewhere(draw):
    assert "http" not in draw("text").replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "docs" / "assets").glob("terminal-*.svg")))
def test_the_pictures_of_the_documentation_load_nothing_either(name):
    picture = (ROOT / "docs" / "assets" / name).read_text(encoding="utf-8")
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert "agent" in words(picture)

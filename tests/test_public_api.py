"""What users see, against the committed snapshot: a change of it is made on purpose (`just api`)."""

import difflib
import enum
from dataclasses import dataclass, field

import pytest


@pytest.fixture
def api(script):
    return script("public_api")


def test_public_names_and_signatures_are_those_of_the_snapshot(api, root):
    before = (root / "tests" / "public_api.txt").read_text().splitlines()
    now = api.snapshot(root).splitlines()
    changed = "\n".join(difflib.unified_diff(before, now, "tests/public_api.txt", "the code", lineterm="", n=0))
    assert not changed, f"the public interface changed; if it was meant, run `just api`:\n{changed}"


def test_every_package_is_in_the_snapshot(api, root):
    packages = {path.name.replace("-", "_") for path in root.glob("packages/*")}
    assert packages <= set(api.modules(root))


def test_signatures_are_shown_as_written(api):
    def several(a, /, b: "int" = 1, *rest: str, c: "str | None" = None, d: object = len, **more: int) -> "list[int]":
        return []

    def starred(*, key="x"):
        pass

    assert api.signature(several) == (
        "(a, /, b: int = 1, *rest: str, c: str | None = None, d: object = <function>, **more: int) -> list[int]"
    )
    assert api.describe("starred", starred) == ["def starred(*, key = 'x')"]


def test_classes_show_how_they_are_made_and_what_they_have(api):
    @dataclass
    class Thing(dict):
        size: "int" = 1
        parts: "list[int]" = field(default_factory=list)

        @property
        def weight(self) -> int:
            return 1

        async def move(self, by: "int") -> "None": ...

        @classmethod
        def make(cls) -> "Thing": ...

        def _hidden(self): ...

    assert api.describe("Thing", Thing) == [
        "class Thing(dict)(size: int = 1, parts: list[int] = <factory>) -> None",
        "  classmethod make(cls) -> Thing",
        "  async def move(self, by: int) -> None",
        "  weight",
    ]


def test_values_show_their_members_and_no_addresses(api):
    class Colour(enum.Enum):
        red = "r"

    assert api.describe("Colour", Colour) == ["class Colour(Enum)", "  red = 'r'"]
    assert api.describe("thing", object()) == ["thing: <object object>"]

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import functools
import json as json_module
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import pydantic
import pytest
from duologue.errors import ConfigurationError, InvalidArguments
from duologue.signature import Arguments, describe
from duologue.testing.strategies import json_values
from hypothesis import given
from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypedDict

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]

OPEN: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


class Colour(enum.Enum):
    """Colours."""

    red = "red"
    blue = "blue"


class Place(BaseModel):
    """A place."""

    title: str
    lat: float = Field(default=0.0, ge=-90, le=90)
    inner: list[Place] = []


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict, total=False):
    loud: bool


def derived(handler: Callable[..., Any]) -> Arguments:
    return describe("t", handler, None)


def properties(handler: Callable[..., Any]) -> dict[str, Any]:
    made: dict[str, Any] = derived(handler).schema["properties"]
    return made


# -- from the signature ---------------------------------------------------------------------------------


def test_annotations_and_defaults_make_the_schema() -> None:
    def handler(city: str, days: int = 3, *, exact: bool = False) -> None: ...

    arguments = derived(handler)
    assert arguments.schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "default": 3},
            "exact": {"type": "boolean", "default": False},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert arguments.check({"city": "Oslo"}) == {"city": "Oslo", "days": 3, "exact": False}
    assert arguments.check({"city": "Oslo", "days": "4"}) == {"city": "Oslo", "days": 4, "exact": False}


def test_a_handler_without_parameters_takes_nothing() -> None:
    def handler() -> None: ...

    assert derived(handler).schema == OPEN
    assert derived(handler).check({}) == {}


def test_a_parameter_without_annotation_takes_anything() -> None:
    def handler(x, y=None): ...  # type: ignore[no-untyped-def] # the point

    assert derived(handler).schema["properties"] == {"x": {}, "y": {"default": None}}
    assert derived(handler).check({"x": [1, {}]}) == {"x": [1, {}], "y": None}


def test_annotated_and_field_are_understood_in_both_places() -> None:
    def handler(
        a: Annotated[int, Field(ge=1, description="The a.")],
        b: int = Field(10, le=50, description="The b."),
        c: str = Field(..., min_length=2, description="The c."),
        d: str = Field(min_length=2),
        e: list[str] = Field(default_factory=lambda: ["x"]),  # noqa: B008 - how pydantic's users write it
        f: Annotated[int, Field(gt=0)] = 7,
        g: Annotated[int, Field(default=5, description="The g.")] = Field(le=9),
    ) -> None: ...

    arguments = derived(handler)
    assert arguments.schema["properties"] == {
        "a": {"type": "integer", "minimum": 1, "description": "The a."},
        "b": {"type": "integer", "maximum": 50, "default": 10, "description": "The b."},
        "c": {"type": "string", "minLength": 2, "description": "The c."},
        "d": {"type": "string", "minLength": 2},
        "e": {"type": "array", "items": {"type": "string"}},
        "f": {"type": "integer", "exclusiveMinimum": 0, "default": 7},
        "g": {"type": "integer", "maximum": 9, "default": 5, "description": "The g."},
    }
    assert arguments.schema["required"] == ["a", "c", "d"]
    # all of them, as a handler written with `= Field(...)` has no usable default of its own
    full = {"a": 1, "b": 10, "c": "cc", "d": "dd", "e": ["x"], "f": 7, "g": 5}
    assert arguments.check({"a": 1, "c": "cc", "d": "dd"}) == full
    for wrong in ({"a": 0}, {"b": 51}, {"c": "c"}, {"d": "d"}, {"f": 0}, {"g": 10}):
        with pytest.raises(InvalidArguments, match=f"^invalid arguments: {next(iter(wrong))}: Input should|String"):
            arguments.check(full | wrong)


def test_mutable_defaults_are_not_shared_between_calls() -> None:
    def handler(tags: list[str] = []) -> None: ...  # noqa: B006 - the point

    arguments = derived(handler)
    arguments.check({})["tags"].append("x")
    assert arguments.check({}) == {"tags": []}


GOOGLE = """Do it.

Args:
    city: Where it is.
    days (int): How
        long.
"""
NUMPY = """Do it.

Parameters
----------
city : str
    Where it is.
days : int
    How
    long.
"""
SPHINX = """Do it.

:param city: Where it is.
:param int days: How
    long.
"""


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_docstrings_describe_parameters(doc: str) -> None:
    def handler(city: str, days: int = 1) -> None: ...

    handler.__doc__ = doc
    made = properties(handler)
    assert made["city"] == {"type": "string", "description": "Where it is."}
    assert " ".join(made["days"]["description"].split()) == "How long."


def test_the_docstring_of_a_partial_is_that_of_its_function() -> None:
    def handler(city: str, days: int = 1) -> None: ...

    handler.__doc__ = GOOGLE
    made = properties(functools.partial(handler, "Oslo"))
    assert list(made) == ["days"]
    assert made["days"]["type"] == "integer"
    assert " ".join(made["days"]["description"].split()) == "How long."


def test_a_field_describes_better_than_a_docstring() -> None:
    def handler(
        a: Annotated[int, Field(description="Mine.")],
        b: int = Field(1, description="Mine."),
        c: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        """Do it.

        Args:
            a: Not this.
            b: Not this.
            c: But this.
        """

    assert [p["description"] for p in properties(handler).values()] == ["Mine.", "Mine.", "But this."]


def test_parameters_may_have_any_name() -> None:
    def handler(
        self: int, schema: int, json: int, copy: int, _x: int, __y: int, model_config: int, validate: int, p0: int
    ) -> None: ...

    names = ["self", "schema", "json", "copy", "_x", "__y", "model_config", "validate", "p0"]
    arguments = derived(handler)
    assert list(arguments.schema["properties"]) == names
    values = {name: number for number, name in enumerate(names)}
    assert arguments.check(values) == values
    with pytest.raises(InvalidArguments, match="_x: Field required"):
        arguments.check({k: v for k, v in values.items() if k != "_x"})


def test_arguments_that_nobody_asked_for_are_refused() -> None:
    def handler(a: int = 1) -> None: ...

    with pytest.raises(InvalidArguments, match=r"^invalid arguments: p0: Extra inputs are not permitted$"):
        derived(handler).check({"p0": 3})


def test_open_keywords_take_the_rest() -> None:
    def handler(a: int, **rest: Any) -> None: ...

    arguments = derived(handler)
    assert list(arguments.schema["properties"]) == ["a"]
    assert arguments.schema["additionalProperties"] is True
    assert arguments.check({"a": "1", "p0": 2, "self": 3}) == {"a": 1, "p0": 2, "self": 3}


@pytest.mark.parametrize(
    ("handler", "key"), [(lambda *many: None, "many"), (lambda x, /: None, "x"), (lambda a, /, *b: None, "a")]
)
def test_parameters_without_a_name_to_give_are_refused(handler: Callable[..., Any], key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"parameter '{key}' of tool 't' can't be given by name"):
        derived(handler)


def test_annotations_that_can_not_be_read_are_refused() -> None:
    def unknown(x: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821
    def hidden(x: Unknown) -> None: ...
    def attribute(x: datetime.Nope) -> None: ...  # type: ignore[name-defined]
    def call(x: len(3)) -> None: ...  # type: ignore[valid-type]

    def garbled(x: Any) -> None: ...

    garbled.__annotations__["x"] = "list["
    for handler in (unknown, hidden, attribute, call, garbled):
        with pytest.raises(ConfigurationError, match=r"the signature of tool 't' can't be read \(.+\): annotate it"):
            derived(handler)
    with pytest.raises(ConfigurationError, match="can't be read"):
        derived(dict)  # a builtin without signature


def test_the_return_annotation_may_be_known_to_type_checkers_only() -> None:
    def handler(x: int) -> Unknown: ...

    assert properties(handler) == {"x": {"type": "integer"}}


def test_types_without_json_are_refused() -> None:
    def opaque(x: socket.socket) -> None: ...
    def callback(x: Callable[[], None]) -> None: ...
    def pattern(x: Annotated[str, Field(pattern="(")]) -> None: ...

    for handler in (opaque, callback, pattern):
        with pytest.raises(ConfigurationError, match="the signature of tool 't' can't be described as JSON schema: "):
            derived(handler)


def test_rich_types_are_described_and_converted() -> None:
    def handler(
        place: Place,
        colour: Colour,
        mode: Literal["a", "b"],
        at: datetime.datetime,
        point: Point,
        maybe: Optional[int] = None,  # noqa: UP045 - the old spelling is in use
        options: Options = {},  # noqa: B006
        many: list[Point] | None = None,
    ) -> None: ...

    arguments = derived(handler)
    assert arguments.check(
        {
            "place": {"title": "Oslo", "inner": [{"title": "Opera"}]},
            "colour": "blue",
            "mode": "b",
            "at": "2024-05-01T12:00:00Z",
            "point": {"x": 1},
            "options": {"loud": True},
            "many": [{"x": 2, "y": 3}],
        }
    ) == {
        "place": Place(title="Oslo", inner=[Place(title="Opera")]),
        "colour": Colour.blue,
        "mode": "b",
        "at": datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC),
        "point": Point(1, 0),
        "maybe": None,
        "options": {"loud": True},
        "many": [Point(2, 3)],
    }
    with pytest.raises(InvalidArguments, match=r"place\.inner\.0\.title: Field required"):
        arguments.check({"place": {"title": "Oslo", "inner": [{}]}})
    schema = arguments.schema
    assert json_module.loads(json_module.dumps(schema)) == schema
    assert set(schema["$defs"]) == {"Place", "Colour", "Point", "Options"}
    assert schema["properties"]["mode"] == {"enum": ["a", "b"], "type": "string"}
    assert schema["properties"]["at"] == {"format": "date-time", "type": "string"}


def test_generated_titles_are_left_out_and_names_and_values_stay() -> None:
    def handler(
        title: str,
        place: Place,
        start: dict[str, str] = {"title": "a"},  # noqa: B006
        kind: Literal["title"] = "title",
    ) -> None: ...

    schema = derived(handler).schema
    assert "title" not in schema
    assert schema["properties"]["title"] == {"type": "string"}
    assert schema["properties"]["start"]["default"] == {"title": "a"}
    assert schema["properties"]["kind"] == {"const": "title", "default": "title", "type": "string"}
    place = schema["$defs"]["Place"]
    assert "title" not in place
    assert place["properties"]["title"] == {"type": "string"}
    assert place["properties"]["lat"] == {"default": 0.0, "maximum": 90, "minimum": -90, "type": "number"}


def test_a_property_may_be_called_properties_or_default() -> None:
    def handler(properties: dict[str, str], default: Annotated[int, Field(title="D")] = 1) -> None: ...

    assert derived(handler).schema["properties"] == {
        "properties": {"type": "object", "additionalProperties": {"type": "string"}},
        "default": {"type": "integer", "default": 1},
    }


class Handlers:
    """Holds handlers."""

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def plain(self, x: int) -> int:
        return x

    @classmethod
    def of_class(cls, x: int) -> int:
        return x

    @staticmethod
    def alone(x: int) -> int:
        return x

    def __call__(self, x: int) -> int:
        return x


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


@functools.lru_cache
def cached(x: int) -> int:
    return x


def free(x: int) -> int:
    return x


@pytest.mark.parametrize(
    "handler",
    [
        Handlers().plain,
        Handlers.of_class,
        Handlers.alone,
        Handlers(),
        functools.partial(Handlers.plain, Handlers()),
        functools.partial(Handlers()),
        cached,
        wrapping(free),
        wrapping(Handlers().plain),
        functools.partial(wrapping(free)),
    ],
)
def test_every_kind_of_callable_is_described(handler: Callable[..., Any]) -> None:
    arguments = derived(handler)
    assert arguments.schema["properties"] == {"x": {"type": "integer"}}
    assert handler(**arguments.check({"x": "1"})) == 1


def test_a_class_can_be_a_handler() -> None:
    assert properties(Handlers) == {"size": {"type": "integer", "default": 1}}


def test_what_a_partial_sets_becomes_a_default() -> None:
    def handler(city: str, unit: str) -> str:
        return city + unit

    made = functools.partial(handler, unit="F")
    assert derived(made).check({"city": "Oslo"}) == {"city": "Oslo", "unit": "F"}


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (ValueError("too odd"), "invalid arguments: x: Value error, too odd"),
        (KeyError("k"), "invalid arguments: KeyError: 'k'"),
        (RecursionError("deep"), "invalid arguments: RecursionError: deep"),
        (Mute(), "invalid arguments: Mute"),
    ],
)
def test_whatever_a_validator_raises_is_told_to_the_model(raised: Exception, message: str) -> None:
    def fail(value: int) -> int:
        raise raised

    def handler(x: Any) -> None: ...

    handler.__annotations__["x"] = Annotated[int, AfterValidator(fail)]
    with pytest.raises(InvalidArguments) as caught:
        derived(handler).check({"x": 1})
    assert str(caught.value) == message
    assert caught.value.name == "t"


def test_five_faults_are_enough_for_the_model() -> None:
    def handler(x: list[int]) -> None: ...

    with pytest.raises(InvalidArguments) as caught:
        derived(handler).check({"x": ["a"] * 50})
    assert str(caught.value).count("valid integer") == 5
    with pytest.raises(InvalidArguments) as caught:
        describe("t", None, {"properties": {"x": {"items": {"type": "integer"}}}}).check({"x": ["a"] * 50})
    assert str(caught.value).count("is not of type 'integer'") == 5


@given(json_values)
def test_arguments_of_any_shape_are_taken_or_refused(value: Any) -> None:
    def handler(x: int, place: Place | None = None, point: Point | None = None) -> None: ...

    with contextlib.suppress(InvalidArguments):
        assert isinstance(derived(handler).check({"x": value, "place": value, "point": value})["x"], int)


# -- explicit schema ------------------------------------------------------------------------------------


def test_an_explicit_schema_is_used_as_it_is_and_checked() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"], "title": "T"}
    arguments = describe("t", lambda **_: None, schema)
    assert arguments.schema == schema
    assert arguments.check({"n": 1, "more": True}) == {"n": 1, "more": True}
    with pytest.raises(InvalidArguments, match=r"^invalid arguments: n: 0 is less than the minimum of 1$") as caught:
        arguments.check({"n": 0})
    assert caught.value.name == "t"
    with pytest.raises(InvalidArguments, match=r"^invalid arguments: 'n' is a required property$"):
        arguments.check({})
    with pytest.raises(InvalidArguments, match="'1' is not of type 'integer'"):
        arguments.check({"n": "1"})


def test_a_tool_without_handler_and_schema_takes_any_object() -> None:
    arguments = describe("t", None, None)
    assert arguments.schema == {"type": "object", "properties": {}}
    assert arguments.check({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    "schema", [{"type": 5}, {"type": "objekt"}, {"properties": []}, {"properties": {"a": {"pattern": "("}}}]
)
def test_a_bad_schema_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="the schema of tool 't' is not valid JSON schema: "):
        describe("t", None, schema)


@pytest.mark.parametrize("schema", ["{}", [("type", "object")], 3])
def test_a_schema_that_is_no_object_is_refused(schema: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"the schema of tool 't' is a (str|list|int), not a JSON object"):
        describe("t", None, schema)


def test_the_dialect_of_a_schema_is_heeded() -> None:
    """`exclusiveMinimum` was a flag in draft 4 and is a number today."""
    old = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": {"n": {"minimum": 1, "exclusiveMinimum": True}},
    }
    with pytest.raises(InvalidArguments):
        describe("t", None, old).check({"n": 1})
    with pytest.raises(ConfigurationError):
        describe("t", None, {"properties": {"n": {"minimum": 1, "exclusiveMinimum": True}}})


def test_a_dead_reference_is_told_to_the_model_and_fetched_from_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a schema reached for the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for reference in ("#/nowhere", "http://schema.invalid/a.json"):
        with pytest.raises(InvalidArguments, match="the arguments could not be checked: "):
            describe("t", None, {"properties": {"a": {"$ref": reference}}}).check({"a": 1})


def test_arguments_nested_too_deep_for_the_check_are_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(900):
        nested = {"a": nested}
    with pytest.raises(InvalidArguments, match="could not be checked: RecursionError"):
        describe("t", None, {"properties": {"a": {"$ref": "#"}}}).check(nested)


def test_a_model_of_the_author_is_not_mistaken_for_a_field() -> None:
    """A parameter annotated with a model that has a field of an alias keeps both names apart."""

    class Inner(pydantic.BaseModel):
        value: int = Field(alias="v")

    def handler(inner: Any) -> None: ...

    handler.__annotations__["inner"] = Inner
    assert derived(handler).check({"inner": {"v": 3}})["inner"].value == 3

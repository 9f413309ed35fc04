"""JSON schema in the words of the Live API."""

from enum import Enum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from duologue import Tool
from duologue_google.schemas import from_openapi, to_openapi
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

KEYS = {"type", "title", "description", "format", "nullable", "enum", "items", "properties", "required", "anyOf"}
KEYS |= {f"{end}{of}" for end in ("min", "max") for of in ("imum", "Items", "Length", "Properties")} | {"pattern"}


def of(function):
    return to_openapi(Tool("f", function).input_schema)


def only_known_keys(node):
    if isinstance(node, dict):
        assert set(node) <= KEYS, set(node) - KEYS
        assert node.get("type", "STRING") in ("STRING", "INTEGER", "NUMBER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
        for value in node.get("properties", {}).values():
            only_known_keys(value)
        only_known_keys(node.get("items"))
        for value in node.get("anyOf", ()):
            only_known_keys(value)


def test_models_enums_and_unions_are_told():
    class Colour(Enum):
        red = "red"
        blue = "blue"

    class Place(BaseModel):
        """A place."""

        name: str
        at: tuple[float, float] | None = None

    def f(
        colour: Colour,
        place: Place,
        how: Literal["fast", "slow"] = "fast",
        count: Annotated[int, Field(ge=1, le=5)] = 1,
        either: int | str = 1,
        places: list[Place] = [],  # noqa: B006
    ) -> str:
        return ""

    schema = of(f)
    only_known_keys(schema)
    properties = schema["properties"]
    assert properties["colour"]["enum"] == ["red", "blue"]
    assert properties["place"]["properties"]["name"]["type"] == "STRING"
    assert properties["place"]["required"] == ["name"]
    assert properties["how"]["enum"] == ["fast", "slow"]
    assert (properties["count"]["minimum"], properties["count"]["maximum"]) == (1, 5)
    assert [branch["type"] for branch in properties["either"]["anyOf"]] == ["INTEGER", "STRING"]
    assert properties["places"]["items"]["properties"]["name"]["type"] == "STRING"
    assert schema["required"] == ["colour", "place"]


def test_a_schema_that_holds_itself_ends():
    class Tree(BaseModel):
        name: str
        children: list["Tree"] = []

    def f(tree: Tree) -> str:
        return ""

    f.__annotations__["tree"] = Tree
    schema = of(f)
    only_known_keys(schema)
    assert schema["properties"]["tree"]["properties"]["children"]["items"] == {"type": "OBJECT"}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        ({"const": "x"}, {"type": "STRING", "enum": ["x"]}),
        ({"enum": [1, 2]}, {"type": "INTEGER", "description": "One of [1, 2]."}),
        ({"type": "string", "format": "email"}, {"type": "STRING"}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"items": {"type": "boolean"}}, {"type": "ARRAY", "items": {"type": "BOOLEAN"}}),
        ({"type": "object", "additionalProperties": True}, {"type": "OBJECT"}),
        ({"$ref": "#/$defs/none"}, {"type": "OBJECT"}),
        ({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}},
                    {"required": ["a"], "properties": {"a": {"type": "string"}}}]},
         {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]}),
        (True, {"type": "STRING"}),
    ],
)  # fmt: skip
def test_what_the_live_api_says_otherwise(schema, told):
    assert to_openapi({"type": "object", "properties": {"x": schema}})["properties"]["x"] == told


def test_no_parameters_are_no_schema():
    assert to_openapi({"type": "object", "properties": {}}) is None
    assert to_openapi({}) is None


def test_a_schema_of_the_live_api_is_json_schema_again():
    given_by_client = {
        "type": "OBJECT",
        "properties": {
            "city": {"type": "STRING", "nullable": True},
            "days": {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": "1", "maxItems": 3},
            "any": {"any_of": [{"type": "STRING"}, {"type": "NUMBER"}]},
        },
        "required": ["city"],
        "propertyOrdering": ["city"],
    }
    assert from_openapi(given_by_client) == {
        "type": "object",
        "properties": {
            "city": {"type": ["string", "null"]},
            "days": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
            "any": {"anyOf": [{"type": "string"}, {"type": "number"}]},
        },
        "required": ["city"],
    }


SIMPLE = st.recursive(
    st.sampled_from([{"type": kind} for kind in ("string", "integer", "number", "boolean")]),
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties, "required": sorted(properties)}
        ),
    ),
    max_leaves=8,
)


@given(SIMPLE)
def test_there_and_back_is_the_same_schema(schema: dict[str, Any]):
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"]}
    told = to_openapi(whole)
    only_known_keys(told)
    assert from_openapi(told) == whole
    jsonschema.Draft202012Validator.check_schema(from_openapi(told))

"""Schemas: JSON schema as the schemas of the Live API, a subset of OpenAPI's with upper-case types.

The Live API ignores `parametersJsonSchema` (the model then calls with no arguments at all), so what can be said in
its own words is, and the rest is left out: a schema that is too wide still lets the model call, and the tool checks
the arguments it gets against the full one.
Source: https://ai.google.dev/api/caching#Schema; googleapis/python-genai#1147.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DEEPEST = 12
"""Levels that are described; below, and where a schema holds itself, any object goes."""

_KEPT = (
    "title",
    "description",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
    "pattern",
)
_FORMATS = frozenset(("int32", "int64", "float", "double", "date-time", "enum"))


def to_openapi(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema of a function's parameters; None where it has none, which is how the API wants it."""
    found = _convert(schema, schema, 0, ())
    return found if found.get("properties") else None


def from_openapi(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of the Live API as JSON schema."""
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, str):
            found["type"] = value.lower()
        elif key in ("properties",) and isinstance(value, dict):
            found[key] = {name: _below(entry) for name, entry in value.items()}
        elif key in ("items", "additionalProperties"):
            found[key] = _below(value)
        elif key in ("anyOf", "any_of") and isinstance(value, list):
            found["anyOf"] = [_below(entry) for entry in value]
        elif key in _RESPELLED:
            found[_RESPELLED[key]] = _number(value)
        elif key not in ("nullable", "propertyOrdering", "property_ordering", "example"):
            found[key] = value
    if schema.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


_RESPELLED = {
    spelling: camel
    for camel, snake in (
        ("minItems", "min_items"),
        ("maxItems", "max_items"),
        ("minLength", "min_length"),
        ("maxLength", "max_length"),
        ("minProperties", "min_properties"),
        ("maxProperties", "max_properties"),
    )
    for spelling in (camel, snake)
}


def _below(value: Any) -> Any:
    return from_openapi(value) if isinstance(value, dict) else value


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value  # int64 is text


def _convert(schema: Any, root: Mapping[str, Any], depth: int, inside: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(schema, dict) or depth > DEEPEST:
        return {"type": "OBJECT"} if depth > DEEPEST else {"type": "STRING"}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in inside:
            return {"type": "OBJECT"}
        found = _convert(_resolve(reference, root), root, depth, (*inside, reference))
        return found | {key: schema[key] for key in ("title", "description") if key in schema}
    parts = schema.get("allOf")
    if isinstance(parts, list) and parts:
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        return _merge([_convert(part, root, depth, inside) for part in (*parts, rest) if part])
    result = {key: schema[key] for key in _KEPT if key in schema}
    if schema.get("format") in _FORMATS:
        result["format"] = schema["format"]
    _add_choices(result, schema, root, depth, inside)
    if "anyOf" not in result:
        _add_shape(result, schema, root, depth, inside)
    return result


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    node: Any = root
    for step in reference.removeprefix("#/").split("/"):
        node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {"type": "object"}


def _add_choices(
    result: dict[str, Any], schema: dict[str, Any], root: Mapping[str, Any], depth: int, inside: tuple[str, ...]
) -> None:
    choices = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(choices, list):
        real = [choice for choice in choices if choice != {"type": "null"}]
        if len(real) < len(choices):
            result["nullable"] = True
        converted = [_convert(choice, root, depth + 1, inside) for choice in real]
        if len(converted) == 1:
            result.update({key: value for key, value in converted[0].items() if key not in result})
            result["type"] = converted[0].get("type", "STRING")
        elif converted:
            result["anyOf"] = converted


def _add_shape(
    result: dict[str, Any], schema: dict[str, Any], root: Mapping[str, Any], depth: int, inside: tuple[str, ...]
) -> None:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        if "null" in kinds:
            result["nullable"] = True
        named = [kind for kind in kinds if isinstance(kind, str) and kind != "null"]
        if len(named) > 1:
            branches = [schema | {"type": kind} for kind in named]
            result["anyOf"] = [_convert(branch, root, depth + 1, inside) for branch in branches]
            return
        kinds = named[0] if named else None
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if kinds is None:
        kinds = result.get("type", "").lower() or _guess(schema, values)
    result["type"] = str(kinds).upper()
    if isinstance(values, list) and all(isinstance(value, str) for value in values):
        result["enum"] = values
    elif isinstance(values, list):
        result["description"] = f"{result.get('description', '')} One of {values}.".strip()  # an enum holds texts only
    if result["type"] == "OBJECT" and isinstance(schema.get("properties"), dict):
        properties = schema["properties"]
        result["properties"] = {name: _convert(part, root, depth + 1, inside) for name, part in properties.items()}
        if required := [name for name in schema.get("required", ()) if name in properties]:
            result["required"] = required
    elif result["type"] == "ARRAY" and "items" not in result:
        result["items"] = _convert(schema.get("items") or {}, root, depth + 1, inside)


def _guess(schema: dict[str, Any], values: Any) -> str:
    if "properties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    if isinstance(values, list) and values:
        kinds = {bool: "boolean", int: "integer", float: "number"}
        return kinds.get(type(values[0]), "string")
    return "string"


def _merge(parts: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", ()), *part.get("required", ())]
        merged |= part
        if properties:
            merged |= {"type": "OBJECT", "properties": properties}
        if required:
            merged["required"] = list(dict.fromkeys(required))
    return merged

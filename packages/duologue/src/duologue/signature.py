"""Arguments: a tool's JSON schema and the check of what the model sends, both by pydantic."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_type_hints

import pydantic
import pydantic_core
from docstring_parser import parse as parse_docstring
from pydantic.fields import FieldInfo

from duologue.errors import ConfigurationError, InvalidArguments
from duologue.tool import innermost


class Arguments:
    """What a tool takes: `schema` for the model, `check` for what comes back."""

    def __init__(self, schema: dict[str, Any], check: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.schema = schema
        self._check = check

    def check(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments for the handler, converted to its annotations.

        Raises:
            InvalidArguments: they don't fit; the message is meant for the model.
        """
        return self._check(raw)


def describe(name: str, handler: Callable[..., Any] | None, schema: Mapping[str, Any] | None) -> Arguments:
    """Describe a tool by its explicit schema, else by its handler's signature.

    Raises:
        ConfigurationError: the schema or the signature can't be used.
    """
    if schema is not None:
        if not isinstance(schema, Mapping):
            raise ConfigurationError(f"the schema of tool {name!r} is a {type(schema).__name__}, not a JSON object")
        return _explicit(name, dict(schema))
    if handler is None:
        return _explicit(name, {"type": "object", "properties": {}})
    return _derived(name, handler)


def _explicit(name: str, schema: dict[str, Any]) -> Arguments:
    import jsonschema  # type: ignore[import-untyped, unused-ignore]  # only tools with a hand-written schema need it
    from referencing.jsonschema import EMPTY_REGISTRY

    validator_class = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        validator_class.check_schema(schema)
    except jsonschema.SchemaError as exc:
        raise ConfigurationError(f"the schema of tool {name!r} is not valid JSON schema: {exc.message}") from exc
    validator = validator_class(schema, registry=EMPTY_REGISTRY)  # a reference is never fetched from the network

    def check(raw: dict[str, Any]) -> dict[str, Any]:
        try:
            faults = [f"{_path(e.absolute_path)}{e.message}" for e in validator.iter_errors(raw)]
        except Exception as exc:  # a dead reference, or arguments nested too deep; the session must not end
            raise InvalidArguments(f"the arguments could not be checked: {_reason(exc)}", name=name) from exc
        if faults:
            raise InvalidArguments("invalid arguments: " + "; ".join(sorted(faults)[:5]), name=name)
        return raw

    return Arguments(schema, check)


def _derived(name: str, handler: Callable[..., Any]) -> Arguments:
    try:
        parameters = inspect.signature(handler).parameters
        hints = _hints(handler)
    except (TypeError, ValueError, NameError, AttributeError, SyntaxError) as exc:
        raise ConfigurationError(
            f"the signature of tool {name!r} can't be read ({exc}): annotate it with names that exist, or pass schema="
        ) from exc
    about = {p.arg_name: p.description for p in parse_docstring(inspect.getdoc(innermost(handler)) or "").params}
    fields: dict[str, Any] = {}
    open_ended = False
    for number, (key, parameter) in enumerate(parameters.items()):
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
            continue
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise ConfigurationError(
                f"parameter {key!r} of tool {name!r} can't be given by name: models name arguments"
            )
        # Fields are numbered and the real names are aliases, so that a parameter may be called "schema" or "_x".
        fields[f"p{number}"] = _field(key, parameter, hints.get(key, Any), about.get(key))
    config = pydantic.ConfigDict(extra="allow" if open_ended else "forbid", arbitrary_types_allowed=False)
    try:
        model = pydantic.create_model(f"{name}_arguments", __config__=config, **fields)
        schema = _without_titles(model.model_json_schema(by_alias=True))
    except (
        pydantic.errors.PydanticUserError,
        pydantic.errors.PydanticUndefinedAnnotation,
        pydantic_core.SchemaError,
        TypeError,
    ) as exc:
        reason = " ".join(str(exc).split())
        raise ConfigurationError(f"the signature of tool {name!r} can't be described as JSON schema: {reason}") from exc
    names = {f"p{number}": key for number, key in enumerate(parameters)}

    def check(raw: dict[str, Any]) -> dict[str, Any]:
        try:
            checked = model.model_validate(raw)
        except pydantic.ValidationError as exc:
            faults = [f"{_path(e['loc'])}{e['msg']}" for e in exc.errors(include_url=False)]
            raise InvalidArguments("invalid arguments: " + "; ".join(faults[:5]), name=name) from exc
        except Exception as exc:  # a validator of the tool's author may raise anything; the session must not end
            raise InvalidArguments(f"invalid arguments: {_reason(exc)}", name=name) from exc
        # every field, defaults too: a handler written with `= Field(...)` has no plain default of its own
        return {names[f]: getattr(checked, f) for f in fields} | (checked.model_extra or {})

    return Arguments(schema, check)


def _hints(handler: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the parameters; what a handler returns may have a name that is known to type checkers only."""
    function: Any = inspect.unwrap(innermost(handler))
    if inspect.isclass(function):
        function = function.__init__
    elif not inspect.isroutine(function):
        function = inspect.unwrap(type(function).__call__)
    function = getattr(function, "__func__", function)
    annotations = {key: hint for key, hint in inspect.get_annotations(function).items() if key != "return"}
    owner = types.SimpleNamespace(__annotations__=annotations, __type_params__=getattr(function, "__type_params__", ()))
    return get_type_hints(owner, globalns=getattr(function, "__globals__", {}), include_extras=True)


def _field(key: str, parameter: inspect.Parameter, annotation: Any, description: str | None) -> tuple[Any, FieldInfo]:
    described = any(isinstance(e, FieldInfo) and e.description for e in getattr(annotation, "__metadata__", ()))
    default = parameter.default
    settings: dict[str, Any] = {"alias": key}
    if isinstance(default, FieldInfo):  # `limit: int = Field(10, le=50)`: what the author's Field says stands
        annotation = Annotated[annotation, default]
        described = described or default.description is not None
        if default.default_factory is not None:
            settings["default_factory"] = default.default_factory
        elif not default.is_required():
            settings["default"] = default.default
    elif default is not parameter.empty:
        settings["default"] = default
    if description is not None and not described:
        settings["description"] = description  # only then: None would wipe out the author's own
    return annotation, pydantic.Field(**settings)


_DATA = ("default", "const", "enum", "examples")


def _without_titles(node: Any, *, names: bool = False) -> Any:
    """Drop pydantic's generated titles; below "properties" a key is somebody's name, so it stays."""
    if isinstance(node, dict):
        return {
            key: value
            if key in _DATA and not names
            else _without_titles(value, names=key in ("properties", "$defs") and not names)
            for key, value in node.items()
            if names or key != "title" or not isinstance(value, str)
        }
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    return node


def _path(parts: Any) -> str:
    text = ".".join(str(part) for part in parts)
    return f"{text}: " if text else ""


def _reason(exc: Exception) -> str:
    try:
        return f"{type(exc).__name__}: {exc}"
    except Exception:  # an exception that can't say what it is must not end the session either
        return type(exc).__name__

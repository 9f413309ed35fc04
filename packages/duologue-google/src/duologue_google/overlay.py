"""Overlay: a setup of the user's, laid over ours: a mapping in either spelling, or google-genai's LiveConnectConfig."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from duologue.errors import ConfigurationError

log = logging.getLogger(__name__)

_FREE = frozenset(
    (
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseJsonSchema",
        "responseSchema",
        "labels",
        "properties",
    )
)
"""Maps whose keys are the user's own."""

_GENERATION = frozenset(
    (
        "responseModalities",
        "temperature",
        "topP",
        "topK",
        "maxOutputTokens",
        "mediaResolution",
        "seed",
        "speechConfig",
        "thinkingConfig",
        "enableAffectiveDialog",
        "translationConfig",
    )
)
"""What `LiveConnectConfig` has at its top and the wire in `generationConfig`."""


def camel(node: Any) -> Any:
    """Return JSON with the protocol's keys in camelCase; keys of free maps stay."""
    if isinstance(node, Mapping):
        return {
            (key := _camel(str(name))): (dict(value) if key in _FREE and isinstance(value, Mapping) else camel(value))
            for name, value in node.items()
            if value is not None
        }
    if isinstance(node, list | tuple):
        return [camel(entry) for entry in node]
    return node


def as_setup(given: Any) -> dict[str, Any]:
    """Return what the user gave as a part of a setup message.

    Raises:
        ConfigurationError: it is no mapping and no `LiveConnectConfig`.
    """
    dump = getattr(given, "model_dump", None)
    if callable(dump):
        given = dump(mode="json", exclude_none=True, by_alias=True)
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"setup is a {type(given).__name__}: give a mapping or google-genai's LiveConnectConfig"
        )
    found = camel(given)
    if found.pop("httpOptions", None) is not None:
        log.warning("httpOptions in a setup has no effect: use base_url, api_version and ssl of the transport")
    moved = {key: found.pop(key) for key in list(found) if key in _GENERATION}
    if moved:
        found["generationConfig"] = lay_over(found.get("generationConfig", {}), moved)
    if isinstance(found.get("systemInstruction"), str):
        found["systemInstruction"] = {"role": "user", "parts": [{"text": found["systemInstruction"]}]}
    return dict(found)


def lay_over(base: Mapping[str, Any], over: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return `base` with `over` on top: maps key by key, `tools` one list after the other, all else replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and key not in _FREE:
            merged[key] = lay_over(below, value, f"{path}.{key}")
        elif f"{path}.{key}" == ".tools" and isinstance(value, list) and isinstance(below, list):
            merged[key] = [*below, *value]
        else:
            merged[key] = value
    return merged


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if head else name

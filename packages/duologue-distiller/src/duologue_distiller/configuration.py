"""Configuration: a project's YAML as the object that the service takes.

References to the environment (`${oc.env:NAME}`, `${env:NAME}`, both with `,default`) stay as they are unless they are
asked to be resolved: what they name is often a secret, and the object is uploaded. References to other places of the
file (`${section.key}`) are always resolved, as the official client does.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duologue.errors import ConfigurationError

log = logging.getLogger(__name__)

_REFERENCE = re.compile(r"\$\{([^${}]+)\}")
_ENVIRONMENT = re.compile(r"(?:oc\.)?env:\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:,\s*(.*))?", re.DOTALL)

DEEPEST = 16
"""References that refer to references, in a row."""


def load_configuration(source: str | Path | Mapping[str, Any], *, resolve_env: bool = False) -> dict[str, Any]:
    """Read a project's configuration from a YAML file, or take it as it is.

    Args:
        source: the path of the file, or the configuration itself.
        resolve_env: put values of environment variables in place of the references to them.

    Raises:
        ConfigurationError: it can't be read, is no mapping, or refers to what is not there.
    """
    if isinstance(source, Mapping):
        whole: Any = dict(source)
    else:
        import yaml

        try:
            whole = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
        except OSError as exc:
            raise ConfigurationError(f"the configuration {str(source)!r} can't be read: {exc.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as exc:
            raise ConfigurationError(f"the configuration {str(source)!r} is no YAML: {exc}") from None
    if not isinstance(whole, dict) or not whole:
        raise ConfigurationError("a project's configuration is a mapping with something in it")
    kept: set[str] = set()
    resolved: dict[str, Any] = _resolve(whole, whole, resolve_env, kept, 0)
    if kept:
        log.warning(
            "the configuration refers to the environment (%s), which was left as it is: "
            "resolve_env=True uploads the values",
            ", ".join(sorted(kept)),
        )
    try:
        json.dumps(resolved)
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"the configuration holds what JSON does not know: {exc}") from None
    return resolved


def _resolve(value: Any, root: Any, env: bool, kept: set[str], depth: int) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _resolve(entry, root, env, kept, depth) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_resolve(entry, root, env, kept, depth) for entry in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    if depth > DEEPEST:
        raise ConfigurationError(f"the configuration refers to itself in a circle: {value}")
    whole = _REFERENCE.fullmatch(value)
    if whole is not None:
        return _refer(whole, root, env, kept, depth)
    return _REFERENCE.sub(lambda match: _inline(_refer(match, root, env, kept, depth)), value)


def _refer(match: re.Match[str], root: Any, env: bool, kept: set[str], depth: int) -> Any:
    inner = match.group(1).strip()
    named = _ENVIRONMENT.fullmatch(inner)
    if named is None:
        return _resolve(_look_up(inner, root), root, env, kept, depth + 1)
    name, default = named.groups()
    if not env:
        kept.add(name)
        return match.group()
    found = os.environ.get(name, default)
    if found is None:
        raise ConfigurationError(f"the configuration wants the environment variable {name}, which is not set")
    return found


def _look_up(path: str, root: Any) -> Any:
    found = root
    for step in re.split(r"[.\[\]]+", path.strip("[]")):
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            raise ConfigurationError(f"the configuration refers to ${{{path}}}, which is not there")
    return found


def _inline(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def read_download(body: Any) -> dict[str, Any]:
    """The configuration in the answer to a download, which holds it as JSON in JSON in JSON.

    Raises:
        ConfigurationError: it holds none.
    """
    found = body.get("config", body) if isinstance(body, dict) else body
    for _ in range(3):
        if not isinstance(found, str):
            break
        try:
            found = json.loads(found)
        except ValueError:
            break
    if not isinstance(found, dict) or not found:
        raise ConfigurationError("the service sent no configuration for that project", provider="distiller")
    return found

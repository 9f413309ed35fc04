"""Secrets: values that are hidden wherever something is shown, logged or captured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HIDDEN = "[hidden]"

SHORTEST = 4
"""A shorter value is a word that would be hidden everywhere, and no secret worth the name."""

_HEADER = re.compile(r"authorization|api[-_]?key|token|secret|cookie|password", re.IGNORECASE)
_PARAMETER = re.compile(r"key|token|secret|password|signature|sig|code", re.IGNORECASE)
_SCHEME = re.compile(r"(?:bearer|token|basic)\s+", re.IGNORECASE)
_SUBPROTOCOL_KEY = re.compile(r"insecure-api-key\.(.+)")


class Secrets:
    """A set of values and the way to hide them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        found = {value for value in values if len(value) >= SHORTEST}
        found |= {quote(value, safe="") for value in found} | {unquote(value) for value in found}
        self._values = frozenset(found)
        longest_first = sorted(found, key=len, reverse=True)  # one may be a part of another
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if found else None

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str], more: Iterable[str] = (), proxy: str = "") -> Self:
        """The secrets of a request."""
        values = list(more)
        for name, value in headers.items():
            if _HEADER.search(name):
                values += [value, _SCHEME.sub("", value, count=1)]
            elif name.lower() == "sec-websocket-protocol" and (found := _SUBPROTOCOL_KEY.search(value)):
                values.append(found.group(1))
        for address in (url, proxy):
            try:
                parts = urlsplit(address)
                values += [parts.password or ""]
                values += [value for name, value in parse_qsl(parts.query) if _PARAMETER.search(name)]
            except ValueError:
                values.append(address)  # what can't be read is not shown either
        return cls(values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __or__(self, other: Secrets) -> Secrets:
        return Secrets(self._values | other._values)

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)} hidden)"

    def redact(self, text: str) -> str:
        """Return the text with every secret hidden."""
        return self._pattern.sub(HIDDEN, text) if self._pattern is not None else text

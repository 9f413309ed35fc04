"""Secrets: values that are hidden wherever something is shown, logged or captured."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HIDDEN = "[hidden]"

SHORTEST = 4
"""A shorter value is a word that would be hidden everywhere, and no secret worth the name."""

_HEADER = re.compile(r"authorization|api[-_]?key|token|secret|cookie|password", re.IGNORECASE)
_PARAMETER = re.compile(r"key|token|secret|password|signature|credential|^(sig|code|auth)$", re.IGNORECASE)
_SCHEME = re.compile(r"(?:bearer|token|basic)\s+", re.IGNORECASE)
_SUBPROTOCOL_KEY = re.compile(r"key\.([^\s,]+)")


class Secrets:
    """A set of values and the way to hide them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._given = frozenset(value for value in values if len(value) >= SHORTEST)
        found = set(self._given)
        found |= {quote(value, safe="") for value in found} | {unquote(value) for value in found}
        found |= {json.dumps(value, ensure_ascii=ascii)[1:-1] for value in found for ascii in (True, False)}
        found |= {value.replace("/", "\\/") for value in found}  # as some write JSON
        found = {value for value in found if len(value) >= SHORTEST}
        longest_first = sorted(found, key=len, reverse=True)  # one may be a part of another
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if found else None

    @classmethod
    def of(
        cls,
        url: str,
        headers: Mapping[str, str],
        more: Iterable[str] = (),
        proxy: str = "",
        subprotocols: Iterable[str] = (),
    ) -> Self:
        """The secrets of a request."""
        values = list(more)
        for name, value in headers.items():
            if _HEADER.search(name):
                values += [value, _SCHEME.sub("", value, count=1)]
            elif name.lower() == "sec-websocket-protocol":
                subprotocols = (*subprotocols, value)
        for offered in subprotocols:
            values += _SUBPROTOCOL_KEY.findall(offered)
        for address in (url, proxy):
            try:
                parts = urlsplit(address)
                if parts.password:
                    basic = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
                    values += [parts.password, b64encode(basic.encode()).decode()]
                elif parts.username:
                    values.append(parts.username)
                values += [value for name, value in parse_qsl(parts.query) if _PARAMETER.search(name)]
                raw = (pair.partition("=") for pair in parts.query.split("&"))  # as it stands in the URL
                values += [value for name, _, value in raw if _PARAMETER.search(name)]
            except ValueError:
                values.append(address)  # what can't be read is not shown either
        return cls(values)

    def __bool__(self) -> bool:
        return bool(self._given)

    def __or__(self, other: Secrets) -> Secrets:
        return Secrets(self._given | other._given)

    def __repr__(self) -> str:
        return f"Secrets({len(self._given)} hidden)"

    def redact(self, text: str) -> str:
        """Return the text with every secret hidden."""
        return self._pattern.sub(HIDDEN, text) if self._pattern is not None else text

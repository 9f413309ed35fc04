"""Recording: a capture read back, line by line."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from duologue.errors import ConfigurationError
from duologue.wire.capture import VERSION
from duologue.wire.codec import Opening
from duologue.wire.spelling import unspell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LineKind: TypeAlias = Literal["open", "ask", "out", "in", "end", "tell", "lost"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a capture.

    Attributes:
        t: seconds since the session began.
        connection: which connection, from 1; 0 for what belongs to none.
        kind: what it is.
        value: an `Opening` ("open"), a command ("ask"), a frame ("out", "in"), a close code and reason ("end"), an
            event ("tell") or a count of lines that are missing here ("lost").
    """

    t: float
    connection: int
    kind: LineKind
    value: Any


class Recording:
    """A capture on disk. Its lines are read as they are asked for, so it may be long.

    Attributes:
        made_by: versions of everything that made it.
        session: what the transport noted of the session.

    Raises:
        ConfigurationError: there is no such file, it is no capture, or a later version made it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            with self._path.open(encoding="utf-8") as file:
                header = json.loads(file.readline())
        except OSError as exc:
            raise ConfigurationError(f"the capture {str(path)!r} can't be read: {exc.strerror}") from None
        except ValueError:
            header = None
        if not isinstance(header, dict) or not isinstance(header.get("capture"), int):
            raise ConfigurationError(f"{str(path)!r} is no capture: its first line does not say so")
        if header["capture"] > VERSION:
            raise ConfigurationError(
                f"the capture {str(path)!r} has format {header['capture']} and this version reads up to {VERSION}: "
                f"install duologue {header.get('duologue', 'of a later version')}"
            )
        self.made_by: Mapping[str, Any] = {key: value for key, value in header.items() if key != "session"}
        self.session: Mapping[str, Any] = header.get("session") or {}

    def lines(self) -> Iterator[Line]:
        """Read the lines in order; a last line that was cut off (the program died) ends them.

        Raises:
            ConfigurationError: a line makes no sense.
        """
        with self._path.open(encoding="utf-8") as file:
            file.readline()
            for number, text in enumerate(file, 2):
                if not text.endswith("\n"):
                    return
                try:
                    yield _line(json.loads(text))
                except (ValueError, TypeError, KeyError, AttributeError) as exc:
                    raise ConfigurationError(f"line {number} of {str(self._path)!r} makes no sense: {exc}") from None


def _line(line: dict[str, Any]) -> Line:
    t, connection = float(line["t"]), int(line.get("n", 0))
    kinds: tuple[LineKind, ...] = ("out", "in")
    for kind in kinds:
        if kind in line:
            return Line(t, connection, kind, str(line[kind]))
        if f"{kind}64" in line:
            return Line(t, connection, kind, base64.b64decode(line[f"{kind}64"], validate=True))
    if "open" in line:
        opening = line["open"]
        return Line(t, connection, "open", Opening(opening["handle"], unspell(opening["history"])))
    if "end" in line:
        return Line(t, connection, "end", (int(line["end"]["code"]), str(line["end"]["reason"])))
    if "ask" in line:
        return Line(t, connection, "ask", unspell(line["ask"]))
    if "tell" in line:
        return Line(t, connection, "tell", unspell(line["tell"]))
    return Line(t, connection, "lost", int(line["lost"]))

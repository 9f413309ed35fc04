"""Discovery: the transports that are installed, by entry point."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from duologue.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from importlib.metadata import EntryPoint

    from duologue.transport import RealtimeTransport

log = logging.getLogger(__name__)

GROUP = "duologue.transports"

_PACKAGES = {
    "local": "duologue-local",
    "gemini": "duologue-google",
    "vertex": "duologue-google",
    "openai": "duologue-openai",
    "distiller": "duologue-distiller",
}


def available_transports() -> list[str]:
    """Names of the installed transports, sorted; nothing is imported."""
    return sorted({found.name for found in _installed()})


def configured_transports() -> list[str]:
    """Names of the installed transports that have what they need, such as a key in the environment.

    A transport class says so by a static method `configured() -> bool`; one without it needs nothing.
    """
    names = []
    for name in available_transports():
        try:
            configured = getattr(find_transport(name), "configured", None)
        except ConfigurationError as exc:
            log.warning("%s", exc)  # somebody's broken package must not hide the others
            continue
        if configured is None or configured():
            names.append(name)
    return names


def get_transport(name: str, **options: Any) -> RealtimeTransport:
    """Make a transport by its name.

    Raises:
        MissingExtra: it is one of ours and its package is not installed.
        ConfigurationError: there is no transport of that name, it can't be imported, or it does not take
            these options.
    """
    made = find_transport(name)
    try:
        return made(**options)
    except TypeError as exc:
        raise ConfigurationError(f"transport {name!r} does not take these options ({exc})") from exc


def find_transport(name: str) -> Callable[..., RealtimeTransport]:
    """The class (or factory) of a transport.

    Raises:
        MissingExtra: it is one of ours and its package is not installed.
        ConfigurationError: there is no transport of that name, or it can't be imported.
    """
    for found in _installed():
        if found.name == name:
            try:
                return cast("Callable[..., RealtimeTransport]", found.load())
            except (ImportError, AttributeError) as exc:
                raise ConfigurationError(
                    f"transport {name!r} is installed but can't be imported ({exc}): reinstall its package"
                ) from exc
    if name in _PACKAGES:
        raise MissingExtra(_PACKAGES[name], needed_for=f"transport {name!r}")
    known = ", ".join(available_transports()) or "none"
    raise ConfigurationError(f"there is no transport {name!r}; installed: {known}")


def _installed() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # 15 ms of import that most programs never need

    return entry_points(group=GROUP)

"""The links that are installed, and which one is used."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duologue.wire.endpoint import Endpoint
    from duologue.wire.link import Link


async def open_link(endpoint: Endpoint, within: float) -> Link:
    """Open a link by the fastest way that is installed and can do what the endpoint wants.

    `picows` (the extra `duologue[fast]`) where no proxy stands in between, else `websockets`.

    Raises:
        ConfigurationError: the endpoint is wrong.
        LinkError: it can't be reached, or refused.
    """
    endpoint.check()
    if has_picows() and not behind_proxy(endpoint):
        from duologue.wire.picows_link import open_picows_link

        return await open_picows_link(endpoint, within)
    from duologue.wire.websockets_link import open_websockets_link

    return await open_websockets_link(endpoint, within)


@functools.cache
def has_picows() -> bool:
    """Whether the fast link is installed."""
    return find_spec("picows") is not None


def behind_proxy(endpoint: Endpoint) -> bool:
    """Whether the endpoint, or the environment, wants a proxy in between."""
    if endpoint.proxy is not True:
        return endpoint.proxy is not None
    endpoint.check()
    from websockets.proxy import get_proxy
    from websockets.uri import parse_uri

    return get_proxy(parse_uri(endpoint.url)) is not None

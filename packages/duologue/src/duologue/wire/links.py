"""The links that are installed, and which one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duologue.wire.endpoint import Endpoint
    from duologue.wire.link import Link


async def open_link(endpoint: Endpoint, within: float) -> Link:
    """Open a link by the fastest way that is installed and can do what the endpoint wants.

    Raises:
        ConfigurationError: the endpoint is wrong.
        LinkError: it can't be reached, or refused.
    """
    from duologue.wire.websockets_link import open_websockets_link

    return await open_websockets_link(endpoint, within)

"""What the tests share: transports that reach a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue_distiller import DistillerTransport

if TYPE_CHECKING:
    from duologue.testing import WireServer


def transport(server: WireServer, **options: Any) -> DistillerTransport:
    options = {"api_key": "key-of-a-test", "account": "org", "ssl": server.ssl, **options}
    return DistillerTransport("example", "test", base_url=server.url, **options)

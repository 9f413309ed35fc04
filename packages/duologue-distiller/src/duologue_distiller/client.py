"""DistillerClient: the way in for those who know the official client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue_distiller.projects import RealtimeDistiller
from duologue_distiller.service import Service

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from duologue_distiller.credentials import Credentials


class DistillerClient:
    """A client of AI Refinery's Realtime Distiller.

    Nothing is sent when it is made. It holds no connection, so there is nothing to close.

    Args:
        api_key: a key or a `TokenProvider`; default `API_KEY`. A server on this machine may do without.
        base_url: the server; default `AIR_BASE_URL`, then AI Refinery's.
        default_headers: sent with everything.
        account: the account the key belongs to; asked for, where it is not given.
        ssl: a TLS context of your own.

    Attributes:
        realtime_distiller: projects, and the way to a session.

    Raises:
        ConfigurationError: the address or the key can't be right.

    Example:
        ```python
        from duologue_distiller import DistillerClient

        client = DistillerClient(api_key="your-key")

        async def main() -> None:
            async with client.realtime_distiller(project="example", uuid="test") as vc:
                await vc.send_text_query("Tell me about the solar system")
                async for response in vc.get_responses():
                    print(response["type"])
        ```
    """

    def __init__(
        self,
        api_key: str | Credentials | None = None,
        base_url: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        *,
        account: str = "",
        ssl: ssl.SSLContext | None = None,
    ) -> None:
        service = Service(api_key, base_url, account=account, ssl=ssl, headers=default_headers)
        self.realtime_distiller = RealtimeDistiller(service)

"""ToyTransport: the toy provider as a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue.testing.toy.client import CAPABILITIES, ToyCodec
from duologue.wire.endpoint import Endpoint, KeepAlive
from duologue.wire.links import open_link
from duologue.wire.policy import LinkPolicy
from duologue.wire.session import WireSession
from duologue.wire.spelling import spell, unspell

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from duologue.tool import Tool
    from duologue.transport import Capabilities, TurnDetection
    from duologue.types import Message
    from duologue.wire.codec import Opening
    from duologue.wire.link import OpenLink


class ToyTransport:
    """Reaches a server that speaks the toy protocol.

    Args:
        base_url: the server's address.
        api_key: sent as `Authorization: Bearer`.
        ssl: a TLS context of your own.
        capture: a file that records each session.
        policy: makes the rules of reconnecting for a session.
        capabilities: what the sessions claim to be able to do.
        keep_alive: how a dead link is noticed.
        link: how links are opened.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str = "",
        ssl: ssl.SSLContext | None = None,
        capture: str | Path | None = None,
        policy: Callable[[], LinkPolicy] = LinkPolicy,
        capabilities: Capabilities = CAPABILITIES,
        keep_alive: KeepAlive | None = None,
        link: OpenLink = open_link,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._endpoint = Endpoint(base_url, headers, "toy", ssl, keep_alive=keep_alive or KeepAlive())
        self._capture = capture
        self._policy = policy
        self._capabilities = capabilities
        self._link = link

    async def connect(
        self,
        *,
        system: str,
        tools: list[Tool],
        voice: str | None = None,
        input_audio_format: str = "audio/pcm;rate=16000",
        output_audio_format: str = "audio/pcm;rate=24000",
        turn_detection: TurnDetection | None = None,
        history: Sequence[Message] = (),
        options: Mapping[str, Any] | None = None,
    ) -> WireSession:
        """Open a session."""

        def codec(opening: Opening) -> ToyCodec:
            return ToyCodec(
                opening,
                system=system,
                tools=tools,
                voice=voice,
                turn_detection=turn_detection,
                capabilities=self._capabilities,
            )

        session = WireSession(
            codec,
            self._endpoint,
            self._policy(),
            history=history,
            capture=self._capture,
            describe={
                "transport": "toy",
                "system": system,
                "tools": spell(tools),
                "voice": voice,
                "turn_detection": spell(turn_detection),
            },
            link=self._link,
        )
        await session.open()
        return session

    @classmethod
    def replay_codec(cls, session: Mapping[str, Any], opening: Opening) -> ToyCodec:
        """Make the codec of a captured session again, from what `connect` noted of it."""
        return ToyCodec(
            opening,
            system=session["system"],
            tools=unspell(session["tools"]),
            voice=session["voice"],
            turn_detection=unspell(session["turn_detection"]),
        )

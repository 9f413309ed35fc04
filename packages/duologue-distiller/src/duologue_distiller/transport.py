"""DistillerTransport: a project of AI Refinery's Realtime Distiller as a transport."""
# ruff: noqa: TC001, TC002, TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

import logging
import os
import secrets
import ssl as tls
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from duologue.errors import ConfigurationError
from duologue.tool import Tool
from duologue.transport import TurnDetection
from duologue.types import Message
from duologue.wire import Endpoint, KeepAlive, LinkPolicy, Opening
from duologue.wire.link import OpenLink
from duologue.wire.links import open_link

from duologue_distiller.codec import PROVIDER, DistillerCodec
from duologue_distiller.credentials import Credentials
from duologue_distiller.place import Place
from duologue_distiller.service import Service
from duologue_distiller.session import DistillerSession, replayed_codec

log = logging.getLogger(__name__)


class DistillerTransport:
    """Reaches a project of the Realtime Distiller.

    The project's configuration has the prompts, the voices and the turn detection: `system`, `voice` and the numbers
    of `turn_detection` are not sent. A tool is called where the project has a custom agent of its name. Barge-in or
    push-to-talk is the server's choice; in push-to-talk, audio sent during a response is dropped and counted
    (`session.input_dropped`).

    Args:
        project: the project's name; default `AIR_PROJECT`.
        uuid: the user's name; default `AIR_UUID`, else a new one.
        api_key: a key or a `TokenProvider`; default `API_KEY`. A server on this machine may do without.
        base_url: the server; default `AIR_BASE_URL`, then AI Refinery's.
        project_version: "0", "1", ...; default the latest.
        account: the account the key belongs to; asked for, where it is not given.
        sample_rate: Hz of the speech that comes: the `sample_rate` of the project's `speech_config`.
        whole_response: `interrupt()` stops all agents of the response; else the one that speaks, as the service
            has it, and the next one begins.
        tell_history: tell the service what was said before (`history`; on another connection, the conversation), in
            front of the next typed turn: the protocol has no other place, and nobody promises that the service
            remembers. With False the user's `uuid` is trusted to be enough, and nothing is said twice to a service
            that does remember.
        ssl: a TLS context of your own.
        capture: a file that records each session.
        headers: further headers.
        keep_alive: how a dead link is noticed.
        policy: makes the rules of reconnecting for a session.
        link: how links are opened.

    Raises:
        BadName: the project, the user or the version has characters that names can't have (also a ValueError).
        ConfigurationError: there is no project, or the address is wrong.

    Source: the page "Realtime Distiller API"; the official client airefinery-sdk.

    Example:
        ```python
        from duologue import RealtimeAgent
        from duologue_distiller import DistillerTransport

        agent = RealtimeAgent("", DistillerTransport("example", "a-user", api_key="your-key"))
        ```
    """

    def __init__(
        self,
        project: str | None = None,
        uuid: str | None = None,
        *,
        api_key: str | Credentials | None = None,
        base_url: str | None = None,
        project_version: str | int | None = None,
        account: str = "",
        sample_rate: int = 16000,
        whole_response: bool = False,
        tell_history: bool = True,
        ssl: tls.SSLContext | None = None,
        capture: str | Path | None = None,
        headers: Mapping[str, str] | None = None,
        keep_alive: KeepAlive | None = None,
        policy: Callable[[], LinkPolicy] = LinkPolicy,
        link: OpenLink = open_link,
    ) -> None:
        project = project or os.environ.get("AIR_PROJECT")
        if not project:
            raise ConfigurationError("the distiller needs a project: set AIR_PROJECT, or pass project=")
        uuid = uuid or os.environ.get("AIR_UUID") or f"duologue-{secrets.token_hex(6)}"
        self.place = Place.of(project, uuid, project_version, account)
        self.sample_rate = sample_rate
        self.whole_response = whole_response
        self.tell_history = tell_history
        self._service = Service(api_key, base_url, account=account, ssl=ssl, headers=headers)
        self._capture = capture
        self._keep_alive = keep_alive or KeepAlive()
        self._policy = policy
        self._link = link

    @staticmethod
    def configured() -> bool:
        """Whether the environment holds a key and a project."""
        return bool(os.environ.get("API_KEY") and os.environ.get("AIR_PROJECT"))

    @staticmethod
    def replay_codec(session: Mapping[str, Any], opening: Opening) -> DistillerCodec:
        """Make the codec of a connection of a captured session."""
        return replayed_codec(session, opening, Place.of_description(session["place"]))

    @property
    def base_url(self) -> str:
        """Where audio goes."""
        return self._service.base_url

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
    ) -> DistillerSession:
        """Open a session; returns once the service has created it.

        Raises:
            ConfigurationError: no key, or `options`, of which there are none.
            LinkError: the service can't be reached or refused.
        """
        if options:
            raise ConfigurationError(f"the distiller knows no options: {', '.join(options)}", provider=PROVIDER)
        if history and not self.tell_history:
            log.warning("%d messages of history were not told to the distiller: tell_history is off", len(history))
        place = replace(self.place, account=await self._service.account())

        async def endpoint() -> Endpoint:
            return await self._service.endpoint(place, self._keep_alive)

        session = DistillerSession(
            place,
            endpoint,
            self._policy(),
            sample_rate=self.sample_rate,
            whole_response=self.whole_response,
            tell_history=self.tell_history,
            manual=turn_detection is not None and turn_detection.mode == "manual",
            history=history,
            capture=self._capture,
            link=self._link,
        )
        await session.open()
        return session

"""OpenAIRealtimeTransport: OpenAI, Azure, and any server that speaks the protocol."""
# ruff: noqa: TC002, TC003 - the annotations of public types can be evaluated at run time

from __future__ import annotations

import inspect
import os
import ssl as tls
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from duologue.errors import ConfigurationError
from duologue.tool import Tool
from duologue.transport import TurnDetection
from duologue.types import Message
from duologue.wire import Endpoint, KeepAlive, LinkPolicy, Opening

from duologue_openai.address import Address
from duologue_openai.codec import OpenAICodec
from duologue_openai.options import OpenAIOptions
from duologue_openai.plan import PROVIDER, SESSION_S, SessionPlan, agreed_format, tool_plans
from duologue_openai.session import OpenAISession

MODEL = "gpt-realtime-2.1"

KeySource: TypeAlias = str | Callable[[], Awaitable[str]]
"""A key, an ephemeral secret, or an async function that is asked before each connection."""


class OpenAIRealtimeTransport:
    """Reaches a model over OpenAI Realtime (the protocol of general availability, not the beta).

    Args:
        api_key: a key, an ephemeral secret (`ek_...`), or an async function that gives one before each connection;
            default `OPENAI_API_KEY`. A server on this machine may do without.
        model: the model, or the deployment at Azure.
        base_url: as the official client has it, such as `https://RESOURCE.openai.azure.com/openai/v1` or
            `http://127.0.0.1:8000/v1`; default `OPENAI_BASE_URL`, then OpenAI.
        ssl: a TLS context of your own.
        capture: a file that records each session.
        organization: sent as `OpenAI-Organization`; default `OPENAI_ORG_ID`.
        project: sent as `OpenAI-Project`; default `OPENAI_PROJECT_ID`.
        query: further parameters of the address, such as Azure's `api-version` and `deployment`.
        headers: further headers, such as `OpenAI-Safety-Identifier`.
        azure: the key goes into the header `api-key`; None tells by the address.
        keep_alive: how a dead link is noticed.
        policy: makes the rules of reconnecting for a session.
        options: what else a session is asked for, by the names of `OpenAIOptions`; `connect(options=...)` comes on
            top.

    Raises:
        ConfigurationError: the address or an option is wrong.

    Source: the Realtime API reference; Azure's "Realtime API" how-to.

    Example:
        ```python
        from duologue import RealtimeAgent, TurnDetection
        from duologue_openai import OpenAIRealtimeTransport

        transport = OpenAIRealtimeTransport("sk-your-key", noise_reduction="near_field", reasoning="low")
        agent = RealtimeAgent("You are brief.", transport, voice="marin", turn_detection=TurnDetection("semantic"))
        ```
    """

    def __init__(
        self,
        api_key: KeySource | None = None,
        model: str = MODEL,
        base_url: str | None = None,
        *,
        ssl: tls.SSLContext | None = None,
        capture: str | Path | None = None,
        organization: str | None = None,
        project: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        azure: bool | None = None,
        keep_alive: KeepAlive | None = None,
        policy: Callable[[], LinkPolicy] | None = None,
        **options: Any,
    ) -> None:
        self.model = model
        self.options = OpenAIOptions().changed(options)
        self._address = Address.of(base_url, query, azure)
        self._key = api_key
        self._ssl = ssl
        self._capture = capture
        self._organization = organization or os.environ.get("OPENAI_ORG_ID")
        self._project = project or os.environ.get("OPENAI_PROJECT_ID")
        self._headers = dict(headers or {})
        self._keep_alive = keep_alive or KeepAlive()
        self._policy = policy or (lambda: LinkPolicy(max_connection_s=SESSION_S))

    @staticmethod
    def configured() -> bool:
        """Whether the environment holds a key."""
        return bool(os.environ.get("OPENAI_API_KEY"))

    @staticmethod
    def replay_codec(session: Mapping[str, Any], opening: Opening) -> OpenAICodec:
        """Make the codec of a connection of a captured session."""
        return OpenAICodec(SessionPlan.of_description(session), opening)

    @property
    def base_url(self) -> str:
        """Where audio goes."""
        return self._address.base_url

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
    ) -> OpenAISession:
        """Open a session; returns once the provider has taken all its settings.

        The connection is changed before the provider's limit of 60 minutes, at a moment when nobody speaks; the
        conversation is told again to the new one.

        Raises:
            ConfigurationError: no key, or a setting that the provider (or this package) refuses.
            UnsupportedFormat: an audio format that the protocol doesn't have.
            LinkError: the provider can't be reached.
        """
        options = dict(options or {})
        model = str(options.pop("model", self.model))
        plan = SessionPlan(
            model=model,
            system=system,
            tools=tool_plans(tools),
            voice=voice,
            input_format=agreed_format(input_audio_format, what="the user's audio"),
            output_format=agreed_format(output_audio_format, what="the model's audio"),
            detection=turn_detection,
            options=self.options.changed(options),
        )
        plan.session()  # what can't be said is refused before anything is dialled
        if not callable(self._key):
            self._endpoint(model, self._given_key()).check()

        async def endpoint() -> Endpoint:
            return self._endpoint(model, await self._fresh_key())

        def codec(opening: Opening) -> OpenAICodec:
            return OpenAICodec(plan, opening)

        session = OpenAISession(
            codec,
            endpoint,
            self._policy(),
            history=history,
            capture=self._capture,
            describe={"transport": PROVIDER, **plan.describe()},
        )
        await session.open()
        return session

    def _endpoint(self, model: str, key: str) -> Endpoint:
        address = self._address
        named = address.headers(key, organization=self._organization, project=self._project)
        secrets = (key,) if key else ()
        return Endpoint(
            address.socket_url(model),
            {**named, **self._headers},
            PROVIDER,
            self._ssl,
            keep_alive=self._keep_alive,
            secrets=secrets,
        )

    async def _fresh_key(self) -> str:
        if not callable(self._key):
            return self._given_key()
        made = self._key()
        key = await made if inspect.isawaitable(made) else made
        if not isinstance(key, str) or not key:
            raise ConfigurationError("api_key() gave no key: it must return a string", provider=PROVIDER)
        return key

    def _given_key(self) -> str:
        key = (self._key if isinstance(self._key, str) else None) or os.environ.get("OPENAI_API_KEY") or ""
        if not key and not self._address.local:
            raise ConfigurationError("openai needs a key: set OPENAI_API_KEY, or pass api_key=", provider=PROVIDER)
        return key

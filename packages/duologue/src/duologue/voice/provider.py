"""RealtimeProvider: one provider of the façade, used directly."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, ClassVar

from duologue.discovery import get_transport
from duologue.errors import ConfigurationError
from duologue.voice.callbacks import RegistersCallbacks
from duologue.voice.config import RealtimeConfig
from duologue.voice.errors import realtime_errors
from duologue.voice.offers import as_tools
from duologue.voice.profiles import PROFILES, Profile, say
from duologue.voice.session import VoiceSession

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from duologue.transport import RealtimeTransport

log = logging.getLogger("duologue.voice")


class RealtimeProvider(RegistersCallbacks):
    """A provider: a transport, said a `RealtimeConfig` to.

    Subclass it with another `name` for a transport of your own, and register it with
    `RealtimeVoice.register_provider`.

    Args:
        config: the settings of its sessions.
        transport: the transport to use instead of a new one of that name.

    Raises:
        MissingExtra: the provider's package is not installed.
        ConfigurationError: a setting that nobody knows.
    """

    name: ClassVar[str] = ""

    def __init__(self, config: RealtimeConfig | None = None, *, transport: RealtimeTransport | None = None) -> None:
        super().__init__()
        self.config = config or RealtimeConfig()
        self.profile = PROFILES.get(self.name) or Profile(name=self.name, goes_to=f"the transport {self.name!r}")
        self._said = say(self.config, self.profile)
        as_tools(self.config.tools)  # what is no tool shows here, not at the first call
        self._transport = transport or self._make_transport()
        self._session: VoiceSession | None = None
        self._sessions: list[VoiceSession] = []

    @property
    def goes_to(self) -> str:
        """Where audio goes."""
        return str(getattr(self._transport, "base_url", None) or self.profile.goes_to)

    async def connect(self) -> VoiceSession:
        """Open a session; where one is open, that is returned.

        Raises:
            RealtimeConnectionError: the provider can't be reached, or refused.
            RealtimeError: a setting that it refused.
        """
        if self._session is None or not self._session.is_active:
            self._session = await self.open_session()
        return self._session

    async def disconnect(self) -> None:
        """Close every session that was opened here; idempotent."""
        sessions, self._sessions, self._session = self._sessions, [], None
        await asyncio.gather(*(session.close() for session in sessions))

    async def open_session(self) -> VoiceSession:
        """Open another session, whatever is open already; the callbacks are told of all of them."""
        said, config = self._said, self.config
        options: dict[str, Any] = dict(said.options)
        rate = config.sample_rate
        with realtime_errors():
            session = VoiceSession(
                self._transport,
                config,
                self.callbacks,
                voice=said.voice,
                detection=said.detection,
                options=options,
                input_rate=rate or self.profile.input_rate,
                output_rate=rate or 24000,
            )
        await session.open()
        self._sessions = [s for s in self._sessions if s.is_active] + [session]
        return session

    def _make_transport(self) -> RealtimeTransport:
        if not self.name:
            raise ConfigurationError("a provider needs a name: set it in your subclass")
        return get_transport(self.name, **({"model": self._said.model} if self._said.model else {}))


class Connecting:
    """A session in the making: `async with` opens and closes it, `await` only opens it."""

    def __init__(self, open_session: Callable[[], Any]) -> None:
        self._open = open_session
        self._session: VoiceSession | None = None

    def __await__(self) -> Generator[Any, None, VoiceSession]:
        session: VoiceSession = yield from self._open().__await__()
        return session

    async def __aenter__(self) -> VoiceSession:
        self._session = await self._open()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()


class OpenAIRealtimeProvider(RealtimeProvider):
    """OpenAI, used directly."""

    name = "openai"


class GeminiRealtimeProvider(RealtimeProvider):
    """Gemini, used directly."""

    name = "gemini"

"""RealtimeVoice: a voice conversation in a few lines, with whichever provider there is."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING, ClassVar

from duologue.discovery import available_transports, configured_transports, find_transport
from duologue.errors import ConfigurationError
from duologue.tasks import TaskSet
from duologue.voice.callbacks import RegistersCallbacks
from duologue.voice.config import RealtimeConfig
from duologue.voice.errors import RealtimeConnectionError
from duologue.voice.profiles import GEMINI, LOCAL, OPENAI, PROFILES
from duologue.voice.provider import Connecting, GeminiRealtimeProvider, OpenAIRealtimeProvider, RealtimeProvider

if TYPE_CHECKING:
    from duologue.blocks import AudioBlock
    from duologue.voice.data import AudioChunk, TranscriptDelta
    from duologue.voice.session import VoiceSession

log = logging.getLogger("duologue.voice")

SPEECH_SETTLES = 1.5
"""Quiet seconds after the end of the user's audio that prove that no reply will come."""


class RealtimeVoice(RegistersCallbacks):
    """A voice conversation: register callbacks, connect, send.

    Without a provider the first one is taken that has what it needs: OpenAI with `OPENAI_API_KEY`, Gemini with
    `GEMINI_API_KEY` or `GOOGLE_API_KEY`, else the local one, which needs nothing. Which one, and where audio goes,
    is logged.

    Args:
        provider: its name, such as "openai", "gemini", "vertex", "local".
        config: the settings.

    Raises:
        MissingExtra: the provider's package is not installed.
        ConfigurationError: there is no such provider, or a setting that nobody knows.

    Example:
        ```python
        from duologue.voice import RealtimeConfig, RealtimeVoice

        async def talk() -> None:
            voice = RealtimeVoice(provider="local", config=RealtimeConfig(instructions="You are brief."))

            @voice.on_transcript
            async def show(text: str, is_final: bool) -> None:
                if is_final:
                    print(text)

            async with voice.connect() as session:
                await session.send_text("Hello!")
                await session.wait_until_idle()
        ```
    """

    _registered: ClassVar[dict[str, type[RealtimeProvider]]] = {}

    def __init__(self, provider: str | None = None, config: RealtimeConfig | None = None) -> None:
        super().__init__()
        self.config = config or RealtimeConfig()
        name, why = (provider, "") if provider is not None else _choose()
        self._provider = self._make(name)
        self._provider.callbacks = self.callbacks
        if why:
            level = logging.INFO if name == LOCAL.name else logging.WARNING
            log.log(level, "the provider is %s, because %s; audio goes to %s", name, why, self._provider.goes_to)

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._provider.name

    @property
    def goes_to(self) -> str:
        """Where audio goes."""
        return self._provider.goes_to

    def connect(self) -> Connecting:
        """Open a session: `async with voice.connect() as session`, or `session = await voice.connect()`.

        Raises (when it is entered):
            RealtimeConnectionError: the provider can't be reached, or refused.
            RealtimeError: a setting that it refused.
        """
        return Connecting(self._provider.open_session)

    async def run(
        self, audio: AsyncIterable[bytes | AudioBlock] | Iterable[bytes | AudioBlock]
    ) -> AsyncIterator[AudioChunk | TranscriptDelta]:
        """Hold a conversation with a stream of the user's audio; yield what both sides say.

        Ends when the stream is over and the last reply complete, or when the server ends the session. Who takes
        slowly holds the session up, not the audio that is sent. Callbacks are called as well.

        Raises:
            RealtimeConnectionError: the provider can't be reached, or the connection broke off for good.
            Exception: what the stream of audio raised.
        """
        tasks = TaskSet()
        async with self.connect() as session:
            stream = session.stream()
            pump = tasks.start(_pump(audio, session), "microphone of run()")
            try:
                async for piece in stream:
                    yield piece
                if pump.done() and not pump.cancelled() and (failure := pump.exception()) is not None:
                    raise failure
                if session.failure is not None:
                    message = f"the session ended: {session.failure}"
                    raise RealtimeConnectionError(message) from session.failure
            finally:
                await tasks.stop(1.0)

    @classmethod
    def available_providers(cls) -> list[str]:
        """Names of the installed providers, the documented ones first; nothing is imported."""
        found = {*available_transports(), *cls._registered}
        first = [profile.name for profile in PROFILES.values() if profile.name in found]
        return first + sorted(found - set(first))

    @classmethod
    def configured_providers(cls) -> list[str]:
        """Names of the installed providers that have their key; those that need none are not listed."""
        ready = {name for name in configured_transports() if hasattr(find_transport(name), "configured")}
        ready = {*ready, *cls._registered} - {LOCAL.name}
        return [name for name in cls.available_providers() if name in ready]

    @classmethod
    def register_provider(cls, name: str, provider: type[RealtimeProvider]) -> None:
        """Make another provider known by a name."""
        cls._registered[name] = provider

    def _make(self, name: str) -> RealtimeProvider:
        known: dict[str, type[RealtimeProvider]] = {
            OPENAI.name: OpenAIRealtimeProvider,
            GEMINI.name: GeminiRealtimeProvider,
            **self._registered,
        }
        made = known.get(name)
        if made is None:
            if name not in available_transports() and name not in PROFILES and name != "distiller":
                names = ", ".join(self.available_providers())
                raise ConfigurationError(f"there is no provider {name!r}; there is: {names}")
            made = type(f"{name.title()}RealtimeProvider", (RealtimeProvider,), {"name": name})
        return made(config=self.config)


def _choose() -> tuple[str, str]:
    for profile in (OPENAI, GEMINI):
        for key in profile.keys:
            if os.environ.get(key):
                return profile.name, f"{key} is set"
    return LOCAL.name, "no key of a provider is set"


async def _pump(audio: AsyncIterable[bytes | AudioBlock] | Iterable[bytes | AudioBlock], session: VoiceSession) -> None:
    try:
        if isinstance(audio, AsyncIterable):
            async for piece in audio:
                await session.send_audio(piece)
        else:
            for piece in audio:
                await session.send_audio(piece)
                await asyncio.sleep(0)
        await session.finish_speech()
        await session.wait_until_idle(settle=SPEECH_SETTLES, within=600.0)
    except RealtimeConnectionError:
        return  # the session has ended, which the stream tells, when what came before was taken
    except BaseException:
        session.end_stream()
        raise
    session.end_stream()

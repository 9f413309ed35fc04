"""VoiceTurn: the user's turn and its response, with microphone, loudspeaker and a printed transcript."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import sys
from typing import TYPE_CHECKING, Any, Protocol

from duologue.errors import MissingExtra
from duologue.events import AudioOutputDelta
from duologue.tasks import TaskSet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from duologue.blocks import AudioBlock

    from duologue_distiller.connection import DistillerConnection

LOOK_S = 0.01
"""How often it is looked whether the loudspeaker is done."""

TAIL_MS = 30.0
"""Less than this left to be heard is nothing: rates don't divide evenly."""

TAIL_S = 1.0
"""Seconds the device may take for what it has been given."""

REARM_S = 0.05
"""How often it is looked whether the application cleared the event itself."""

LATE_END_S = 2.0
"""Seconds that the end of an interruption may take."""

CHUNK_MS = 40.0


class _Loudspeaker(Protocol):
    playback: Any

    def feed(self, audio: Any) -> object: ...
    def stop(self) -> object: ...
    def pending_bytes(self) -> int: ...


class VoiceTurn:
    """One call of `listen_and_respond` or `send_text_and_respond`."""

    def __init__(self, connection: DistillerConnection, sample_rate: int, cancel_event: asyncio.Event | None) -> None:
        self._connection = connection
        self._rate = sample_rate
        self._media = f"audio/pcm;rate={sample_rate}"
        self._cancel_event = cancel_event
        self._rearmed = asyncio.Event()
        self._tasks = TaskSet()
        self._role = ""
        self._muted = False
        self._started = False
        self._fed_ms = 0.0
        self._number = 0
        self._cuts = 0  # interruptions that came and were not read
        self._midline = False
        self._speaker: _Loudspeaker | None = None
        self._microphone: asyncio.Task[None] | None = None

    async def ask(self, text: str) -> None:
        """Ask in writing, and play the response."""
        audio = _duologue_audio()
        async with contextlib.AsyncExitStack() as stack:
            self._speaker = await stack.enter_async_context(audio.Speaker(self._rate))
            stack.push_async_callback(self._tasks.stop, 1.0)
            self._follow_interruptions(stack)
            self._connection.skip_rest()
            await self._connection.send_text_query(text)
            await self._respond()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LATE_END_S):
                    while self._cuts:  # an interruption of what was still played has an end of its own
                        await self._respond()

    async def listen(self) -> None:
        """Listen, and play the response; once more for each time the user interrupts."""
        audio = _duologue_audio()
        self._connection.skip_rest()
        async with contextlib.AsyncExitStack() as stack:
            if self._connection.barge_in:
                echo = audio.best_echo_canceller(self._rate)
                duplex = audio.DuplexAudio(self._rate, CHUNK_MS, feed_rate=self._rate, echo=echo)
                await stack.enter_async_context(duplex)
                self._speaker = duplex.speaker
                listening = self._send(duplex.mic_chunks())
            else:
                self._speaker = await stack.enter_async_context(audio.Speaker(self._rate))
                listening = self._record(audio.Microphone(self._rate, CHUNK_MS))
            self._follow_interruptions(stack)
            stack.push_async_callback(self._tasks.stop, 1.0)
            self._microphone = self._tasks.start(listening, "distiller microphone")
            while await self._respond():
                pass

    def _follow_interruptions(self, stack: contextlib.AsyncExitStack) -> None:
        """Stop at once when the user cuts in: most of a response is played when all of it has been read."""
        connection = self._connection

        def interrupted() -> None:
            self._cuts += 1
            self._stop_speaker()

        def leave() -> None:
            connection.on_interrupted = None

        connection.on_interrupted = interrupted
        stack.callback(leave)

    # -- the microphone -------------------------------------------------------------------------------

    async def _record(self, microphone: Any) -> None:
        async with microphone:
            await self._send(aiter(microphone))

    async def _send(self, chunks: AsyncIterator[AudioBlock]) -> None:
        async for chunk in chunks:
            await self._connection.send_audio_chunk(chunk.data)

    # -- the response ---------------------------------------------------------------------------------

    async def _respond(self) -> bool:
        """Play one response; tell whether the user interrupted it."""
        self._number += 1
        self._role = ""
        self._started, self._fed_ms = False, 0.0
        tasks = [self._tasks.start(self._play(), "distiller response")]
        if self._microphone is not None:
            tasks.append(self._microphone)
        watching = None
        if self._cancel_event is not None:
            watching = self._tasks.start(self._watch(self._cancel_event), "distiller cancel")
            tasks.append(watching)
        playing = tasks[0]
        try:
            while not playing.done():
                done, _ = await asyncio.wait([t for t in tasks if not t.done()], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if not task.cancelled():
                        task.result()  # a microphone that fails ends the turn
            return bool(playing.result())
        finally:
            playing.cancel()
            if watching is not None:
                watching.cancel()

    async def _play(self) -> bool:
        interrupted = False
        async for message in self._connection.get_responses():
            match message["type"]:
                case "response.created":
                    await self._stop_listening()
                case "response.audio_transcript.done":
                    self._print_line(f"You: {message.get('text') or ''}")
                case "response.text.delta":
                    self._text(message)
                case "response.audio.delta" if not interrupted and not self._cuts:
                    await self._audio(message.get("audio") or message.get("delta"))
                case "response.interrupted":
                    interrupted = True
                    self._cuts = max(0, self._cuts - 1)
                case "response.done":
                    self._end_line()
        if not interrupted and not self._cuts:
            await self._drain()
            if self._started and not self._cuts:
                await self._connection.notify_playback_stopped()
        self._rearm()
        return interrupted or self._cuts > 0

    def _rearm(self) -> None:
        """What was to be skipped is over."""
        self._muted = False
        self._rearmed.set()
        if self._cancel_event is not None:
            self._cancel_event.clear()

    async def _stop_listening(self) -> None:
        if self._microphone is not None and not self._connection.barge_in:
            self._microphone.cancel()
            await asyncio.wait([self._microphone])

    def _text(self, message: dict[str, Any]) -> None:
        role, text = message.get("role") or self._role, message.get("content") or message.get("text") or ""
        if role != self._role:
            self._end_line()
            if self._muted and self._role:  # the first one to speak is the one that was to be skipped
                self._rearm()
            self._role = role
        if text:
            if not self._midline:
                self._print(f"{role or 'assistant'}: ")
            self._print(text)
            self._midline = True

    async def _audio(self, encoded: Any) -> None:
        if self._muted or not encoded or self._speaker is None:
            return
        try:
            data = base64.b64decode(encoded)
        except (binascii.Error, ValueError, TypeError):
            return  # the codec has reported it
        self._speaker.feed(AudioOutputDelta(data, self._media, f"response-{self._number}"))
        self._fed_ms += len(data) / 2 / self._rate * 1000
        if not self._started:
            self._started = True
            await self._connection.notify_playback_started()

    async def _drain(self) -> None:
        """Wait until all is heard, or was stopped."""
        assert self._speaker is not None
        loop = asyncio.get_running_loop()
        while self._speaker.pending_bytes():  # noqa: ASYNC110 - the device tells nobody when it is done
            await asyncio.sleep(LOOK_S)
        until = loop.time() + TAIL_S
        while self._left_ms() > TAIL_MS and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)

    def _left_ms(self) -> float:
        assert self._speaker is not None
        position = self._speaker.playback.position()
        return self._fed_ms - position.heard_ms if position.response_id == f"response-{self._number}" else 0.0

    def _stop_speaker(self) -> None:
        if self._speaker is not None:
            self._speaker.stop()
        self._fed_ms = 0.0

    # -- cancelling -----------------------------------------------------------------------------------

    async def _watch(self, cancel_event: asyncio.Event) -> None:
        while True:
            await cancel_event.wait()
            if self._connection.response_active:
                self._muted = True
                await self._connection.cancel_response()
                self._stop_speaker()
                self._rearmed.clear()
                while cancel_event.is_set() and not self._rearmed.is_set():  # an Event tells nobody that it was cleared
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._rearmed.wait(), REARM_S)
            else:
                self._stop_speaker()  # the rest of it still plays, or there is nothing to skip
                cancel_event.clear()

    # -- printing -------------------------------------------------------------------------------------

    def _print(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _print_line(self, text: str) -> None:
        self._end_line()
        self._print(f"{text}\n")

    def _end_line(self) -> None:
        if self._midline:
            self._print("\n")
        self._midline = False


def _duologue_audio() -> Any:
    try:
        import duologue_audio
    except ImportError as exc:
        raise MissingExtra(
            "duologue-audio", needed_for="a spoken turn", install="pip install 'duologue-distiller[audio]'"
        ) from exc
    return duologue_audio

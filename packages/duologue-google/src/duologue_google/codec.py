"""GeminiCodec: the client half of the Live API's protocol, for one connection."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Self

import msgspec
from duologue.events import AudioOutputDelta, Event, ToolCancelled, TurnComplete
from duologue.transport import Capabilities
from duologue.wire import Codec, Opening

from duologue_google import client_messages as wire
from duologue_google.advice import explain
from duologue_google.exchange import Exchange
from duologue_google.hot import decode_speech
from duologue_google.plan import SessionPlan
from duologue_google.reading import UNREADABLE, read_object
from duologue_google.receiver import PROVIDER, Receiver
from duologue_google.sender import Sender, to_frame
from duologue_google.turns import contents_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.errors import DuologueError
    from duologue.wire import Command, Frame

INPUT_RATES = (16000, 24000, 8000)
"""Rates that go out as they are; Google converts to 16 kHz itself."""

UNCOMPRESSED_S = 15 * 60.0
"""How long a session of sound lasts if its context is not compressed."""


class GeminiCodec(Codec):
    """What the Live API says in frames, said in events and commands.

    Args:
        plan: the session's setup; shared by all its connections.
        opening: what this connection starts from.
    """

    provider = PROVIDER

    def __init__(self, plan: SessionPlan, opening: Opening = Opening()) -> None:  # noqa: B008 - frozen
        super().__init__()
        # Changes go out again on each connection where the model takes them; else they go into the setups to come.
        self._plan = plan = dataclasses.replace(plan, setup=dict(plan.setup)) if plan.traits.context_update else plan
        self._opening = opening
        setup = read_object(plan.setup, wire.Setup).message
        manual, cuts = _detection(setup)
        self._exchange = Exchange(
            gates=plan.traits.gates_input, blocking=_blocking(setup), default_blocking=_default_blocking(plan)
        )
        self._receiver = Receiver(self._exchange, model=plan.model, handle=opening.handle)
        self._media = self._receiver.media
        self._sender = Sender(self._exchange, plan, manual=manual, cuts=cuts, resumed=bool(opening.handle))
        self.capabilities = _capabilities(plan, setup, manual=manual)
        self.continues = plan.traits.text == "content"
        self.handle = opening.handle

    @classmethod
    def from_description(cls, data: Mapping[str, Any], opening: Opening = Opening()) -> Self:  # noqa: B008 - frozen
        """Make a codec of what `SessionPlan.describe` wrote down."""
        return cls(SessionPlan.from_description(data), opening)

    def opening(self) -> list[Frame]:
        """The setup, with the handle of the session to take up again and the promise of a history."""
        setup = dict(self._plan.setup)
        if self._opening.handle:
            setup["sessionResumption"] = {**setup.get("sessionResumption", {}), "handle": self._opening.handle}
        elif self._has_first_history():
            setup["historyConfig"] = {**setup.get("historyConfig", {}), "initialHistoryInClientContent": True}
        return [msgspec.json.encode({"setup": setup}).decode()]

    def decode(self, frame: Frame) -> list[Event]:
        """Turn a frame into events."""
        try:
            content = decode_speech(frame).server_content
        except UNREADABLE:
            return self._read(frame)
        parts = content.model_turn.parts
        if len(parts) != 1 or content.output_transcription is not None or self._exchange.muted:
            events = self._receiver.speech(content)
            return self._read(frame) if events is None else events
        blob = parts[0].inline_data  # the fast path: one piece of sound changes nothing but that there is a reply
        data, media = blob.data, self._media.get(blob.mime_type)
        if media is None or len(data) & 1 or not data:
            return self._read(frame)
        self._exchange.replying = True
        return [AudioOutputDelta(data, media)]

    def _read(self, frame: Frame) -> list[Event]:
        receiver = self._receiver
        greeted = receiver.greeted
        events = receiver.read(frame)
        if receiver.handle != self.handle:
            if self._sender.settled:
                self.handle = receiver.handle
            else:
                receiver.handle = self.handle  # the session that it stands for may lack what was typed
        if greeted:
            for event in events:
                kind = type(event)
                if kind is TurnComplete:
                    self.outgoing += self._sender.turn_ended()
                elif kind is ToolCancelled:
                    self.outgoing += self._sender.released()
        elif receiver.greeted:
            self.outgoing += self._history()
        return events

    def encode(self, command: Command) -> list[Frame]:
        """Turn a command into frames.

        Raises:
            UnsupportedFormat: audio that is no PCM.
            ConfigurationError: new tools that the model can't be told of.
        """
        frames = self._sender.encode(command)
        self.input_dropped = self._exchange.dropped
        return frames

    def explain_close(self, code: int, reason: str) -> DuologueError | None:
        """What a close means, and what to do about it."""
        return explain(
            code,
            reason,
            setup=self._plan.setup,
            started=self._receiver.greeted,
            resuming=bool(self._opening.handle),
            resumable=bool(self.handle),
            going=self._receiver.going or self._plan.vertex,
        )

    def _has_first_history(self) -> bool:
        return self._plan.traits.history == "first" and any(contents_of(self._opening.history))

    def _history(self) -> list[Frame]:
        """What was said before, sent as soon as the session is open and before anything else."""
        turns = contents_of(self._opening.history)
        if not turns or (self._opening.handle and not self.continues):
            return []
        complete = self._plan.traits.history == "first" and not self._opening.handle
        return [to_frame(wire.ClientMessage(client_content=wire.ClientContent(turns=turns, turn_complete=complete)))]


def _detection(setup: wire.Setup) -> tuple[bool, bool]:
    """Whether the client marks the turns, and whether a new turn cuts the reply."""
    config = setup.realtime_input_config or wire.RealtimeInputConfig()
    automatic = config.automatic_activity_detection
    return bool(automatic and automatic.disabled), config.activity_handling != "NO_INTERRUPTION"


def _blocking(setup: wire.Setup) -> dict[str, bool]:
    told = {"BLOCKING": True, "NON_BLOCKING": False}
    return {
        declared.name: told[declared.behavior]
        for entry in setup.tools or ()
        for declared in entry.function_declarations or ()
        if declared.name and declared.behavior in told
    }


def _default_blocking(plan: SessionPlan) -> bool:
    traits = plan.traits
    return traits.default_blocking or not traits.nonblocking_tools


def _capabilities(plan: SessionPlan, setup: wire.Setup, *, manual: bool) -> Capabilities:
    traits = plan.traits
    return Capabilities(
        input_rates=(plan.input_rate, *(rate for rate in INPUT_RATES if rate != plan.input_rate))
        if plan.input_rate in INPUT_RATES
        else INPUT_RATES,
        output_rate=24000,
        server_vad=not manual,
        manual_turns=True,
        image_input=not traits.translates and traits.speaks,
        transcripts=bool(setup.input_audio_transcription and setup.output_audio_transcription),
        nonblocking_tools=traits.nonblocking_tools,
        result_scheduling=traits.scheduling,
        session_update=traits.context_update,
        resumption=setup.session_resumption is not None,
        max_session_s=None if setup.context_window_compression else UNCOMPRESSED_S,
    )

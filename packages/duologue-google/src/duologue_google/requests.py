"""Requests: what a client of the Live API sends, as commands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from duologue.blocks import AudioBlock, TextBlock
from duologue.effects import AnswerCall, StopReply
from duologue.transport import TurnDetection
from duologue.wire.commands import ClientCommand, CommitTurn, SendContent, SetUp, UpdateSession

from duologue_google import client_messages as wire
from duologue_google.functions import block_of, content_of, tools_of
from duologue_google.hot import decode_microphone, decode_snake_microphone
from duologue_google.reading import UNREADABLE, from_base64, read
from duologue_google.turns import blocks_of, messages_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from duologue.types import Message
    from duologue.wire import Frame

    from duologue_google.content import Content, FunctionResponse

LONGEST_HISTORY = 4096
"""Messages of a history that are kept, the newest."""

_USED = ("model", "systemInstruction", "tools", "sessionResumption", "realtimeInputConfig", "historyConfig")
"""Keys of a setup that `SetUp` has fields for."""


class Requests:
    """Turns the client's frames into commands.

    A client that announces its history sends it after it was accepted, so that acceptance is said here (`greets`)
    and the `SetUp` waits for the history.

    Attributes:
        greets: the client is to be told that its setup was taken.
        greeted: it has been.
        replying: the model has begun a turn that it has not ended; told by the other half.
        wants_handles: it asked for resumption.
        wants_activity: it asked to be told of the user's speech.
        wants_input_text: it asked for what the user says in writing.
        wants_output_text: the same for the model.
    """

    def __init__(self) -> None:
        self.greets = self.greeted = False
        self.replying = False
        self.wants_handles = self.wants_activity = self.wants_input_text = self.wants_output_text = False
        self._setup: SetUp | None = None
        self._told: list[Message] = []
        self._set_up = False
        self._manual = False
        self._cuts = True
        self._heard = False
        self._active = False

    def decode(self, frame: Frame, names: MutableMapping[str, str]) -> tuple[list[ClientCommand], str | None]:
        """Return a frame's commands, and what is wrong with it; `names` are the functions of the open calls.

        Calls that it answers are taken out of them.
        """
        if self._set_up and self._setup is None:
            block = _microphone(frame)
            if block is not None:
                return self._hear(block), None
        reading = read(frame, wire.ClientMessage)
        commands = list(self._commands(reading.message, names))
        if reading.faults:
            return commands, f"Request contains an invalid argument: {reading.faults[0]}"
        if not self._set_up:
            return commands, "setup must be the first message"
        if not reading.keys or (reading.unknown and reading.message == wire.ClientMessage()):
            return commands, "Request contains an invalid argument: no known message"
        return commands, None

    def _commands(self, message: wire.ClientMessage, names: MutableMapping[str, str]) -> Iterator[ClientCommand]:
        if message.setup is not None and not self._set_up:
            yield from self._begin(message.setup)
        if not self._set_up:
            return
        if self._setup is not None and message.client_content is not None:
            yield from self._remember(message.client_content)
            return
        if self._setup is not None and message.setup is None:
            yield from self._start()  # it announced a history and has none
        if message.client_content is not None:
            yield from self._content(message.client_content)
        if message.realtime_input is not None:
            yield from self._input(message.realtime_input)
        for response in (message.tool_response.function_responses or ()) if message.tool_response else ():
            yield from self._result(response, names)
        if message.context_update is not None:
            update = message.context_update
            system = None if update.system_instruction is None else text_of(update.system_instruction)
            yield UpdateSession(system, None if update.tools is None else tools_of(update.tools.tools))

    # -- setup ----------------------------------------------------------------------------------------

    def _begin(self, setup: wire.Setup) -> Iterator[ClientCommand]:
        self._set_up = True
        self.wants_handles = setup.session_resumption is not None
        self.wants_activity = bool(setup.explicit_vad_signal)
        self.wants_input_text = setup.input_audio_transcription is not None
        self.wants_output_text = setup.output_audio_transcription is not None
        detection = _detection(setup.realtime_input_config)
        if detection is not None:
            self._manual, self._cuts = detection.mode == "manual", detection.interrupt
        made = _set_up(setup, detection)
        if setup.history_config is not None and setup.history_config.initial_history_in_client_content:
            self._setup, self.greets, self.greeted = made, True, True
        else:
            yield made

    def _remember(self, content: wire.ClientContent) -> Iterator[ClientCommand]:
        self._told = [*self._told, *messages_of(content.turns or ())][-LONGEST_HISTORY:]
        if content.turn_complete:
            yield from self._start()

    def _start(self) -> Iterator[ClientCommand]:
        setup, self._setup = self._setup, None
        if setup is not None:
            yield replace(setup, history=tuple(self._told))

    # -- content --------------------------------------------------------------------------------------

    def _hear(self, block: AudioBlock) -> list[ClientCommand]:
        self._heard = True
        return [SendContent(block)]

    def _content(self, content: wire.ClientContent) -> Iterator[ClientCommand]:
        if self.replying or not (content.turns or content.turn_complete):
            self.replying = False
            yield StopReply()  # content cuts what is being generated
        for turn in content.turns or ():
            yield from self._turn(turn)
        if content.turn_complete:
            self._heard = False
            yield CommitTurn()

    def _turn(self, turn: Content) -> Iterator[ClientCommand]:
        for block in blocks_of(turn):
            yield SendContent(block)

    def _input(self, given: wire.RealtimeInput) -> Iterator[ClientCommand]:
        if given.activity_start is not None and not self._active:
            self._active = True
            if self.replying and self._cuts:
                self.replying = False
                yield StopReply()
        for blob in (given.audio, given.video, *(given.media_chunks or ())):
            block = block_of(blob) if blob is not None and blob.data else None
            if isinstance(block, AudioBlock):
                yield from self._hear(block)
            elif block is not None:
                yield SendContent(block)
        if given.text:
            yield SendContent(TextBlock(given.text))
            if not self._active:
                yield CommitTurn()
        if given.activity_end is not None and self._active:
            self._active = self._heard = False
            yield CommitTurn()
        if given.audio_stream_end and self._heard and not self._manual:
            self._heard = False
            yield CommitTurn()

    def _result(self, response: FunctionResponse, names: MutableMapping[str, str]) -> Iterator[ClientCommand]:
        if response.will_continue:
            return  # a part of a result; the whole one follows
        call_id = response.id or next((i for i, name in names.items() if name == response.name), "")
        name = response.name or names.get(call_id, "")
        names.pop(call_id, None)
        yield AnswerCall(call_id, name, content_of(response))


def _microphone(frame: Frame) -> AudioBlock | None:
    """A piece of microphone, the fast path; None for anything else."""
    try:
        blob = decode_microphone(frame).realtime_input.audio
    except UNREADABLE:
        pass
    else:
        return AudioBlock(blob.data, blob.mime_type) if _is_audio(blob.mime_type, blob.data) else None
    try:
        snake = decode_snake_microphone(frame).realtime_input.audio
        data = from_base64(snake.data)
    except UNREADABLE:
        return None
    return AudioBlock(data, snake.mime_type) if _is_audio(snake.mime_type, data) else None


def _is_audio(mime: str, data: bytes) -> bool:
    return bool(data) and mime.startswith("audio/")


def _detection(config: wire.RealtimeInputConfig | None) -> TurnDetection | None:
    if config is None:
        return None
    automatic = config.automatic_activity_detection or wire.AutomaticActivityDetection()
    return TurnDetection(
        mode="manual" if automatic.disabled else "server",
        threshold={"START_SENSITIVITY_HIGH": 0.3, "START_SENSITIVITY_LOW": 0.7}.get(
            automatic.start_of_speech_sensitivity or ""
        ),
        prefix_ms=automatic.prefix_padding_ms,
        silence_ms=automatic.silence_duration_ms,
        interrupt=config.activity_handling != "NO_INTERRUPTION",
    )


def _set_up(setup: wire.Setup, detection: TurnDetection | None) -> SetUp:
    spoken = setup.generation_config.speech_config if setup.generation_config else None
    voice = spoken.voice_config if spoken else None
    named = voice.prebuilt_voice_config.voice_name if voice and voice.prebuilt_voice_config else None
    extra: dict[str, Any] = msgspec.to_builtins(setup)
    for key in _USED:
        extra.pop(key, None)
    served = [entry for entry in setup.tools or () if not entry.function_declarations]
    if served:
        extra["tools"] = msgspec.to_builtins(served)
    return SetUp(
        model=setup.model or "",
        system=text_of(setup.system_instruction),
        tools=tools_of(setup.tools),
        voice=named or (voice.voice if voice else None),
        turn_detection=detection,
        resume=(setup.session_resumption.handle or "") if setup.session_resumption else "",
        extra=extra,
    )

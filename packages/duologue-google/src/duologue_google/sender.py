"""Sender: commands as frames, in the order and with the gaps that the model wants."""

from __future__ import annotations

import logging
from binascii import b2a_base64
from typing import TYPE_CHECKING, Literal

import msgspec
from duologue.blocks import AudioBlock, ImageBlock
from duologue.effects import AnswerCall, StopReply
from duologue.errors import UnsupportedFormat
from duologue.formats import parse_format
from duologue.wire.commands import CommitTurn, SendContent, UpdateSession

from duologue_google import client_messages as wire
from duologue_google.content import Blob
from duologue_google.functions import SCHEDULING, response_of
from duologue_google.turns import typed_turn

if TYPE_CHECKING:
    from duologue.wire import Command, Frame

    from duologue_google.exchange import Exchange
    from duologue_google.plan import SessionPlan

log = logging.getLogger(__name__)

ACTIVITY_START = '{"realtimeInput":{"activityStart":{}}}'
ACTIVITY_END = '{"realtimeInput":{"activityEnd":{}}}'
AUDIO_STREAM_END = '{"realtimeInput":{"audioStreamEnd":true}}'
STOP = '{"clientContent":{"turnComplete":false}}'
ASK = '{"clientContent":{"turnComplete":true}}'

_encode = msgspec.json.Encoder().encode


def to_frame(message: wire.ClientMessage) -> str:
    """Return a message as a text frame."""
    return _encode(message).decode()


class Sender:
    """Turns commands into frames. One per connection.

    Text waits for the end of the turn that it belongs to, or for the next sound, so that it and the question it
    comes with are one message and a reply is not cut by it. While a blocking call is open on a model that closes
    the session for it, sound and images are dropped and counted, and everything else waits for the result.
    """

    def __init__(
        self, exchange: Exchange, plan: SessionPlan, *, manual: bool, cuts: bool, resumed: bool = False
    ) -> None:
        self._exchange = exchange
        self._plan = plan
        self._manual = manual
        self._cuts = cuts
        self._resumed = resumed
        self._by_content = plan.traits.text == "content"
        self._before: dict[str, tuple[str, float]] = {}
        self._after = '"}]}}' if plan.media_chunks else '"}}}'
        self._text: list[str] = []
        self._flushed_at: int | None = None
        self._unasked = False
        self._heard = False
        self._active = False
        self._waits: list[Literal["commit", "stop"]] = []

    @property
    def settled(self) -> bool:
        """Whether all text was taken in: none waits, and since the last that asked for nothing a reply began."""
        exchange, at = self._exchange, self._flushed_at
        return not self._text and (at is None or exchange.replying or exchange.ended > at)

    def encode(self, command: Command) -> list[Frame]:
        """Turn a command into frames.

        Raises:
            UnsupportedFormat: audio that is no PCM.
        """
        if type(command) is SendContent:  # the fast path
            block = command.block
            if isinstance(block, AudioBlock):
                return self._audio(block)
            return self._image(block) if isinstance(block, ImageBlock) else self._add_text(block.text)
        match command:
            case CommitTurn():
                return self._commit()
            case StopReply():
                return self._stop()
            case AnswerCall():
                return self._answer(command)
            case UpdateSession():
                return self._update(command)
            case _:
                return []  # nothing to truncate, to note or to clear: the server keeps its own account

    def turn_ended(self) -> list[Frame]:
        """The reply is over: text that waited for that goes out."""
        return self._flush() if self._text and not self._exchange.gated else []

    def released(self) -> list[Frame]:
        """What waited for the result of a blocking call, once none is open."""
        if self._exchange.gated:
            return []
        waits, self._waits = self._waits, []
        frames: list[Frame] = []
        for what in waits:
            frames += self._commit() if what == "commit" else self._stop()
        return frames

    # -- content --------------------------------------------------------------------------------------

    def _audio(self, block: AudioBlock) -> list[Frame]:
        data = block.data
        before, byte_s = self._before.get(block.media_type) or self._prefix(block.media_type)
        if not data or (self._exchange.gated and self._exchange.drop(len(data) * byte_s)):
            return []
        frame = before + b2a_base64(data, newline=False).decode("ascii") + self._after
        self._heard = True
        if self._manual and not self._active:
            self._active = True
            return [*self._flush(), ACTIVITY_START, frame]
        if self._text and not self._exchange.replying:
            return [*self._flush(), frame]
        return [frame]

    def _prefix(self, media_type: str) -> tuple[str, float]:
        media = parse_format(media_type)
        if media.encoding != "audio/pcm":
            raise UnsupportedFormat(f"Gemini takes PCM16, not {media.encoding}: decode it first")
        rate = media.rate or self._plan.input_rate
        mime = f"audio/pcm;rate={rate}"
        kind = '"mediaChunks":[' if self._plan.media_chunks else '"audio":'
        found = f'{{"realtimeInput":{{{kind}{{"mimeType":"{mime}","data":"', 1 / (2 * rate)
        if len(self._before) < 16:  # a caller that varies the type must not fill our memory
            self._before[media_type] = found
        return found

    def _image(self, block: ImageBlock) -> list[Frame]:
        if not block.data or (self._exchange.gated and self._exchange.drop(0.0)):
            return []
        blob = Blob(mime_type=block.media_type, data=block.data)
        sent = wire.RealtimeInput(media_chunks=[blob]) if self._plan.media_chunks else wire.RealtimeInput(video=blob)
        return [to_frame(wire.ClientMessage(realtime_input=sent))]

    def _add_text(self, text: str) -> list[Frame]:
        if text:
            self._text.append(text)
        return []

    def _flush(self) -> list[Frame]:
        """Send text that nobody asked a reply for."""
        if not self._text:
            return []
        self._unasked = self._by_content
        self._flushed_at = self._exchange.ended
        return [self._text_frame(complete=False)]

    def _text_frame(self, *, complete: bool) -> Frame:
        texts, self._text = self._text, []
        if not self._by_content:
            return to_frame(wire.ClientMessage(realtime_input=wire.RealtimeInput(text="\n".join(texts))))
        content = wire.ClientContent(turns=[typed_turn(texts)], turn_complete=complete)
        return to_frame(wire.ClientMessage(client_content=content))

    # -- turns ----------------------------------------------------------------------------------------

    def _commit(self) -> list[Frame]:
        active, self._active = self._active, False
        if self._exchange.gated:
            if "commit" not in self._waits and (self._text or not active):
                self._waits.append("commit")  # one question asks for all that waits
            return [ACTIVITY_END] if active else []  # the end of an activity is never held back
        if self._text:
            self._exchange.own_cut = self._exchange.replying
        if not self._exchange.replying:
            self._exchange.muted = False  # the reply that was stopped never began: what comes now answers this
        frames = self._manual_end(active) if self._manual else self._automatic_end()
        self._unasked = self._heard = False
        return frames

    def _manual_end(self, active: bool) -> list[Frame]:
        if active:
            return [*self._flush(), ACTIVITY_END]
        if not self._by_content:
            return [ACTIVITY_START, self._text_frame(complete=True), ACTIVITY_END] if self._text else []
        return [self._text_frame(complete=True) if self._text else ASK]

    def _automatic_end(self) -> list[Frame]:
        if self._text:
            return [self._text_frame(complete=True)]
        if self._by_content and (self._unasked or not self._heard):
            return [ASK]
        return [AUDIO_STREAM_END] if self._heard else []

    def _stop(self) -> list[Frame]:
        exchange = self._exchange
        if exchange.gated:
            self._waits += (
                () if "stop" in self._waits else ("stop",)
            )  # the model is silent; what it makes of the result is what is not wanted
            return []
        if self._manual and self._cuts:
            if self._active:
                return []  # the beginning of the activity cut it
            self._active = exchange.own_cut = True
            return [ACTIVITY_START]
        if self._by_content:
            exchange.own_cut = True
            return [STOP]
        exchange.muted = True  # nothing in this model's protocol stops it: the rest is not passed on
        return []

    # -- calls and changes ----------------------------------------------------------------------------

    def _answer(self, command: AnswerCall) -> list[Frame]:
        exchange, call_id = self._exchange, command.tool_use_id
        if exchange.was_withdrawn(call_id):
            return []
        name = exchange.answered(call_id)
        if name is None and not self._resumed:
            log.error("Gemini waits for no call %r of tool %r: its result is not sent", call_id, command.name)
            return []
        name = name or command.name  # a call of the session that was taken up again
        delivery = self._plan.delivery.get(name, "now")
        scheduling = SCHEDULING[delivery] if self._plan.traits.scheduling and not exchange.blocks(name) else None
        if scheduling == "INTERRUPT":
            exchange.own_cut = exchange.replying
        sent_id = None if call_id in exchange.invented else call_id
        exchange.invented.discard(call_id)
        response = response_of(sent_id, name, command.content, scheduling)
        answer = wire.ClientMessage(tool_response=wire.ToolResponse(function_responses=[response]))
        return [to_frame(answer), *self.released()]

    def _update(self, command: UpdateSession) -> list[Frame]:
        if command.turn_detection is not None:
            log.warning("Gemini takes no new turn detection in a running session: connect again for that")
        update = self._plan.update(command.system, command.tools)
        if command.tools is not None:
            for tool in command.tools:
                if tool.blocking is not None:
                    self._exchange.blocking[tool.name] = tool.blocking
        if update == wire.ContextUpdate():
            return []
        if not self._plan.traits.context_update:
            log.warning(
                "%s changes nothing in a running session: it holds from the next connection on", self._plan.model
            )
            return []
        return [to_frame(wire.ClientMessage(context_update=update))]

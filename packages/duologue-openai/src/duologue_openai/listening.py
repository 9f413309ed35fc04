"""Listener: what the server says, as events of ours; all but the speech itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from duologue.errors import DuologueError, RemoteProtocolError
from duologue.events import (
    Error,
    Event,
    Interrupted,
    Problem,
    ProviderEvent,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCancelled,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.types import StopReason, Usage

from duologue_openai import reply_events as r
from duologue_openai import server_events as s
from duologue_openai.call_items import CallItems
from duologue_openai.faults import EXPIRED, expired, problem, refusal
from duologue_openai.plan import PROVIDER
from duologue_openai.requests import BUSY
from duologue_openai.response_object import ResponseObject
from duologue_openai.utterances import Utterances

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from duologue.wire import Frame

    from duologue_openai.client_events import ClientEvent
    from duologue_openai.items import Item
    from duologue_openai.requests import Requests
    from duologue_openai.server_events import ServerEvent

MARK = "duologue"
"""The key in a reply's metadata by which our out-of-band requests are told apart."""

KINDS = frozenset(
    str(kind.__struct_config__.tag) for kind in getattr(s.ServerEvent, "__args__", ()) if kind.__struct_config__.tag
)

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading a frame may raise."""

REMEMBERED = 256
"""Names that are kept of what the server may never come back to."""

_NOT_ACTIVE = "response_cancel_not_active"


class Listener:
    """The receiving half of a connection.

    Attributes:
        requests: what is to be sent because of what was heard; whoever sends it clears it.
        asides: ids of replies of ours that the conversation never hears of.
    """

    def __init__(self, gate: Requests, about: MutableMapping[str, str], *, transcribes: bool) -> None:
        self.requests: list[ClientEvent] = []
        self._gate = gate
        self._about = about
        self._transcribes = transcribes
        self._stands = False
        self._session = ("", "")
        self._utterances = Utterances()
        self._calls = CallItems()
        self._spoken: dict[str, None] = {}
        self._marks: dict[str, None] = {}
        self.asides: set[str] = set()

    def asked_aside(self, config: Mapping[str, Any]) -> None:
        """An out-of-band reply was asked for."""
        mark = ((config.get("response") or {}).get("metadata") or {}).get(MARK)
        if isinstance(mark, str):
            self._marks[mark] = None
            bounded(self._marks)

    def hear(self, message: ServerEvent, frame: Frame) -> list[Event]:
        """Turn a message into events; `frame` is what it was read from."""
        try:
            if (self.asides or self._marks) and (told := self._of_aside(message, frame)) is not None:
                return told
            return self._events(message, frame)
        except DuologueError as exc:
            return [Problem(exc)]
        except UNREADABLE as exc:  # in a part that only the verbatim reading looks at
            return [self.malformed(str(exc))]

    def malformed(self, why: str) -> Event:
        """A frame can't be read."""
        message = f"{PROVIDER} sent a frame that can't be read ({why}); the rest of it was skipped"
        return Problem(RemoteProtocolError(message, provider=PROVIDER))

    def unreadable(self, frame: Frame, exc: Exception) -> list[Event]:
        """A frame is of no known kind, or not as that kind is; the end of a reply counts all the same."""
        try:
            whole = msgspec.json.decode(frame)
        except UNREADABLE:
            whole = None
        kind = whole.get("type") if isinstance(whole, dict) else None
        if not isinstance(kind, str):
            return [self.malformed("it names no type" if isinstance(whole, dict) else str(exc))]
        if kind not in KINDS:
            return [ProviderEvent(PROVIDER, kind, whole)]
        events = [self.malformed(str(exc))]
        if kind == "response.done" and isinstance(whole, dict):
            response = whole.get("response")
            response_id = response.get("id") if isinstance(response, dict) else None
            if isinstance(response_id, str) and response_id not in self.asides:
                status = response.get("status") if isinstance(response, dict) else None
                events += self._done(
                    ResponseObject(id=response_id, status=status if isinstance(status, str) else "failed")
                )
        return events

    # -- one message ----------------------------------------------------------------------------------

    def _events(self, message: ServerEvent, frame: Frame) -> list[Event]:
        match message:
            case r.AudioDelta():
                return []  # the codec's own business
            case r.SpokenDelta():
                return [self._utterances.say("assistant", message.item_id, message.delta, message.response_id)]
            case r.SpokenDone():
                return self._utterances.end("assistant", message.item_id, message.transcript, message.response_id)
            case r.WrittenDelta():
                return [TextDelta(message.content_index, message.delta, message.response_id, message.item_id)]
            case s.HeardDelta():
                return [self._utterances.say("user", message.item_id, message.delta or "")]
            case s.HeardCompleted():
                return self._utterances.end("user", message.item_id, message.transcript)
            case s.HeardFailed():
                ended = self._utterances.end("user", message.item_id, "")
                return [*ended, Problem(problem(message.error, "the user's transcript"))]
            case s.UserBegan():
                self._spoken[message.item_id] = None
                bounded(self._spoken)
                self.requests += self._gate.user_began()
                return [SpeechStarted(message.item_id)]  # audio_start_ms counts the audio sent, not the session's time
            case s.UserEnded():
                return [SpeechStopped(message.item_id)]
            case s.InputCommitted():
                return self._committed(message)
            case s.InputCleared():
                self.requests += self._gate.user_gone()
                return [_verbatim(message, frame)]
            case r.OutputItemAdded():
                return self._calling(message.item, message.response_id or "", message.output_index, frame, done=False)
            case r.OutputItemDone():
                return self._calling(message.item, message.response_id or "", message.output_index, frame, done=True)
            case r.ArgumentsDelta():
                return self._calls.fragment(message.item_id, message.delta)
            case r.ResponseCreated():
                self.requests += self._gate.created(message.response.id)
                return [_verbatim(message, frame)]
            case r.ResponseDone():
                return self._done(message.response)
            case s.ItemAdded() | s.ItemDone() | s.ItemCreated():
                self._gate.confirmed(message.item.id or "")
                remote = (message.item.type or "").startswith("mcp_")
                return [_verbatim(message, frame)] if remote else []
            case s.ErrorEvent():
                return self._fault(message.error)
            case s.SessionCreated():
                self._session = (message.session.id or "", message.session.model or "")
                return []
            case s.SessionUpdated():
                return self._updated(message, frame)
            case r.AudioDone() | r.WrittenDone() | r.ArgumentsDone() | r.PartAdded() | r.PartDone():
                return []  # said elsewhere
            case _:
                return [_verbatim(message, frame)]

    def _updated(self, message: s.SessionUpdated, frame: Frame) -> list[Event]:
        told: list[Event] = [_verbatim(message, frame)]
        if self._stands:
            return told
        self._stands = True
        session_id, model = self._session
        session = message.session
        return [SessionStarted(session_id or session.id or "", model or session.model or ""), *told]

    def _committed(self, message: s.InputCommitted) -> list[Event]:
        if message.item_id in self._spoken:
            del self._spoken[message.item_id]
            return []
        # Nobody said when this speech began: a first, empty piece places it before the reply to it.
        return [TranscriptDelta("user", "", item_id=message.item_id)] if self._transcribes else []

    def _calling(self, item: Item, response_id: str, index: int, frame: Frame, *, done: bool) -> list[Event]:
        if item.type != "function_call":
            remote = done and item.type.startswith("mcp_")
            return [ProviderEvent(PROVIDER, "response.output_item.done", msgspec.json.decode(frame))] if remote else []
        events = (self._calls.done if done else self._calls.added)(index, item, response_id)
        for event in events:
            if isinstance(event, ToolUseStart | ToolUseEnd):
                if isinstance(event, ToolUseStart):
                    self._gate.called(event.tool_use_id, response_id)
            elif isinstance(event, ToolCancelled):
                self._gate.withdrawn(event.tool_use_id)
        return events

    def _done(self, response: ResponseObject) -> list[Event]:
        events = self._utterances.end_reply(response.id)
        for event in self._calls.reply_over(response.id):
            if isinstance(event, ToolCancelled):
                self._gate.withdrawn(event.tool_use_id)
            events.append(event)
        details = response.status_details or {}
        match response.status:
            case "completed":
                called = any(item.type == "function_call" for item in response.output or ())
                reason = StopReason.tool_use if called else StopReason.end_turn
            case "cancelled":
                events.append(Interrupted(response.id))
                reason = StopReason.interrupted
            case "incomplete":
                limit = details.get("reason") == "max_output_tokens"
                reason = StopReason.max_tokens if limit else StopReason.refusal
            case _:
                reason = StopReason.error
                events.append(Problem(problem(_fault_of(details), "a reply")))
        events.append(TurnComplete(reason, _usage(response.usage), response.id))
        self.requests += self._gate.done(response.id)
        return events

    # -- errors ---------------------------------------------------------------------------------------

    def _fault(self, fault: s.Fault) -> list[Event]:
        event_id = fault.event_id or ""
        about = self._about.pop(event_id, "")
        code = fault.code or fault.type or ""
        if code == EXPIRED:
            return [Error(expired(fault))]
        if not self._stands and about in ("", "setup"):
            return [Error(refusal(fault, "the session's settings" if about else ""))]
        if about == "create":
            if code == BUSY:
                self._gate.busy(event_id)
                return []
            self.requests += self._gate.refused(event_id)
        if about == "cancel" and code == _NOT_ACTIVE:
            return []  # it crossed the end of the reply
        return [Problem(problem(fault, f"our {about}" if about else ""))]

    # -- out-of-band replies --------------------------------------------------------------------------

    def _of_aside(self, message: ServerEvent, frame: Frame) -> list[Event] | None:
        """The events of a reply that the conversation never hears of: told verbatim, all of them."""
        if isinstance(message, r.ResponseCreated):
            mark = (message.response.metadata or {}).get(MARK)
            if not isinstance(mark, str) or mark not in self._marks:
                return None
            del self._marks[mark]
            self.asides.add(message.response.id)
        elif isinstance(message, r.ResponseDone):
            if message.response.id not in self.asides:
                return None
            self.asides.discard(message.response.id)
        elif getattr(message, "response_id", None) not in self.asides:
            return None
        return [_verbatim(message, frame)]


def bounded(kept: dict[str, Any], most: int = REMEMBERED) -> None:
    """Let go of the oldest."""
    while len(kept) > most:
        del kept[next(iter(kept))]


def _verbatim(message: ServerEvent, frame: Frame) -> ProviderEvent:
    return ProviderEvent(PROVIDER, str(message.__struct_config__.tag), msgspec.json.decode(frame))


def _fault_of(details: Mapping[str, Any]) -> s.Fault:
    try:
        return msgspec.convert(details.get("error") or {}, s.Fault)
    except msgspec.ValidationError:
        return s.Fault(message=str(details.get("error")))


def _usage(usage: Mapping[str, Any] | None) -> Usage | None:
    if not usage:
        return None
    counts = [usage.get(key) for key in ("input_tokens", "output_tokens")]
    taken, made = (count if isinstance(count, int) else 0 for count in counts)
    return Usage(taken, made, usage)

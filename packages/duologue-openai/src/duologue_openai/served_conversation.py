"""ServedConversation: the items and replies of a session as a server keeps them. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from duologue.events import SpeechStarted, SpeechStopped, ToolInputDelta, ToolUseEnd, ToolUseStart, TranscriptDelta

from duologue_openai import server_events as s
from duologue_openai.items import Item, Part
from duologue_openai.listening import bounded
from duologue_openai.response_object import ResponseConfig
from duologue_openai.served_reply import ServedItem, ServedReply

if TYPE_CHECKING:
    from duologue.types import Usage

    from duologue_openai.server_message import Server

REMEMBERED = 1024
"""Items and finished replies that are kept."""


class ServedConversation:
    """What has been said, and what is being said.

    Attributes:
        items: the items, in order.
        active: the reply of the default conversation that is being made.
        spoken: the model has been heard.
    """

    def __init__(self) -> None:
        self.items: OrderedDict[str, ServedItem] = OrderedDict()
        self.active: ServedReply | None = None
        self.spoken = False
        self.calls: dict[str, str] = {}
        """Calls that wait for their output, with their name."""
        self._numbers = 0
        self._asked: deque[ServedReply] = deque()
        self._unnamed: ServedReply | None = None
        self._replies: OrderedDict[str, ServedReply] = OrderedDict()
        self._call_items: dict[str, tuple[ServedReply, str]] = {}
        self._output_items: dict[tuple[str, str, str], str] = {}
        self._heard: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._unheard: deque[str] = deque(maxlen=REMEMBERED)
        self._utterance = ""

    def name(self, kind: str) -> str:
        """Make an id."""
        self._numbers += 1
        return f"{kind}_{self._numbers}"

    # -- items ----------------------------------------------------------------------------------------

    def add(self, served: ServedItem) -> str | None:
        """Put an item at the end; return the id of the one before it."""
        before = next(reversed(self.items), None)
        self.items[served.item.id or ""] = served
        if len(self.items) > REMEMBERED:
            self.items.popitem(last=False)
        return before

    def added(self, served: ServedItem) -> list[Server]:
        """Put an item at the end and tell it, whole."""
        before = self.add(served)
        served.closed = True
        return [
            s.ItemAdded(item=served.item, previous_item_id=before),
            s.ItemDone(item=served.item, previous_item_id=before),
        ]

    def commit(self, item_id: str) -> list[Server]:
        """The user's audio becomes an item."""
        before = next(reversed(self.items), None)
        item = Item(
            type="message",
            id=item_id,
            object="realtime.item",
            status="completed",
            role="user",
            content=[Part(type="input_audio")],
        )
        return [s.InputCommitted(item_id=item_id, previous_item_id=before), *self.added(ServedItem(item))]

    def commit_typed(self) -> list[Server]:
        """The client itself ends the user's audio."""
        item_id = self.name("item")
        self._unheard.append(item_id)
        return self.commit(item_id)

    def speech(self, event: SpeechStarted | SpeechStopped, audio_ms: int) -> list[Server]:
        """The user begins or ends."""
        if isinstance(event, SpeechStarted):
            item_id = self._utterance = self.name("item")
            if event.item_id:
                self._heard[event.item_id] = item_id
                bounded(self._heard, REMEMBERED)
            else:
                self._unheard.append(item_id)
            return [s.UserBegan(item_id=item_id, audio_start_ms=audio_ms)]
        item_id, self._utterance = self._utterance or self.name("item"), ""
        return [s.UserEnded(item_id=item_id, audio_end_ms=audio_ms), *self.commit(item_id)]

    def heard(self, event: TranscriptDelta) -> list[Server]:
        """Words of the user."""
        item_id = self._heard.get(event.item_id, "") if event.item_id else (self._unheard[0] if self._unheard else "")
        if not item_id:
            item_id = self._unheard.popleft() if self._unheard else self.name("item")
            self._heard[event.item_id] = item_id
            bounded(self._heard, REMEMBERED)
        text = self._texts[item_id] = self._texts.get(item_id, "") + event.delta
        bounded(self._texts, REMEMBERED)
        said: list[Server] = [s.HeardDelta(item_id=item_id, delta=event.delta)] if event.delta else []
        if event.final:
            del self._texts[item_id]
            if not event.item_id and self._unheard and self._unheard[0] == item_id:
                self._unheard.popleft()
            said.append(s.HeardCompleted(item_id=item_id, transcript=text))
            served = self.items.get(item_id)
            if served is not None and served.item.content:
                served.item.content[0].transcript = text
        return said

    # -- replies --------------------------------------------------------------------------------------

    def ask(self, config: ResponseConfig) -> tuple[ServedReply, list[Server]]:
        """The client wants a reply: it has begun, though nothing of it is there yet."""
        reply = self._new(self.name("resp"), config)
        if not reply.aside:
            self._asked.append(reply)
        return reply, reply.begin()

    def reply(self, response_id: str, said: list[Any], *, item_id: str = "") -> ServedReply | None:
        """The reply that output belongs to; a new one begins in `said`. None where it is over."""
        reply = self._replies.get(response_id) if response_id else self.active
        if reply is None:
            if self._asked:
                reply = self._asked.popleft()
            elif self._unnamed is not None and not self._unnamed.over:
                reply, self._unnamed = self._unnamed, None
            else:
                reply = self._new(response_id or self.name("resp"), ResponseConfig())
                said += reply.begin()
                self._unnamed = None if response_id else reply
            if response_id:
                self._remember(response_id, reply)
        return None if reply.over else reply

    def output_item(self, reply: ServedReply, item_id: str, part: str) -> str:
        """The wire's id of an output item: the given one, if it is free."""
        key = (reply.id, item_id, part if not item_id else "")
        known = self._output_items.get(key)
        if known is None:
            taken = not item_id or item_id in self.items
            known = self._output_items[key] = self.name("item") if taken else item_id
        self.spoken = self.spoken or part == "audio"
        return known

    def call(self, event: ToolUseStart | ToolInputDelta | ToolUseEnd) -> list[Server]:
        """A piece of a call, of the reply that is being made."""
        said: list[Any] = []
        call_id = event.tool_use_id
        if isinstance(event, ToolUseStart):
            reply = self.reply("", said)
            if reply is not None and call_id not in self._call_items:
                item_id = self.name("item")
                self._call_items[call_id] = (reply, item_id)
                said += reply.call(item_id, call_id, event.name)
            return said
        if call_id not in self._call_items:
            return []
        reply, item_id = self._call_items[call_id]
        if reply.over:
            return []
        if isinstance(event, ToolInputDelta):
            return reply.arguments(item_id, event.partial_json)
        del self._call_items[call_id]
        self.calls[call_id] = reply.items[item_id].item.name or ""
        bounded(self.calls, REMEMBERED)
        return reply.close(item_id)

    def cut(self, response_id: str) -> list[Server]:
        """A reply was cut: it is done at once, though its last words may trail in."""
        reply = self._replies.get(response_id) if response_id else self.active
        if reply is None and self._asked:
            reply = self._asked.popleft()
            self._remember(response_id, reply)
        if reply is None or reply.over:
            return []
        reason = "client_cancelled" if reply.stopped else "turn_detected"
        return self.end(reply, "cancelled", {"reason": reason}, None)

    def end(self, reply: ServedReply, status: str, details: dict[str, Any], usage: Usage | None) -> list[Server]:
        """A reply is over."""
        if self.active is reply:
            self.active = None
        if reply in self._asked:
            self._asked.remove(reply)
        self._call_items = {k: v for k, v in self._call_items.items() if v[0] is not reply}
        self._output_items = {k: v for k, v in self._output_items.items() if k[0] != reply.id}
        return reply.end(status, details, usage)

    def _new(self, response_id: str, config: ResponseConfig) -> ServedReply:
        reply = ServedReply(response_id, config, self.add)
        self._remember(response_id, reply)
        if not reply.aside:
            self.active = reply
        return reply

    def _remember(self, response_id: str, reply: ServedReply) -> None:
        self._replies[response_id] = reply
        if len(self._replies) > REMEMBERED:
            self._replies.popitem(last=False)

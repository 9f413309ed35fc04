"""ServedReply: a reply as a server tells it, from `response.created` to `response.done`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duologue_openai import reply_events as r
from duologue_openai import server_events as s
from duologue_openai.items import Item, Part
from duologue_openai.response_object import ResponseConfig, ResponseObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.types import Usage

    from duologue_openai.server_message import Server


@dataclass(slots=True)
class ServedItem:
    """An item of the conversation.

    Attributes:
        item: as it is told.
        audio_bytes: of the assistant's speech in it.
        index: its place in its reply.
        part: what its content is: "audio", "text", or "" as long as there is none.
        closed: it is whole.
    """

    item: Item
    audio_bytes: int = 0
    index: int = 0
    part: str = ""
    text: str = ""
    closed: bool = False


@dataclass(slots=True)
class ServedReply:
    """One reply; its methods return what to say.

    Attributes:
        id: the wire's id of it.
        config: what it was asked for with.
        add: puts an item into the conversation, and returns the id of the one before it.
        stopped: the client cancelled it.
        over: it is done.
    """

    id: str
    config: ResponseConfig
    add: Callable[[ServedItem], str | None]
    stopped: bool = False
    over: bool = False
    items: dict[str, ServedItem] = field(default_factory=dict)
    before: dict[str, str | None] = field(default_factory=dict)

    @property
    def aside(self) -> bool:
        """Whether the conversation never hears of it."""
        return self.config.conversation == "none"

    def begin(self) -> list[Server]:
        """`response.created`."""
        return [r.ResponseCreated(response=self._object("in_progress"))]

    def message(self, item_id: str, part: str) -> tuple[ServedItem, list[Server]]:
        """The message item of that id, opened where it is new."""
        said: list[Server] = []
        served = self.items.get(item_id)
        if served is None:
            item = Item(
                type="message", id=item_id, object="realtime.item", status="in_progress", role="assistant", content=[]
            )
            served, said = self._open(item)
        if not served.part:
            served.part = part
            first = Part(type="audio", transcript="") if part == "audio" else Part(type="text", text="")
            said.append(r.PartAdded(response_id=self.id, item_id=item_id, output_index=served.index, part=first))
        return served, said

    def audio(self, item_id: str, data: bytes) -> list[Server]:
        """Speech."""
        served, said = self.message(item_id, "audio")
        served.audio_bytes += len(data)
        delta = r.AudioDelta(response_id=self.id, item_id=item_id, output_index=served.index, delta=data)
        return [*said, delta]

    def text(self, item_id: str, delta: str, part: str) -> list[Server]:
        """Words, spoken ("audio") or written ("text")."""
        served, said = self.message(item_id, part)
        served.text += delta
        if not delta:
            return said
        kind = r.SpokenDelta if served.part == "audio" else r.WrittenDelta
        return [*said, kind(response_id=self.id, item_id=item_id, output_index=served.index, delta=delta)]

    def call(self, item_id: str, call_id: str, name: str) -> list[Server]:
        """A call begins."""
        item = Item(
            type="function_call",
            id=item_id,
            object="realtime.item",
            status="in_progress",
            name=name,
            call_id=call_id,
            arguments="",
        )
        return self._open(item)[1]

    def arguments(self, item_id: str, delta: str) -> list[Server]:
        """More of a call's arguments."""
        served = self.items[item_id]
        served.text += delta
        call_id = served.item.call_id
        return [
            r.ArgumentsDelta(
                response_id=self.id, item_id=item_id, output_index=served.index, call_id=call_id, delta=delta
            )
        ]

    def close(self, item_id: str, status: str = "completed") -> list[Server]:
        """An item is whole, or will never be."""
        served = self.items[item_id]
        if served.closed:
            return []
        served.closed = True
        item, said = served.item, list[Any]()
        where: dict[str, Any] = {"response_id": self.id, "item_id": item_id, "output_index": served.index}
        item.status = status
        if item.type == "function_call":
            item.arguments = served.text
            done = r.ArgumentsDone(**where, call_id=item.call_id, name=item.name, arguments=served.text)
            said += [done] if status == "completed" else []
        elif served.part == "audio":
            item.content = [Part(type="output_audio", transcript=served.text)]
            said += [r.AudioDone(**where), r.SpokenDone(**where, transcript=served.text)]
            said += [r.PartDone(**where, part=Part(type="audio", transcript=served.text))]
        elif served.part == "text":
            item.content = [Part(type="output_text", text=served.text)]
            said += [r.WrittenDone(**where, text=served.text)]
            said += [r.PartDone(**where, part=Part(type="text", text=served.text))]
        said.append(r.OutputItemDone(response_id=self.id, output_index=served.index, item=item))
        if not self.aside:
            said.append(s.ItemDone(item=item, previous_item_id=self.before[item_id]))
        return said

    def end(self, status: str, details: dict[str, Any], usage: Usage | None) -> list[Server]:
        """`response.done`, with whatever is still open closed before it."""
        self.over = True
        rest = "completed" if status == "completed" else "incomplete"
        said = [event for item_id in list(self.items) for event in self.close(item_id, rest)]
        done = self._object(status)
        done.status_details = {"type": status, **details}
        done.output = [served.item for served in self.items.values()]
        if usage is not None:
            total = usage.input_tokens + usage.output_tokens
            counted = {"total_tokens": total, "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
            done.usage = {**usage.details, **counted}
        return [*said, r.ResponseDone(response=done)]

    def _open(self, item: Item) -> tuple[ServedItem, list[Server]]:
        item_id = item.id or ""
        served = self.items[item_id] = ServedItem(item, index=len(self.items))
        said: list[Server] = [r.OutputItemAdded(response_id=self.id, output_index=served.index, item=item)]
        self.before[item_id] = None
        if not self.aside:
            self.before[item_id] = self.add(served)
            said.append(s.ItemAdded(item=item, previous_item_id=self.before[item_id]))
        return served, said

    def _object(self, status: str) -> ResponseObject:
        return ResponseObject(
            id=self.id,
            object="realtime.response",
            status=status,
            output=[],
            conversation_id=None if self.aside else "conv_1",
            output_modalities=self.config.output_modalities,
            metadata=self.config.metadata,
        )

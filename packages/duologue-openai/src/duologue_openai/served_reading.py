"""Reading: what a client of OpenAI Realtime says, as commands, with what it is answered at once. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
from duologue.blocks import AudioBlock, ImageBlock, TextBlock
from duologue.effects import AnswerCall, StopReply, Truncate
from duologue.types import CallRecord, Message
from duologue.wire import (
    AddMessage,
    ClearInput,
    ClientCommand,
    CommitTurn,
    Frame,
    ProviderCommand,
    SendContent,
    UpdateSession,
)

from duologue_openai import client_events as c
from duologue_openai import server_events as s
from duologue_openai.listening import UNREADABLE, bounded
from duologue_openai.plan import PCM
from duologue_openai.requests import BUSY
from duologue_openai.response_object import ResponseConfig
from duologue_openai.served_conversation import REMEMBERED
from duologue_openai.served_reply import ServedItem
from duologue_openai.served_session import Refused
from duologue_openai.speaking import MIN_COMMIT_MS

if TYPE_CHECKING:
    from duologue_openai.items import Item
    from duologue_openai.served_conversation import ServedConversation
    from duologue_openai.served_session import ServedSession
    from duologue_openai.server_message import Server

_decode = msgspec.json.Decoder(c.ClientEvent).decode

LONGEST_ID = 512
LONGEST_ITEM_ID = 32
LARGEST_APPEND = 15 << 20

KINDS = {str(kind.__struct_config__.tag) for kind in getattr(c.ClientEvent, "__args__", ())}


class Reading:
    """The receiving half of a server's connection.

    Attributes:
        audio_ms: how much audio the client has sent.
    """

    def __init__(self, session: ServedSession, conversation: ServedConversation) -> None:
        self._session = session
        self._conversation = conversation
        self._bytes = 0
        self._uncommitted = 0
        self._format = session.format("input")
        self._bytes_per_ms = 48
        self._past_calls: dict[str, CallRecord] = {}

    @property
    def audio_ms(self) -> int:
        """How much audio the client has sent."""
        return self._bytes // self._bytes_per_ms

    def read(self, frame: Frame) -> tuple[list[ClientCommand], list[Server]]:
        """Turn an event of the client into commands and answers."""
        said: list[Server] = []
        event_id: str | None = None
        try:
            try:
                event = _decode(frame)
            except UNREADABLE as exc:
                event_id = _id_in(frame)
                raise _unreadable(frame, exc) from None
            if type(event) is c.InputAppend:
                return [self._append(event)], said
            event_id = _checked_id(event.event_id)
            return self._event(event, frame, said), said
        except Refused as exc:
            exc.fault.event_id = event_id
            return [], [s.ErrorEvent(error=exc.fault)]

    def _append(self, event: c.InputAppend) -> ClientCommand:
        data = event.audio
        if len(data) > LARGEST_APPEND:
            raise Refused("invalid_value", "At most 15 MiB of audio fit into an event.", "audio")
        if self._format == PCM and len(data) % 2:
            raise Refused("invalid_value", "PCM16 has two bytes for each sample.", "audio")
        self._bytes += len(data)
        self._uncommitted += len(data)
        return SendContent(AudioBlock(data, self._format))

    def _event(self, event: c.ClientEvent, frame: Frame, said: list[Server]) -> list[ClientCommand]:
        conversation = self._conversation
        match event:
            case c.SessionUpdate():
                return self._update(frame, said)
            case c.InputAppend():
                return [self._append(event)]
            case c.InputCommit():
                self._commit(said)
                return []
            case c.InputClear():
                self._uncommitted = 0
                said.append(s.InputCleared())
                return [ClearInput()]
            case c.ItemCreate():
                return self._create(event, said)
            case c.ItemRetrieve():
                said.append(s.ItemRetrieved(item=self._item(event.item_id, "retrieve").item))
                return []
            case c.ItemDelete():
                self._item(event.item_id, "delete")
                del conversation.items[event.item_id]
                said.append(s.ItemDeleted(item_id=event.item_id))
                return [ProviderCommand("conversation.item.delete", {"item_id": event.item_id})]
            case c.ItemTruncate():
                return self._truncate(event, said)
            case c.ResponseCreate():
                return self._ask(event.response or ResponseConfig(), said)
            case c.ResponseCancel():
                active = conversation.active
                if active is None or (event.response_id or active.id) != active.id:
                    raise Refused("response_cancel_not_active", "Cancellation failed: no active response found")
                active.stopped = True
                return [StopReply()]
            case c.OutputClear():
                raise Refused("invalid_value", "The output buffer is the client's own over a WebSocket.", "type")

    # -- the session ----------------------------------------------------------------------------------

    def _update(self, frame: Frame, said: list[Server]) -> list[ClientCommand]:
        try:
            change = msgspec.json.decode(frame)["session"]
        except UNREADABLE as exc:  # in a part that the first reading skipped
            raise Refused("invalid_json", f"That is no JSON: {exc}") from None
        session = self._session
        session.update(change, spoken=self._conversation.spoken)
        self._format = session.format("input")
        self._bytes_per_ms = 48 if self._format == PCM else 8
        said.append(s.SessionUpdated(session=session.object))
        detects = "turn_detection" in ((change.get("audio") or {}).get("input") or {})
        return [
            UpdateSession(
                change.get("instructions"),
                session.tools if change.get("tools") is not None else None,
                session.detection if detects else None,
            ),
            ProviderCommand("session.update", {"session": change}),
        ]

    # -- the user's side ------------------------------------------------------------------------------

    def _commit(self, said: list[Server]) -> None:
        ms = self._uncommitted / self._bytes_per_ms
        if ms < MIN_COMMIT_MS:
            raise Refused(
                "input_audio_buffer_commit_empty",
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
                f"but buffer only has {ms:.2f}ms of audio.",
            )
        self._uncommitted = 0
        said += self._conversation.commit_typed()

    def _create(self, event: c.ItemCreate, said: list[Server]) -> list[ClientCommand]:
        item, conversation = event.item, self._conversation
        if item.id is not None and (len(item.id) > LONGEST_ITEM_ID or item.id in conversation.items):
            why = "is taken" if item.id in conversation.items else f"has more than {LONGEST_ITEM_ID} characters"
            raise Refused("invalid_value", f"The item id '{item.id}' {why}.", "item.id")
        after = event.previous_item_id
        if after not in (None, "root") and after not in conversation.items:
            raise Refused("invalid_value", f"There is no item '{after}' to put this one behind.", "previous_item_id")
        commands = self._meaning(item)
        item.id = item.id or conversation.name("item")
        item.object, item.status = "realtime.item", "completed"
        for part in item.content or ():
            part.audio = None  # nobody is told again what a client sent
        said += conversation.added(ServedItem(item))
        return commands

    def _meaning(self, item: Item) -> list[ClientCommand]:
        call_id = item.call_id or ""
        match item.type:
            case "message" if item.role == "user":
                return [SendContent(block) for block in _blocks(item)]
            case "message" if item.role in ("assistant", "system"):
                text = " ".join(part.text or part.transcript or "" for part in item.content or ())
                return [AddMessage(Message("assistant" if item.role == "assistant" else "user", text))]
            case "function_call_output":
                output = item.output or ""
                if call_id in self._past_calls:
                    call = replace(self._past_calls.pop(call_id), result=output)
                    return [AddMessage(Message("assistant", "", calls=(call,)))]
                name = self._conversation.calls.pop(call_id, None)
                if name is None:
                    raise Refused("invalid_value", f"No call '{call_id}' waits for an output.", "item.call_id")
                return [AnswerCall(call_id, name, output)]
            case "function_call":
                try:
                    arguments = msgspec.json.decode(item.arguments or "{}", type=dict[str, Any])
                except msgspec.MsgspecError:
                    raise Refused("invalid_value", "The arguments are no JSON object.", "item.arguments") from None
                self._past_calls[call_id] = CallRecord(call_id, item.name or "", arguments)
                bounded(self._past_calls, REMEMBERED)
                return []
            case "mcp_approval_response":
                return [ProviderCommand("conversation.item.create", {"item": msgspec.to_builtins(item)})]
            case _:
                raise Refused("invalid_value", f"An item of type '{item.type}' can't be made.", "item.type")

    def _item(self, item_id: str, what: str) -> ServedItem:
        served = self._conversation.items.get(item_id)
        if served is None:
            raise Refused(
                f"item_{what}_invalid_item_id", f"Error: the item with id '{item_id}' does not exist.", "item_id"
            )
        return served

    def _truncate(self, event: c.ItemTruncate, said: list[Server]) -> list[ClientCommand]:
        served = self._item(event.item_id, "truncate")
        per_ms = 48 if self._session.format("output") == PCM else 8
        ms = served.audio_bytes // per_ms
        if served.item.role != "assistant" or served.part != "audio":
            raise Refused(
                "unsupported_content_type", "Only model output audio messages can be truncated.", "content_index"
            )
        if event.audio_end_ms > ms:
            raise Refused(
                "invalid_value",
                f"Audio content of {ms}ms is already shorter than {event.audio_end_ms}ms",
                "audio_end_ms",
            )
        served.audio_bytes = event.audio_end_ms * per_ms
        for part in served.item.content or ():
            part.transcript = None  # the server can't tell which words go
        said.append(
            s.ItemTruncated(item_id=event.item_id, content_index=event.content_index, audio_end_ms=event.audio_end_ms)
        )
        return [Truncate(event.item_id, event.audio_end_ms)]

    # -- replies --------------------------------------------------------------------------------------

    def _ask(self, config: ResponseConfig, said: list[Server]) -> list[ClientCommand]:
        conversation = self._conversation
        aside = config.conversation == "none"
        if not aside and conversation.active is not None:
            raise Refused(
                BUSY,
                f"Conversation already has an active response in progress: {conversation.active.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        reply, begun = conversation.ask(config)
        said += begun
        data = {"response": msgspec.to_builtins(config), "response_id": reply.id}
        told: list[ClientCommand] = [ProviderCommand("response.create", data)] if config != ResponseConfig() else []
        return told if aside else [*told, CommitTurn()]


def _blocks(item: Item) -> list[TextBlock | AudioBlock | ImageBlock]:
    blocks: list[TextBlock | AudioBlock | ImageBlock] = []
    for part in item.content or ():
        if part.type == "input_text":
            blocks.append(TextBlock(part.text or ""))
        elif part.type == "input_audio":
            blocks.append(AudioBlock(part.audio or b"", PCM))
        elif part.type == "input_image":
            blocks.append(_image(part.image_url or ""))
        else:
            raise Refused("invalid_value", f"A user has no content of type '{part.type}'.", "item.content")
    return blocks


def _image(url: str) -> ImageBlock:
    head, _, data = url.partition(",")
    media_type = head.removeprefix("data:").removesuffix(";base64")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        raise Refused("invalid_value", "An image is a data: URL in base64.", "item.content.image_url")
    try:
        return ImageBlock(base64.b64decode(data, validate=True), media_type)
    except binascii.Error:
        raise Refused("invalid_value", "The image is no base64.", "item.content.image_url") from None


def _checked_id(event_id: str | None) -> str | None:
    if event_id is not None and len(event_id) > LONGEST_ID:
        raise Refused("invalid_event_id", f"An event_id has at most {LONGEST_ID} characters.", "event_id")
    return event_id


def _id_in(frame: Frame) -> str | None:
    try:
        found = msgspec.json.decode(frame)["event_id"]
    except (*UNREADABLE, LookupError, TypeError):
        return None
    return found if isinstance(found, str) and len(found) <= LONGEST_ID else None


def _unreadable(frame: Frame, exc: Exception) -> Refused:
    try:
        whole = msgspec.json.decode(frame)
    except UNREADABLE:
        return Refused("invalid_json", f"That is no JSON: {exc}")
    kind = whole.get("type") if isinstance(whole, dict) else None
    if not isinstance(kind, str):
        return Refused("missing_required_parameter", "Missing required parameter: 'type'.", "type")
    if kind not in KINDS:
        known = ", ".join(f"'{name}'" for name in sorted(KINDS))
        return Refused("invalid_value", f"Invalid value: '{kind}'. Supported values are: {known}.", "type")
    missing = "missing" in str(exc)
    return Refused("missing_required_parameter" if missing else "invalid_value", str(exc))

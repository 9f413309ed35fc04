"""Speaking: commands as client events. Pure."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec
from duologue.blocks import AudioBlock, ImageBlock, TextBlock
from duologue.errors import ConfigurationError, UnsupportedFormat

from duologue_openai.client_events import Client, ClientEvent
from duologue_openai.items import Item, Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duologue.effects import AnswerCall
    from duologue.types import Message

MIN_COMMIT_MS = 100
"""The provider makes no item of less audio."""

_encode = msgspec.json.Encoder().encode


def frame(event: Client) -> str:
    """A client event as a text frame."""
    return _encode(event).decode()


def content_item(block: TextBlock | ImageBlock, item_id: str) -> Item:
    """Text or a picture of the user's side."""
    if isinstance(block, TextBlock):
        part = Part(type="input_text", text=block.text)
    else:
        part = Part(type="input_image", image_url=f"data:{block.media_type};base64,{b64encode(block.data).decode()}")
    return Item(type="message", id=item_id, role="user", content=[part])


def result_items(answer: AnswerCall, name: str) -> list[Item]:
    """The result of a call, which is text; pictures of it follow as the user's.

    Raises:
        UnsupportedFormat: it holds audio.
    """
    if isinstance(answer.content, str):
        text, images = answer.content, []
    else:
        if any(isinstance(block, AudioBlock) for block in answer.content):
            raise UnsupportedFormat("openai takes no audio as the result of a call", provider="openai")
        text = " ".join(block.text for block in answer.content if isinstance(block, TextBlock))
        images = [block for block in answer.content if isinstance(block, ImageBlock)]
    output = Item(type="function_call_output", id=name, call_id=answer.tool_use_id, output=text)
    return [output, *(content_item(image, f"{name}_{number}") for number, image in enumerate(images, 1))]


def history_items(history: Sequence[Message]) -> list[Item]:
    """What was said before, as items. A call without a result is left out: the result comes as text."""
    items: list[Item] = []
    for message in history:
        if message.text:
            kind = "input_text" if message.role == "user" else "output_text"
            items.append(Item(type="message", role=message.role, content=[Part(type=kind, text=message.text)]))
        for call in message.calls:
            if call.result is None:
                continue
            arguments = _encode(dict(call.input)).decode()
            items.append(Item(type="function_call", call_id=call.id, name=call.name, arguments=arguments))
            items.append(Item(type="function_call_output", call_id=call.id, output=call.result))
    return items


def raw_event(kind: str, data: Mapping[str, Any], event_id: str) -> str:
    """A client event that the application wrote itself.

    Raises:
        ConfigurationError: the protocol has no such event, or not like this.
    """
    try:
        event = msgspec.convert({**data, "type": kind, "event_id": event_id}, ClientEvent)
    except msgspec.ValidationError as exc:
        raise ConfigurationError(f"openai has no such event: {exc}", provider="openai") from None
    del event  # it is checked; what goes out is what was written, settings newer than this package included
    return _encode({**data, "type": kind, "event_id": event_id}).decode()

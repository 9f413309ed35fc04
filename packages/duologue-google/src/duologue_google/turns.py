"""Turns: the history as Gemini's contents, and contents as blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.blocks import TextBlock
from duologue.types import Message
from duologue.wire import as_told

from duologue_google.content import Content, Part
from duologue_google.functions import block_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duologue.blocks import ContentBlock


def contents_of(history: Iterable[Message]) -> list[Content]:
    """Return messages as contents, those of one side in a row as one.

    Calls are told in words: a call id means nothing to another connection.
    """
    found: list[Content] = []
    for message in history:
        text = as_told(message)
        role = "model" if message.role == "assistant" else "user"
        if not text:
            continue
        if found and found[-1].role == role:
            found[-1].parts = [*(found[-1].parts or ()), Part(text=text)]
        else:
            found.append(Content(role=role, parts=[Part(text=text)]))
    return found


def typed_turn(texts: Sequence[str]) -> Content:
    """One turn of the user."""
    return Content(role="user", parts=[Part(text=text) for text in texts])


def messages_of(contents: Iterable[Content]) -> tuple[Message, ...]:
    """Return contents as messages; what is no text is left out."""
    found = []
    for content in contents:
        text = "\n".join(part.text for part in content.parts or () if part.text and not part.thought)
        if text:
            found.append(Message("assistant" if content.role == "model" else "user", text))
    return tuple(found)


def blocks_of(content: Content) -> list[ContentBlock]:
    """Return a turn that a client added as blocks; the model's side is said to be that."""
    found: list[ContentBlock] = []
    for part in content.parts or ():
        if part.text:
            found.append(TextBlock(f"[assistant] {part.text}" if content.role == "model" else part.text))
        elif part.inline_data is not None and (block := block_of(part.inline_data)) is not None:
            found.append(block)
    return found


def text_of(content: Content | None) -> str:
    """Return the text of a content."""
    return "\n".join(part.text for part in (content.parts or () if content else ()) if part.text)

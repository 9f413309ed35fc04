"""Hot: the shape of most messages, decoded in one step; whatever differs from it is read with care instead."""

from __future__ import annotations

import msgspec


class HotBlob(msgspec.Struct, rename="camel", gc=False):
    """Both fields have to be there, in camelCase, with base64 of the standard alphabet."""

    mime_type: str
    data: bytes


class HotPart(msgspec.Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    """A part that is sound and nothing else."""

    inline_data: HotBlob


class HotTurn(msgspec.Struct, gc=False):
    """The model's turn."""

    parts: list[HotPart]


class HotTranscription(msgspec.Struct, gc=False):
    """What it says in it."""

    text: str
    finished: bool = False


class HotContent(msgspec.Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    """Sound, perhaps with its text."""

    model_turn: HotTurn
    output_transcription: HotTranscription | None = None


class HotMessage(msgspec.Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    """A message that carries speech and no news."""

    server_content: HotContent


decode_speech = msgspec.json.Decoder(HotMessage).decode


class HotInput(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A piece of microphone."""

    audio: HotBlob


class HotClientMessage(msgspec.Struct, rename="camel", gc=False, forbid_unknown_fields=True):
    """The same from a client."""

    realtime_input: HotInput


decode_microphone = msgspec.json.Decoder(HotClientMessage).decode


class SnakeBlob(msgspec.Struct, gc=False):
    """As google-genai writes it: snake_case; the base64 is URL-safe, which the decoder doesn't know."""

    mime_type: str
    data: str


class SnakeInput(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A piece of microphone."""

    audio: SnakeBlob


class SnakeClientMessage(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A piece of microphone as google-genai sends it."""

    realtime_input: SnakeInput


decode_snake_microphone = msgspec.json.Decoder(SnakeClientMessage).decode

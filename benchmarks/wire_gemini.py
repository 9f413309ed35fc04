"""What Gemini Live costs on the wire: this transport, a bare loop, and google-genai's own client, on one server.

Run: `uv run --group clients python benchmarks/wire_gemini.py [MEASURE]`, where MEASURE is a part of a row's name.
Prints a table and writes `benchmarks/results/wire_gemini.json`. Needs the extra `duologue[fast]`.

google-genai speaks TLS only. To compare clients and not TLS, its socket is opened without; nothing else of it is
changed.
"""

from __future__ import annotations

import json
import sys
from binascii import b2a_base64
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

import msgspec
import wire_kit
from duologue_google import GeminiLiveTransport
from duologue_google.hot import decode_microphone, decode_speech
from duologue_google.server_codec import SPEECH as SPEECH_HEAD
from websockets.asyncio.client import connect
from wire_kit import MICROPHONE, SPEECH, Agent, Bare, Provider, compare, report
from wire_peer import NUMBER, Script

if TYPE_CHECKING:
    from wire_peer import Frame

MODEL = "gemini-3.8-live"
SETUP = json.dumps({"setup": {"model": f"models/{MODEL}", "generationConfig": {"responseModalities": ["AUDIO"]}}})
ANSWER = '{"toolResponse":{"functionResponses":[{"id":"%s","name":"answer","response":{"output":"42"}}]}}'
STOP = '{"clientContent":{"turnComplete":false}}'


def audio() -> bytes:
    """Speech as Google sends it: JSON in a binary frame."""
    data = b2a_base64(SPEECH, newline=False)
    return SPEECH_HEAD + b'"audio/pcm;rate=24000","data":"' + data + b'"}}]}}}'


def speech(frame: Frame) -> bytes | None:
    try:
        return decode_speech(frame).server_content.model_turn.parts[0].inline_data.data
    except msgspec.MsgspecError:
        return None


def chunk(pcm: bytes) -> str:
    data = b2a_base64(pcm, newline=False).decode()
    return f'{{"realtimeInput":{{"audio":{{"mimeType":"{MICROPHONE}","data":"{data}"}}}}}}'


def answer(frame: Frame) -> str | None:
    message = msgspec.json.decode(frame)
    if "toolCall" in message:
        return ANSWER.replace("%s", message["toolCall"]["functionCalls"][0]["id"])
    return STOP if "voiceActivity" in message else None


GEMINI = Provider(
    script=Script(
        welcome=(b'{"setupComplete":{}}',),
        audio=audio(),
        call=(f'{{"toolCall":{{"functionCalls":[{{"id":"call-{NUMBER}","name":"answer","args":{{}}}}]}}}}'.encode(),),
        result=b'"42"',  # some write a space behind the colon
        speech=(audio(), b'{"voiceActivity":{"type":"ACTIVITY_START"}}'),
        stop=b"false",
        stopped=(b'{"serverContent":{"interrupted":true}}', b'{"serverContent":{"turnComplete":true}}'),
    ),
    hello=(SETUP,),
    speech=speech,
    chunk=chunk,
    answer=answer,
    transport=lambda url: GeminiLiveTransport(base_url=url, model=MODEL),
)


class Genai:
    """Google's own client."""

    def __init__(self, provider: Provider, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Self:
        from google import genai
        from google.genai import types

        def plain(uri: str, **options: Any) -> Any:
            options.pop("ssl", None)
            return connect(uri.replace("wss://", "ws://"), **options)

        options = types.HttpOptions(
            base_url=self._url.replace("ws://", "https://"),
            async_client_args={"ping_interval": None, "proxy": None, "compression": None, "max_size": None},
        )
        client = genai.Client(api_key="a-key", http_options=options)
        self._stack = AsyncExitStack()
        config: Any = {"response_modalities": ["AUDIO"]}
        with mock.patch("google.genai.live.ws_connect", plain):
            self._live = await self._stack.enter_async_context(client.aio.live.connect(model=MODEL, config=config))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def hear(self, count: int) -> int:
        total = 0
        while True:
            async for message in self._live.receive():
                pcm = message.data
                if pcm:
                    total += len(pcm)
                    count -= 1
                    if not count:
                        return total

    async def say(self, pcm: bytes) -> None:
        from google.genai import types

        await self._live.send_realtime_input(audio=types.Blob(data=pcm, mime_type=MICROPHONE))

    async def serve(self) -> None:
        while True:
            async for message in self._live.receive():
                if message.tool_call:
                    for call in message.tool_call.function_calls or ():
                        response: Any = {"id": call.id, "name": call.name, "response": {"output": "42"}}
                        await self._live.send_tool_response(function_responses=response)
                elif message.voice_activity:
                    await self._live.send_client_content(turns=None, turn_complete=False)


def main(only: str = "") -> None:
    wire_kit.CLIENTS.update(
        {
            "bare websockets": (Bare, False),
            "agent, websockets": (Agent, False),
            "agent, picows": (Agent, True),
            "google-genai": (Genai, False),
        }
    )
    assert decode_microphone(chunk(SPEECH)).realtime_input.audio.data == SPEECH
    report(compare(GEMINI, only), "wire_gemini")


if __name__ == "__main__":
    main(*sys.argv[1:])

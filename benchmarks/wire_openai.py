"""What OpenAI Realtime costs: the whole agent, beside a bare loop and the official client.

Run: `uv run --group clients python benchmarks/wire_openai.py [MEASURE]`, where MEASURE is a part of a row's name.
Prints a table and writes `benchmarks/results/wire_openai.json`. Needs the extra `duologue[fast]`.
"""

from __future__ import annotations

import base64
import sys
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any, Self

import msgspec
from duologue_openai import OpenAIRealtimeTransport
from duologue_openai import reply_events as r
from duologue_openai import server_events as s
from duologue_openai.items import Item
from duologue_openai.response_object import ResponseObject
from duologue_openai.session_object import SessionObject
from wire_kit import CLIENTS, SPEECH, Provider, compare, report
from wire_peer import NUMBER, Frame, Script

if TYPE_CHECKING:
    from duologue_openai.server_message import Server as Message

_decode = msgspec.json.Decoder(s.ServerEvent).decode
_encode = msgspec.json.encode


def frame(message: Message) -> str:
    message.event_id = "event_CfxYb8Hq2nJt0aVdKe3Rw"
    return _encode(message).decode()


def response(status: str) -> ResponseObject:
    return ResponseObject(id=f"resp_{NUMBER}", object="realtime.response", status=status, output=[])


def audio(response_id: str) -> str:
    item_id = f"item_Cf-{response_id}"
    return frame(r.AudioDelta(response_id=response_id, item_id=item_id, delta=SPEECH))


def call(status: str) -> Item:
    item = Item(type="function_call", status=status, name="answer", arguments="{}")
    item.id, item.call_id = f"item_{NUMBER}", f"call_{NUMBER}"
    return item


def speech(frame: Frame) -> bytes | None:
    message = _decode(frame)
    return message.delta if type(message) is r.AudioDelta else None


def chunk(pcm: bytes) -> str:
    return f'{{"type":"input_audio_buffer.append","audio":"{b2a_base64(pcm, newline=False).decode()}"}}'


def answer(frame: Frame) -> str | None:
    message = _decode(frame)
    if type(message) is r.OutputItemDone:
        item = {"type": "function_call_output", "call_id": message.item.call_id, "output": "42"}
        return _encode({"type": "conversation.item.create", "item": item}).decode()
    return '{"type":"response.cancel"}' if type(message) is s.UserBegan else None


SESSION = SessionObject(type="realtime", id="sess_1", model="gpt-realtime")
ROUND = f"resp_{NUMBER}"

OPENAI = Provider(
    script=Script(
        welcome=(frame(s.SessionCreated(session=SESSION)), frame(s.SessionUpdated(session=SESSION))),
        audio=audio("resp_CfxYb8Hq2nJt0aVdKe3Rw"),
        call=(
            frame(r.ResponseCreated(response=response("in_progress"))),
            frame(r.OutputItemAdded(response_id=ROUND, item=call("in_progress"))),
            frame(r.OutputItemDone(response_id=ROUND, item=call("completed"))),
            frame(r.ResponseDone(response=response("completed"))),
        ),
        result=b"function_call_output",
        speech=(
            frame(r.ResponseCreated(response=response("in_progress"))),
            audio(ROUND),
            frame(s.UserBegan(item_id=f"user_{NUMBER}")),
        ),
        stop=b"response.cancel",
        stopped=(frame(r.ResponseDone(response=response("cancelled"))),),
    ),
    hello=('{"type":"session.update","session":{"type":"realtime","instructions":"You are brief."}}',),
    speech=speech,
    chunk=chunk,
    answer=answer,
    microphone="audio/pcm;rate=24000",
    transport=lambda url: OpenAIRealtimeTransport("sk-benchmark", base_url=url),
)


class Official:
    """The official client, as its documentation uses it."""

    def __init__(self, provider: Provider, url: str) -> None:
        from openai import AsyncOpenAI

        self._manager = AsyncOpenAI(api_key="sk-benchmark", websocket_base_url=f"{url}/v1").realtime.connect(
            model="gpt-realtime"
        )

    async def __aenter__(self) -> Self:
        self._connection: Any = await self._manager.enter()
        await self._connection.session.update(session={"type": "realtime", "instructions": "You are brief."})
        for _ in OPENAI.script.welcome:
            await self._connection.recv()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def hear(self, count: int) -> int:
        total = 0
        async for event in self._connection:
            if event.type == "response.output_audio.delta":
                total += len(base64.b64decode(event.delta))
                count -= 1
                if not count:
                    break
        return total

    async def say(self, pcm: bytes) -> None:
        await self._connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def serve(self) -> None:
        async for event in self._connection:
            if event.type == "response.output_item.done":
                item = {"type": "function_call_output", "call_id": event.item.call_id, "output": "42"}
                await self._connection.conversation.item.create(item=item)
            elif event.type == "input_audio_buffer.speech_started":
                await self._connection.response.cancel()


def main(only: str = "") -> None:
    CLIENTS["openai client"] = (Official, False)
    report(compare(OPENAI, only), "wire_openai")


if __name__ == "__main__":
    main(*sys.argv[1:])

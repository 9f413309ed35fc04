"""A model of few rules, for any provider's wire server: it answers, calls a tool, listens."""

from __future__ import annotations

import struct
import threading

from duologue.blocks import AudioBlock, TextBlock
from duologue.effects import AnswerCall
from duologue.events import (
    AudioOutputDelta,
    SpeechStarted,
    SpeechStopped,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.testing import Peer
from duologue.types import StopReason
from duologue.wire import CommitTurn, SendContent

PIECE = struct.pack("<h", 1000) * 960

CALLS = {
    "weather": ("get_weather", '{"city": "Tokyo"}'),
    "15 * 23": ("calculator", '{"expression": "15 * 23"}'),
}


class Brain:
    """What is said to it, whatever connection it comes on.

    Args:
        asked_again: the client asks for the reply to a result (OpenAI); else a result is answered at once.
    """

    def __init__(self, *, asked_again: bool) -> None:
        self.asked_again = asked_again
        self.heard = 0
        self.listened = threading.Event()
        """Set with each piece of audio: the server has a thread of its own."""
        self.texts: list[str] = []
        self.results: list[str] = []
        self.spoken = 0

    async def __call__(self, peer: Peer) -> None:
        """Talk on one connection."""
        asked, result, speaking = "", "", False
        while True:
            command = await peer.next()
            match command:
                case SendContent(block=TextBlock(text=text)):
                    asked, result = text, ""
                    self.texts.append(text)
                case SendContent(block=AudioBlock(data=data)):
                    self.heard += len(data)
                    self.listened.set()
                    if any(data) and not speaking:
                        speaking = True
                        await peer.send(SpeechStarted())
                    elif not any(data) and speaking:
                        speaking = False
                        await peer.send(SpeechStopped(), TranscriptDelta("user", "Good morning.", final=True))
                        await self._say(peer, "Hello to you.")
                case CommitTurn():
                    await self._reply(peer, asked, result)
                case AnswerCall():
                    result = str(command.content)
                    self.results.append(result)
                    if not self.asked_again:
                        await self._reply(peer, asked, result)
                case _:
                    pass

    async def _reply(self, peer: Peer, asked: str, result: str) -> None:
        wanted = next((call for word, call in CALLS.items() if word in asked), None)
        if wanted is None or result:
            await self._say(peer, f"It is {result}." if result else "Four.")
            return
        name, arguments = wanted
        call_id = f"call-{len(self.results) + 1}"
        await peer.send(
            ToolUseStart(0, call_id, name),
            ToolInputDelta(0, call_id, arguments),
            ToolUseEnd(0, call_id),
            TurnComplete(StopReason.tool_use, response_id=f"r-{self.spoken}-{call_id}"),
        )

    async def _say(self, peer: Peer, text: str) -> None:
        self.spoken += 1
        response, item = f"response-{self.spoken}", f"item-{self.spoken}"
        await peer.send(
            TranscriptDelta("assistant", text, item_id=item, response_id=response),
            AudioOutputDelta(PIECE, response_id=response, item_id=item),
            TranscriptDelta("assistant", "", final=True, item_id=item, response_id=response),
            TurnComplete(StopReason.end_turn, response_id=response),
        )

"""StandIn: a model of few rules behind a `WireServer`, that remembers everything it was told.

It speaks when a turn is committed or, unless the client ends turns itself, when the user falls silent. What it says
depends on the last thing it was told:

- `call NAME {"json": 1}`: it calls that tool, or several of them line by line, and then tells of the results;
- `story N`: it tells a story of N words;
- anything else: it says that back.

Each word lasts 80 ms and is two pieces of audio in which every sample is the number of the piece, so that a test can
tell which pieces were lost or came twice.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duologue.blocks import AudioBlock, ImageBlock, TextBlock
from duologue.effects import AnswerCall, StopReply
from duologue.events import (
    AudioOutputDelta,
    GoingAway,
    Interrupted,
    SpeechStarted,
    SpeechStopped,
    ToolInputDelta,
    ToolUseEnd,
    ToolUseStart,
    TranscriptDelta,
    TurnComplete,
)
from duologue.tasks import TaskSet
from duologue.transport import TurnDetection
from duologue.types import StopReason, Usage
from duologue.wire.commands import AddMessage, ClearInput, CommitTurn, SendContent, UpdateSession
from duologue.wire.microphone_buffer import is_loud
from duologue.wire.telling import as_told

if TYPE_CHECKING:
    from duologue.testing.peer import Peer

PIECE_SAMPLES = 960
"""40 ms at 24 kHz."""

SILENCE_BLOCKS = 10
"""So many quiet blocks end the user's speech."""

ASSISTANT = "[assistant] "
"""How server codecs mark what a client adds to the model's side of a running session."""


@dataclass
class Memory:
    """What a session of the model knows.

    Attributes:
        said: who said what: ("user" | "assistant" | "result", text).
        heard: the user's utterances, as PCM16.
        open_calls: calls that wait for their answer, with the tool's name.
    """

    said: list[tuple[str, str]] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    open_calls: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Memory:
        """A memory of its own with the same in it."""
        return Memory(list(self.said), list(self.heard), dict(self.open_calls))


@dataclass
class StandIn:
    """The brain of a `WireServer`, with one memory for each session.

    Attributes:
        pace: seconds a word takes; 0 is as fast as the socket.
        life: seconds a connection lives, None for ever; then it is closed with `end`.
        notice: seconds before that the client is told.
        end: close code and reason of a connection whose life is over.
        resumable: handles are issued after each reply.
        withdraws: while a reply is made, the handle is taken back.
        tells_results: the last result of its calls makes it speak; else the client asks for that.
        memories: the memory of each connection, in order.
        answers: every answer to a call that came, with the connection it came on.
    """

    pace: float = 0.0
    life: float | None = None
    notice: float = 50.0
    end: tuple[int, str] = (1011, "deadline expired")
    resumable: bool = True
    withdraws: bool = True
    tells_results: bool = True
    memories: list[Memory] = field(default_factory=list)
    answers: list[tuple[int, AnswerCall]] = field(default_factory=list)
    _snapshots: dict[str, Memory] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _pieces: itertools.count[int] = field(default_factory=itertools.count)

    async def __call__(self, peer: Peer) -> None:
        """Talk on one connection until the client leaves."""
        await _Talk(self, peer).run()

    @property
    def memory(self) -> Memory:
        """The memory of the newest connection."""
        return self.memories[-1]

    def take_up(self, peer: Peer) -> Memory:
        """The memory a connection starts with."""
        known = self._snapshots.get(peer.setup.resume)
        memory = known.copy() if known is not None else Memory()
        memory.said += [(message.role, message.text) for message in peer.setup.history]
        self.memories.append(memory)
        return memory

    def knows(self, handle: str) -> bool:
        """Whether a handle was issued."""
        return handle in self._snapshots

    def number(self) -> int:
        """The next number of a reply, a call or a handle."""
        return next(self._numbers)

    def piece(self) -> bytes:
        """The next piece of audio."""
        return struct.pack("<h", next(self._pieces) % 32000 + 1) * PIECE_SAMPLES

    def snapshot(self, memory: Memory) -> str:
        """Issue a handle for a memory."""
        handle = f"handle-{self.number()}"
        self._snapshots[handle] = memory.copy()
        return handle


class _Talk:
    """One connection's conversation."""

    def __init__(self, model: StandIn, peer: Peer) -> None:
        self._model = model
        self._peer = peer
        self._memory = model.take_up(peer)
        self._tasks = TaskSet()
        self._reply: asyncio.Task[None] | None = None
        self._response = ""
        self._asked = _question(self._memory)
        self._typed = False
        self._utterance = bytearray()
        self._quiet_blocks = 0
        self._speaking = False
        self._follow(peer.setup.turn_detection or TurnDetection())

    def _follow(self, detection: TurnDetection) -> None:
        self._manual = detection.mode == "manual"
        self._interrupts = detection.interrupt
        self._answers = detection.create_response

    async def run(self) -> None:
        peer, model = self._peer, self._model
        if peer.setup.resume and not model.knows(peer.setup.resume):
            await peer.close(1008, "session not found")
            return
        if not peer.accepted:
            await peer.accept()
        if model.life is not None:
            self._tasks.start(self._age(model.life), "age")
        try:
            while True:
                await self._take(await peer.next())
        finally:
            await self._tasks.stop(1.0)

    async def _age(self, life: float) -> None:
        await asyncio.sleep(max(0.0, life - self._model.notice))
        await self._peer.send(GoingAway(min(life, self._model.notice)))
        await asyncio.sleep(min(life, self._model.notice))
        await self._peer.close(*self._model.end)

    async def _take(self, command: object) -> None:
        match command:
            case SendContent(block=TextBlock(text=text)) if text.startswith(ASSISTANT):
                self._memory.said.append(("assistant", text.removeprefix(ASSISTANT)))
                self._asked = _question(self._memory)
            case SendContent(block=TextBlock(text=text)):
                self._memory.said.append(("user", text))
                self._asked, self._typed = text, True
            case SendContent(block=ImageBlock()):
                self._memory.said.append(("user", "[image]"))
            case SendContent(block=AudioBlock() as block):
                await self._listen(block)
            case CommitTurn():
                self._end_utterance()
                await self._start_reply()
            case StopReply():
                await self._cut(told=True)
            case AnswerCall():
                self._model.answers.append((self._peer.number, command))
                if self._memory.open_calls.pop(command.tool_use_id, None) is None:
                    return  # it has its answer, or never asked
                self._memory.said.append(("result", f"{command.tool_use_id}={command.content}"))
                self._asked = f"the result is {command.content}"
                if self._model.tells_results and not self._memory.open_calls:
                    await self._start_reply()
            case ClearInput():
                self._utterance.clear()
            case UpdateSession():
                self._memory.said.append(("update", command.system or ""))
                if command.turn_detection is not None:
                    self._follow(command.turn_detection)
            case AddMessage(message=message):
                self._memory.said.append((message.role, as_told(message)))
                self._asked, self._typed = _question(self._memory), False
            case _:
                pass

    async def _listen(self, block: AudioBlock) -> None:
        if self._manual:
            self._utterance += block.data
            return
        if is_loud(block):
            self._quiet_blocks = 0
            if not self._speaking:
                self._speaking = True
                await self._peer.send(SpeechStarted())
                if self._interrupts:
                    await self._cut(told=False)
        elif self._speaking:
            self._quiet_blocks += 1
        if self._speaking:
            self._utterance += block.data
        if self._speaking and self._quiet_blocks >= SILENCE_BLOCKS:
            self._speaking = False
            await self._peer.send(SpeechStopped())
            self._end_utterance()
            if self._answers:
                await self._start_reply()

    def _end_utterance(self) -> None:
        if self._utterance:
            self._memory.heard.append(bytes(self._utterance))
            if not self._typed:
                self._asked = f"I heard {len(self._utterance)} bytes"
            self._utterance.clear()

    async def _start_reply(self) -> None:
        await self._cut(told=False)
        self._typed = False
        self._response = f"response-{self._model.number()}"
        self._reply = self._tasks.start(self._speak(self._response, self._asked), "reply")

    async def _cut(self, *, told: bool) -> None:
        reply, self._reply = self._reply, None
        if reply is None or reply.done():
            return
        reply.cancel()
        await asyncio.wait([reply])
        if not told:
            await self._peer.send(Interrupted(self._response))
        await self._peer.send(TurnComplete(StopReason.interrupted, response_id=self._response))

    async def _speak(self, response: str, asked: str) -> None:
        peer, model = self._peer, self._model
        if model.resumable and model.withdraws:
            await peer.offer("")
        calls = [line for line in asked.splitlines() if line.startswith("call ")]
        if calls:
            await self._call(calls, response)
            return
        words = asked.split()
        if words[:1] == ["story"] and words[1:2] and words[1].isdigit():
            words = [f"word{n}" for n in range(int(words[1]))]
        item = f"item-{response}"
        told = ""
        for word in words or ["hm"]:
            told += f"{word} "
            await peer.send(
                TranscriptDelta("assistant", f"{word} ", item_id=item, response_id=response),
                AudioOutputDelta(model.piece(), response_id=response, item_id=item),
                AudioOutputDelta(model.piece(), response_id=response, item_id=item),
            )
            await asyncio.sleep(model.pace)
        self._memory.said.append(("assistant", told.strip()))
        await peer.send(
            TranscriptDelta("assistant", "", final=True, item_id=item, response_id=response),
            TurnComplete(StopReason.end_turn, Usage(len(asked), len(told)), response),
        )
        await self._offer()

    async def _call(self, lines: list[str], response: str) -> None:
        peer, model = self._peer, self._model
        for index, line in enumerate(lines):
            _, name, *rest = line.split(" ", 2)
            arguments = rest[0] if rest else "{}"
            call_id = f"call-{model.number()}"
            self._memory.open_calls[call_id] = name
            half = len(arguments) // 2
            await peer.send(
                ToolUseStart(index, call_id, name),
                ToolInputDelta(index, call_id, arguments[:half]),
                ToolInputDelta(index, call_id, arguments[half:]),
                ToolUseEnd(index, call_id),
            )
            self._memory.said.append(("call", json.dumps([call_id, name])))
        await peer.send(TurnComplete(StopReason.tool_use, response_id=response))

    async def _offer(self) -> None:
        if self._model.resumable:
            await self._peer.offer(self._model.snapshot(self._memory))


def _question(memory: Memory) -> str:
    """What a memory that was told ends with: a question, or results of calls."""
    if not memory.said:
        return ""
    who, text = memory.said[-1]
    return text if who == "user" else f"so it is {len(text)} long"

"""One run of `duologue chat`: check what was asked for, connect, converse, sum up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from duologue.agent import RealtimeAgent
from duologue.discovery import get_transport
from duologue.errors import ConfigurationError, DuologueError

from duologue_cli.chat import RATE, Chat
from duologue_cli.floor import SILENCE_S
from duologue_cli.loading import Loading
from duologue_cli.outputs import ConsoleOutput, JsonOutput
from duologue_cli.recording import WavWriter
from duologue_cli.signals import stop_on_signals
from duologue_cli.speech import speak
from duologue_cli.stdin import LineReader
from duologue_cli.terminal import Terminal
from duologue_cli.toolbox import load_tools
from duologue_cli.turns import GivenTurns, Turn, TypedTurns
from duologue_cli.wav import read_wav

if TYPE_CHECKING:
    from duologue.tool import Tool
    from duologue.transport import RealtimeTransport
    from duologue.types import Message

    from duologue_cli.arguments import ChatArguments
    from duologue_cli.live import LiveChat
    from duologue_cli.outputs import Output
    from duologue_cli.turns import TurnSource

SYSTEM = "You are a friendly voice assistant. Answer in one or two short sentences."
CLOSE_S = 2.0  # running tools get this long when the conversation is over


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for, checked and ready to be carried out; `turns` is None for lines of standard input."""

    arguments: ChatArguments
    transport: RealtimeTransport
    tools: list[Tool]
    turns: list[Turn] | None
    loading: Loading = field(default_factory=Loading)

    @property
    def local(self) -> bool:
        """Whether everything stays on this machine."""
        return self.arguments.transport == "local"

    @property
    def destination(self) -> list[str]:
        """The line that says where audio goes, where it goes anywhere."""
        if self.local:
            return []
        arguments, made = self.arguments, type(self.transport)
        where = arguments.base_url or f"{made.__module__}.{made.__qualname__}"
        what = "What is typed" if arguments.text else "Audio"
        return [f"{what} goes to {where} (transport {arguments.transport!r})."]


def run_chat(arguments: ChatArguments) -> int:
    """Hold the conversation; return the exit code.

    Raises:
        ConfigurationError: something that was asked for can't be had.
        DuologueError: the conversation failed, or nothing was answered.
    """
    logging.basicConfig(stream=sys.stderr, level="DEBUG" if _debugging() else "ERROR")
    plan = prepare(arguments)
    recording = WavWriter(arguments.output, RATE) if arguments.output is not None else None
    try:
        return asyncio.run(_Run(plan, recording).converse())
    finally:
        if recording is not None:
            recording.close()


def _debugging() -> bool:
    return bool(os.environ.get("DUOLOGUE_DEBUG"))


def prepare(arguments: ChatArguments) -> Plan:
    """Check what was asked for, without starting or writing anything.

    Raises:
        ConfigurationError: it can't be had; the message names the option.
    """
    if arguments.live:
        _check_live(arguments)
    elif arguments.devices or arguments.aec is not None:
        raise ConfigurationError("--device and --aec are for a live microphone: leave out --say, --input and --text")
    if arguments.text and arguments.inputs:
        raise ConfigurationError("--text types its turns and --input speaks them: give one of the two")
    if any(not text.strip() for text in arguments.say):
        raise ConfigurationError("--say needs some text")
    if arguments.output is not None and any(_same(arguments.output, path) for path in arguments.inputs):
        raise ConfigurationError(f"--output {arguments.output} would overwrite an --input")
    turns = _turns(arguments) if arguments.say or arguments.inputs else None
    tools = load_tools(arguments.tools)
    if arguments.transport == "local" and not arguments.tools:
        from duologue_local import DEMO_TOOLS  # the demo brain is only asked what it can do

        tools = list(DEMO_TOOLS)
    options: dict[str, Any] = {} if arguments.base_url is None else {"base_url": arguments.base_url}
    if arguments.record is not None:
        if arguments.transport == "local":
            raise ConfigurationError(
                "--record captures what goes over a network, and `local` uses none: --output records what is heard"
            )
        options["capture"] = arguments.record
    loading = Loading()
    if arguments.transport == "local":
        options["on_progress"] = loading
    return Plan(arguments, get_transport(arguments.transport, **options), tools, turns, loading)


def _check_live(arguments: ChatArguments) -> None:
    from duologue_cli.live import check_canceller, device_of  # PortAudio and the rest load for a live chat only

    if arguments.barge_in is not None:
        raise ConfigurationError("--barge-in is for given turns, --say and --input: into a microphone just speak")
    device_of(arguments.devices)
    check_canceller(arguments.aec)


def _turns(arguments: ChatArguments) -> list[Turn]:
    said, files = iter(arguments.say), iter(arguments.inputs)
    order = arguments.turn_order or ("say",) * len(arguments.say) + ("inputs",) * len(arguments.inputs)
    return [Turn(next(said)) if kind == "say" else Turn(sound=read_wav(next(files))) for kind in order]


def _same(one: os.PathLike[str], other: os.PathLike[str]) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return False


class _Run:
    """Everything between the checks and the exit code."""

    def __init__(self, plan: Plan, recording: WavWriter | None) -> None:
        self._plan = plan
        self._recording = recording
        self._chat: Chat | LiveChat | None = None
        self._stopped = False
        self._stopped_by: int | None = None
        self._starting: asyncio.Task[int] | None = None
        self._terminal = Terminal()

    async def converse(self) -> int:
        self._starting = asyncio.current_task()
        with stop_on_signals(asyncio.get_running_loop(), self._stop, self._terminal.give_back):
            try:
                return await self._converse()
            except asyncio.CancelledError:
                if not self._stopped:
                    raise
                return 0 if self._stopped_by is None else 128 + self._stopped_by  # starting: nothing to sum up

    def _stop(self, number: int | None) -> None:
        self._stopped, self._stopped_by = True, number
        if self._chat is not None:
            self._chat.stop(number)
        elif self._starting is not None:
            self._starting.cancel()

    async def _converse(self) -> int:
        plan, arguments = self._plan, self._plan.arguments
        if arguments.live:
            return await self._converse_live()
        asks = plan.turns is None and sys.stdin.isatty()
        output: Output = JsonOutput() if arguments.json else ConsoleOutput(echo_typed=not asks)
        for line in plan.destination:
            output.notice(line)
        agent = RealtimeAgent(
            arguments.system or SYSTEM,
            plan.transport,
            plan.tools,
            arguments.voice,
            options={"debug_prompt": True} if plan.local and _debugging() else None,
            close_timeout=CLOSE_S,
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(agent.close)
            with plan.loading.shown(output, "Loading the local models..." if plan.local else "Connecting..."):
                async with asyncio.TaskGroup() as tasks:  # side by side this takes a second less
                    voicing = tasks.create_task(self._voiced(plan.turns), name="duologue-chat-voice")
                    await agent.connect()
                    connected_at = asyncio.get_running_loop().time()
            turns = voicing.result()
            if self._recording is not None:
                self._recording.begin()
            if asks:
                output.notice("Type a line and press Enter; Ctrl-D ends the conversation.")
            voice = turns is not None and not all(turn.typed for turn in turns)
            chat = Chat(
                agent,
                output,
                recording=self._recording,
                voice=voice,
                barge_in_s=arguments.barge_in,
                silence_s=SILENCE_S,
                began_at=connected_at,
            )
            self._chat = chat
            source: TurnSource = TypedTurns(LineReader()) if turns is None else GivenTurns(turns)
            await chat.run(source)
        return self._sum_up(chat, agent.history, output)

    async def _converse_live(self) -> int:
        from duologue_cli.live_run import LiveRun

        live = LiveRun(self._plan, self._recording, self._terminal, self._stop, self._began)
        chat, history, output = await live.converse()
        return self._sum_up(chat, history, output)

    def _began(self, chat: LiveChat) -> None:
        self._chat = chat

    async def _voiced(self, turns: list[Turn] | None) -> list[Turn] | None:
        """Speak the turns that are text and not meant to be typed."""
        if turns is None or self._plan.arguments.text:
            return turns
        sounds = iter(await speak([turn.text for turn in turns if turn.sound is None]))
        return [turn if turn.sound is not None else Turn(turn.text, next(sounds)) for turn in turns]

    def _sum_up(self, chat: Chat | LiveChat, history: tuple[Message, ...], output: Output) -> int:
        output.summary(chat.measures.summary(history))
        outcome = chat.outcome
        if outcome.stopped_by is not None:
            return 128 + outcome.stopped_by
        if isinstance(outcome.failure, DuologueError):
            raise outcome.failure
        if outcome.failure is not None:
            raise DuologueError(f"the conversation failed: {outcome.failure}") from outcome.failure
        if outcome.begun and not outcome.answered:
            raise DuologueError(f"none of the {outcome.begun} turns was answered")
        return 0

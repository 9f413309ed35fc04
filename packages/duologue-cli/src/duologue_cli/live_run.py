"""One run of the live chat: on the whole terminal, or in plain lines."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from duologue_audio import best_echo_canceller

from duologue_cli.advice import Advice, what_is_missing
from duologue_cli.live import GREETING, OFF, PROBE_RATE, LiveChat, OverheardAgent, try_devices
from duologue_cli.outputs import ConsoleOutput, JsonOutput
from duologue_cli.run import CLOSE_S, SYSTEM
from duologue_cli.terminal import is_usable

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.types import Message

    from duologue_cli.outputs import Output
    from duologue_cli.recording import WavWriter
    from duologue_cli.run import Plan
    from duologue_cli.screen import Screen
    from duologue_cli.terminal import Terminal

PRESS = "Speak, or press a key of the line below."


class LiveRun:
    """Opens the devices, connects, talks, and gives everything back.

    Args:
        plan: what was asked for.
        recording: takes both sides.
        terminal: is taken for a screen, where there is one.
        stop: ends the run, whatever it is doing.
        began: told the conversation once it can be stopped by itself.
    """

    def __init__(
        self,
        plan: Plan,
        recording: WavWriter | None,
        terminal: Terminal,
        stop: Callable[[int | None], None],
        began: Callable[[LiveChat], None],
    ) -> None:
        self._plan = plan
        self._recording = recording
        self._terminal = terminal
        self._stop = stop
        self._began = began

    async def converse(self) -> tuple[LiveChat, tuple[Message, ...], Output]:
        """Hold the conversation; return it with its history and where its end is to be shown.

        Raises:
            DuologueError: it could not begin.
        """
        arguments = self._plan.arguments
        if arguments.json or arguments.no_tui or not is_usable():
            output: Output = JsonOutput() if arguments.json else ConsoleOutput()
            return *await self._hold(output, None), output
        from duologue_cli.scene import Scene
        from duologue_cli.screen import Screen, plain  # Textual loads here and nowhere else

        scene = Scene()
        with self._terminal.taken():
            async with Screen(scene, self._title, self._stop, self._leave).shown(self._terminal) as screen:
                screen.each_paint = self._terminal.limit
                held = await self._hold(scene, screen)
        console = ConsoleOutput()
        console.show(plain(list(scene.entries), scene.left_out))
        return *held, console

    async def _hold(self, output: Output, screen: Screen | None) -> tuple[LiveChat, tuple[Message, ...]]:
        plan, arguments = self._plan, self._plan.arguments
        await try_devices(arguments.devices)
        for line in plan.destination:
            output.notice(line)
        agent = OverheardAgent(
            arguments.system or SYSTEM, plan.transport, plan.tools, arguments.voice, close_timeout=CLOSE_S
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(agent.close)
            with plan.loading.shown(output, "Loading the local models..." if plan.local else "Connecting..."):
                await agent.connect()
            advice = self._advice()
            for tip in advice.at_first():
                output.notice(tip)
            chat = LiveChat(
                agent,
                output,
                recording=self._recording,
                devices=arguments.devices,
                canceller=arguments.aec,
                advice=advice,
                greeting=GREETING if screen is None else PRESS,
            )
            self._began(chat)
            if screen is not None:
                screen.controls = chat
            await chat.run()
        return chat, agent.history

    @property
    def _title(self) -> str:
        echo = "echo not cancelled" if self._plan.arguments.aec == OFF else "echo cancelled"
        return f"{self._plan.arguments.transport}, {echo}"

    def _advice(self) -> Advice:
        cancelled = None if self._plan.arguments.aec == OFF else best_echo_canceller(PROBE_RATE) is not None
        return Advice(local=self._plan.local, echo_cancelled=cancelled, missing=what_is_missing() if cancelled else ())

    def _leave(self) -> None:
        self._terminal.give_back()
        os._exit(128 + signal.SIGINT)

"""The screen: a live conversation on a terminal, painted ten times a second from its scene. Textual loads with it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import TYPE_CHECKING, Any, ClassVar

from duologue.errors import DuologueError
from textual.app import App
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Footer, Input, Static

from duologue_cli.phase import Phase
from duologue_cli.rendering import counters_line, entry_row, entry_text, meter, microphone_remark, state_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rich.text import Text
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.events import Print

    from duologue_cli.controls import Controls
    from duologue_cli.scene import Entry, Scene
    from duologue_cli.terminal import Terminal

PAINT_S = 0.1
CLOSING_S = 3.0
BESIDE = 34  # cells of a meter's line that are not its bar


class Screen(App[None]):
    """Shows a scene and passes keys on.

    Args:
        scene: what is to be seen.
        title: what we talk to.
        stop: ends the conversation; given the signal's number, or None where somebody quits.
        leave: ends the process at once: the second Ctrl-C.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #state, #you, #agent { height: 1; }
    #talk { height: 1fr; border-top: solid $panel; border-bottom: solid $panel; scrollbar-size-vertical: 1; }
    #talk Static { height: auto; }
    #counters { height: auto; }
    #line { display: none; border: none; height: 1; padding: 0 1; }
    #line.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "mute", "mute"),
        Binding("i", "interrupt", "interrupt"),
        Binding("escape", "interrupt", show=False),
        Binding("p", "push_to_talk", "push to talk"),
        Binding("space", "talk", "talk / done"),
        Binding("t", "type", "type"),
        Binding("q", "leave", "quit"),
        Binding("ctrl+c,ctrl+q", "end", show=False, priority=True),
    ]

    def __init__(
        self,
        scene: Scene,
        title: str,
        stop: Callable[[int | None], None],
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.theme = "ansi-dark"  # the terminal's own colours and background
        self.scene = scene
        self.controls: Controls | None = None
        self.up = asyncio.Event()
        self.each_paint: Callable[[], None] = lambda: None
        """Called with each painting."""
        self._what = title
        self._stop = stop
        self._leave_at_once = leave
        self._ending = False
        self._shown: dict[str, Text] = {}
        self._widgets: dict[int, tuple[int, Static]] = {}
        self._began = time.monotonic()

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="state")
        yield Static(id="you")
        yield Static(id="agent")
        yield VerticalScroll(id="talk")
        yield Static(id="counters")
        yield Input(id="line", placeholder="type, Enter sends, Escape closes", max_length=2000)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to paint."""
        self.begin_capture_print(self)
        self.query_one("#talk", VerticalScroll).anchor()
        self.query_one("#talk").focus()
        self.paint()
        self.set_interval(PAINT_S, self.paint)
        self.up.set()

    def on_print(self, event: Print) -> None:
        """Show what a tool prints."""
        if event.text.strip():
            self.scene.notice(event.text.strip())

    # -- painting -----------------------------------------------------------------------------------------

    def paint(self) -> None:
        """Bring the terminal up to date."""
        if len(self.query("#state, #you, #agent, #talk, #counters")) < 5:
            return  # it is being taken down
        self.each_paint()
        status = self.controls.status() if self.controls is not None else None
        width = max(10, self.size.width - BESIDE)
        if status is None:
            loading = f"{self.scene.loading} {time.monotonic() - self._began:.1f} s" if self.scene.loading else ""
            self._set("#state", state_line(Phase.loading, loading or self._what, None))
            self._paint_entries(0.0)
            return
        phase = self.scene.phases.at(status.now, playing=status.playing)
        remark = microphone_remark(status)
        counters = {**status.counters, "older entries left out": self.scene.left_out}
        self._set("#state", state_line(phase, self._what, status.now))
        self._set("#you", meter("you", "cyan", status.microphone_db, width, remark))
        self._set("#agent", meter("agent", "green", status.speaker_db, width))
        self._set("#counters", counters_line(counters))
        self._paint_entries(status.now)

    def _set(self, where: str, text: Text) -> None:
        if self._shown.get(where) != text:  # or it would be laid out ten times a second
            self._shown[where] = text
            self.query_one(where, Static).update(text)

    def _paint_entries(self, now: float) -> None:
        talk = self.query_one("#talk", VerticalScroll)
        known = self._widgets
        self._widgets = {}
        for entry in self.scene.entries:
            shown = known.pop(entry.number, None)
            if shown is None:
                widget = Static(entry_row(entry, now))
                talk.mount(widget)
            else:
                widget = shown[1]
                if shown[0] != entry.version or entry.running:
                    widget.update(entry_row(entry, now))
            self._widgets[entry.number] = (entry.version, widget)
        for _, widget in known.values():
            widget.remove()

    # -- keys ---------------------------------------------------------------------------------------------

    def action_mute(self) -> None:
        """Mute the microphone, or open it again."""
        if self.controls is not None:
            self.controls.mute(not self.controls.status().muted)

    def action_interrupt(self) -> None:
        """Cut the agent short, or close the line for typing."""
        line = self.query_one("#line", Input)
        if line.has_class("open"):
            self._close_line(line)
        elif self.controls is not None:
            self.controls.interrupt()

    def action_push_to_talk(self) -> None:
        """Hear the microphone only between two presses of the space bar, or all the time again."""
        if self.controls is not None:
            self.controls.push_to_talk(not self.controls.status().push_to_talk)

    def action_talk(self) -> None:
        """Begin to talk, or be done; a terminal does not tell when a key is let go."""
        if self.controls is not None:
            status = self.controls.status()
            self.controls.talk(not status.talking)

    def action_type(self) -> None:
        """Open the line for typing."""
        line = self.query_one("#line", Input)
        line.add_class("open")
        self.screen.set_focus(line)  # now: `line.focus()` comes after keys that have been pressed already

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Say what was typed."""
        if event.value.strip() and self.controls is not None:
            self.controls.type(event.value.strip())
        self._close_line(event.input)

    def _close_line(self, line: Input) -> None:
        line.clear()
        line.remove_class("open")
        self.screen.set_focus(self.query_one("#talk"))

    def action_leave(self) -> None:
        """Quit."""
        self._stop(None)

    def action_end(self) -> None:
        """Ctrl-C: end in order, the second time at once."""
        if self._ending:
            self._leave_at_once()
        self._ending = True
        self._stop(signal.SIGINT)

    # -- life ---------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def shown(self, terminal: Terminal, **how: Any) -> AsyncIterator[Screen]:
        """Show it while the body runs; if it breaks down, the conversation is stopped.

        Raises:
            DuologueError: the screen broke down; the reason stands on standard error.
        """
        async with asyncio.TaskGroup() as tasks:
            terminal.painted = True
            factory = asyncio.get_running_loop().get_task_factory()
            painting = tasks.create_task(self.run_async(mouse=False, **how), name="duologue-chat-screen")
            up = tasks.create_task(self.up.wait(), name="duologue-chat-screen-up")
            try:
                await asyncio.wait([painting, up], return_when=asyncio.FIRST_COMPLETED)
                asyncio.get_running_loop().set_task_factory(factory)  # Textual sets its own, for everybody's tasks
                painting.add_done_callback(self._broke_down)
                yield self
            finally:
                broken = painting.done()
                painting.remove_done_callback(self._broke_down)
                up.cancel()
                self.exit()
                await asyncio.wait([painting], timeout=CLOSING_S)
                terminal.painted = not painting.done()
                painting.cancel()
        if broken:
            raise DuologueError("the screen broke down: --no-tui does without it")

    def _broke_down(self, _: asyncio.Task[None]) -> None:
        self._stop(None)


def plain(entries: list[Entry], left_out: int) -> list[Any]:
    """Return what was said, to be printed once the screen has gone."""
    from rich.text import Text

    before: list[Any] = [Text(f"({left_out} older entries)", "dim")] if left_out else []
    return [*before, *(entry_row(entry, 0.0) for entry in entries if entry_text(entry, 0.0).plain.strip())]

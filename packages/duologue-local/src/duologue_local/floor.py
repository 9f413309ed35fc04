"""Floor: the assistant's side of the turn-taking: the reply that is made or played, and the one that is owed."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duologue.errors import DuologueError, LinkError
from duologue.events import Interrupted, Problem, TurnComplete
from duologue.types import StopReason

from duologue_local.client import StageFailed
from duologue_local.reply import Marks, Reply, Speaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.tasks import TaskSet

    from duologue_local.memory import Memory
    from duologue_local.outbox import Outbox
    from duologue_local.stages import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the floor asks of its session; `rest` is told that nothing is being written."""

    request: Callable[[], Request]
    user_busy: Callable[[], bool]
    failed: Callable[[DuologueError], None]
    rest: Callable[[], None]
    grace_ms: int


class Floor:
    """Begins replies, cuts them, and tells when they are over. One reply at a time.

    A reply is owed from the user's words (or a tool's results) until it was spoken; it begins as soon as
    nothing stands in its way: the user speaks or is being understood, another reply plays, calls are open.
    """

    def __init__(
        self, outbox: Outbox, memory: Memory, speaker: Speaker, tasks: TaskSet, clock: Callable[[], float], rules: Rules
    ) -> None:
        self._outbox = outbox
        self._memory = memory
        self._speaker = speaker
        self._tasks = tasks
        self._clock = clock
        self._rules = rules
        self._count = 0
        self._reply: Reply | None = None
        self._making: asyncio.Task[None] | None = None
        self._calls: set[str] = set()
        self._unanswered: Marks | None = None
        self._owed: Marks | None = None
        self._closed = False

    # -- what is owed ---------------------------------------------------------------------------------

    def heard(self, marks: Marks, *, answer: bool) -> None:
        """The user said something; `answer` says whether that asks for a reply."""
        self._unanswered = marks
        if answer:
            self._owed = marks

    def asked(self) -> None:
        """The application asks for a reply to what was said."""
        self._owed = self._owed or self._unanswered
        if self._owed is not None:
            self._make_room()
            self.respond()

    def answered(self, tool_use_id: str) -> bool:
        """A call has its result; False where no such call waits."""
        if tool_use_id not in self._calls:
            return False
        self._calls.remove(tool_use_id)
        return True

    def respond(self, *, despite_calls: bool = True) -> None:
        """Begin the reply that is owed, unless something stands in its way; whatever that is calls again."""
        if self._closed or self._owed is None or self._rules.user_busy() or self._current is not None:
            return
        if self._calls and not despite_calls:
            return
        self._count += 1
        self._reply = Reply(f"response-{self._count}", f"reply-{self._count}", self._owed)
        self._making = self._tasks.start(self._converse(self._reply), "reply")

    # -- the current reply ----------------------------------------------------------------------------

    def playing_ms(self) -> float | None:
        """How long the current reply sounds, infinity while it does not yet, None without one."""
        if self._current is None:
            return None
        since = self._outbox.playback(self._current.response_id).since
        return math.inf if since is None else (self._clock() - since) * 1000

    def interrupt(self) -> None:
        """Cut the current reply, and owe none."""
        self._owed = self._unanswered = None
        self.cut()

    def cut(self) -> None:
        """Stop the current reply, now; nothing to stop is no error."""
        reply = self._current
        if reply is None:
            return
        self._stop_making()
        reply.over = True
        playback = self._outbox.playback(reply.response_id)
        self._memory.cut(reply.item_id, playback.heard_ms(self._clock()))
        self._outbox.drop_audio(reply.response_id)
        self._outbox.put(Interrupted(reply.response_id))
        self._complete(reply, StopReason.interrupted)
        self._rules.rest()
        if playback.since is not None:
            self._owed = self._unanswered = None  # some was heard: it is not begun again when the user only coughed

    def close(self) -> None:
        """No reply any more."""
        self._closed = True
        self._stop_making()

    @property
    def _current(self) -> Reply | None:
        return None if self._reply is None or self._reply.over else self._reply

    def _make_room(self) -> None:
        """End the current reply for one that was asked for: what only plays is complete, what is made is cut."""
        reply = self._current
        if reply is None:
            return
        if not reply.made:
            owed = self._owed
            self.cut()
            self._owed = owed
            return
        self._stop_making()
        self._complete(reply)
        reply.over = True

    async def _converse(self, reply: Reply) -> None:
        try:
            await self._speaker.make(reply, self._rules.request())
        except StageFailed as exc:
            reply.stop = StopReason.error
            self._outbox.put(Problem(exc))
        except LinkError as exc:
            self._rules.failed(exc)
            return
        reply.made = True
        self._calls |= {call.id for call in reply.calls}
        self._unanswered = None
        self._owed = reply.marks if reply.calls else None
        if not reply.calls:
            self._rules.rest()
        if reply.stop not in (StopReason.tool_use, StopReason.error):
            await self._played(reply)
        self._complete(reply)
        if self._rules.grace_ms and reply.audio_ms:
            await asyncio.sleep(self._rules.grace_ms / 1000)
        reply.over = True
        self._making = None
        self.respond(despite_calls=not reply.calls)

    async def _played(self, reply: Reply) -> None:
        await self._outbox.taken(reply.response_id)
        rest = self._outbox.playback(reply.response_id).until - self._clock()
        if rest > 0:
            await asyncio.sleep(rest)

    def _complete(self, reply: Reply, stop: StopReason | None = None) -> None:
        if not reply.completed:
            reply.completed = True
            self._outbox.put(TurnComplete(stop or reply.stop, reply.usage, reply.response_id))

    def _stop_making(self) -> None:
        if self._making is not None:
            self._making.cancel()
            self._making = None

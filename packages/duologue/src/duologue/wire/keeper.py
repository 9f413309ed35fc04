"""Keeper: carries out what the LinkPolicy decides: dials, waits, switches, closes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from duologue.errors import ConnectFailed, ConnectionLost, DuologueError, LinkError
from duologue.tasks import TaskSet
from duologue.wire.closing import explain_failure
from duologue.wire.connection import Connection
from duologue.wire.endpoint import Endpoint
from duologue.wire.policy import (
    CloseOld,
    Dial,
    DropNew,
    GiveUp,
    LinkEffect,
    LinkPolicy,
    SetTimer,
    Switch,
    Tell,
    TimerName,
)
from duologue.wire.pulse import Pulse

if TYPE_CHECKING:
    from duologue.events import Event
    from duologue.wire.capture import Capture
    from duologue.wire.codec import CodecFactory, Opening
    from duologue.wire.endpoint import EndpointSource
    from duologue.wire.link import OpenLink

log = logging.getLogger(__name__)

GOODBYE = 1.0
"""Seconds an old connection gets to answer our close frame."""


class Tenant(Protocol):
    """The session that lives on the connections."""

    def opening(self, *, fresh: bool) -> Opening:
        """What the next connection starts from."""
        ...

    def took(self, connection: Connection, events: list[Event], size: int) -> None:
        """A frame of the connection in use was these events."""
        ...

    def departed(self, *, planned: bool) -> None:
        """The connection in use is gone, or about to go; there may be none for a while."""
        ...

    def arrived(self, connection: Connection) -> None:
        """This connection is in use from now on."""
        ...

    def writable(self) -> None:
        """The socket of the connection in use takes more again."""
        ...

    def tell(self, event: Event) -> None:
        """Report an event of the link."""
        ...

    def over(self, error: DuologueError | None) -> None:
        """There will be no connection any more."""
        ...


class Keeper:
    """Keeps a session connected; at most one task, that of the connection being dialled."""

    def __init__(
        self,
        codec_factory: CodecFactory,
        endpoint: EndpointSource,
        policy: LinkPolicy,
        tenant: Tenant,
        open_link: OpenLink,
        capture: Capture | None,
    ) -> None:
        self.current: Connection | None = None
        """The connection in use."""
        self.policy = policy
        self._codec_factory = codec_factory
        self._endpoint = endpoint
        self._tenant = tenant
        self._open_link = open_link
        self._capture = capture
        self._loop = asyncio.get_running_loop()
        self._tasks = TaskSet()
        self._timers: dict[TimerName, asyncio.TimerHandle] = {}
        self._pulse: Pulse | None = None
        self._dialled: Connection | None = None
        self._arriving: Connection | None = None
        self._endpoint_used: Endpoint | None = None
        self._count = 0
        self._told_at = 0

    @property
    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    async def open(self) -> None:
        """Make the first connection.

        Raises:
            ConfigurationError: the endpoint is wrong.
            LinkError: it can't be reached, refused, or did not accept in time.
        """
        try:
            await self._connect(self._tenant.opening(fresh=False))
        except BaseException:
            self.policy.close()
            self._stop_timers()
            if self.current is not None:  # accepted, but whoever opened it has been cancelled
                self.current.retire()
                self.current.link.abort()
            raise

    async def close(self, within: float) -> None:
        """Leave: say goodbye, wait for the answer, cut what is left."""
        self.policy.close()
        self._stop_timers()
        until = self.now + within
        await self._tasks.stop(min(0.5, within / 4))
        connection, self.current = self.current, None
        if connection is not None:
            connection.say_goodbye()
            connection.retire()
            await connection.link.close(max(0.0, until - self.now))

    def abandon(self) -> None:
        """The provider ended the session for good: leave without a word."""
        connection, self.current = self.current, None
        self.policy.close()
        if connection is not None:
            connection.retire()
            connection.link.abort()
        self._end(None)

    def perform(self, effects: list[LinkEffect]) -> None:
        """Carry out what the policy wants."""
        for effect in effects:
            match effect:
                case Dial():
                    self._tasks.start(self._dial(effect), "dialling")
                case Switch():
                    self._switch()
                case CloseOld():
                    self._leave_old()
                case DropNew():
                    self._drop_new()
                case GiveUp(error=error):
                    self._end(error)
                case Tell(event=event):
                    self._tenant.tell(event)
                case SetTimer():
                    self._set_timer(effect)

    def observe(self, event: Event) -> None:
        """Let the policy see an event that is no audio."""
        effects = self.policy.event(event, self.now)
        if effects:
            self.perform(effects)

    def pause(self, paused: bool) -> None:
        """Read no further, or read on."""
        if self.current is not None:
            if self._pulse is not None:
                self._pulse.paused = paused
            if paused:
                self.current.link.pause()
            else:
                self.current.link.resume()

    # -- what connections tell ------------------------------------------------------------------------

    def accepted(self, connection: Connection) -> None:
        """The provider took the session."""
        self._arriving = connection
        stale = self._told_at != self.policy.quiet.exchanges
        effects = self.policy.accepted(self.now, resumed=bool(connection.opening.handle), stale=stale)
        if self.current is None and self._count == 1:
            self._use(connection)
        self.perform(effects)
        self._arriving = None

    def took(self, connection: Connection, events: list[Event], size: int) -> None:
        """A frame was read."""
        if connection is self.current:
            self._tenant.took(connection, events, size)

    def writable(self, connection: Connection) -> None:
        """The socket takes more again."""
        if connection is self.current:
            self._tenant.writable()

    def lost(self, connection: Connection, error: DuologueError | None) -> None:
        """An accepted connection ended by itself."""
        if connection is not self.current:
            return
        self.current = None
        self._stop_pulse()
        clean = error is None and self.policy.state == "live"
        self._tenant.departed(planned=False)
        if clean:
            self.policy.close()
            self._end(None)
        else:
            gone = error or ConnectionLost("the provider closed the link", provider=connection.codec.provider or None)
            self.perform(self.policy.lost(gone, self.now))

    # -- dialling -------------------------------------------------------------------------------------

    async def _dial(self, dial: Dial) -> None:
        if dial.after:
            await asyncio.sleep(dial.after)
        opening = self._tenant.opening(fresh=dial.fresh)
        self._told_at = self.policy.quiet.exchanges
        try:
            await self._connect(opening)
        except DuologueError as exc:
            self.perform(self.policy.refused(exc, self.now, with_handle=bool(opening.handle)))
        except Exception as exc:  # task boundary: a codec or an endpoint of somebody's that fails ends the session
            log.exception("connecting failed")
            failure = ConnectFailed(f"connecting failed: {exc!r}", retryable=False)
            self.perform(self.policy.refused(failure, self.now, with_handle=False))

    async def _connect(self, opening: Opening) -> None:
        limit = self.policy.connect_s
        connection: Connection | None = None
        endpoint = self._endpoint if isinstance(self._endpoint, Endpoint) else None
        try:
            async with asyncio.timeout(limit):
                endpoint = endpoint or await self._fresh_endpoint()
                link = await self._open_link(endpoint, limit)
                try:
                    self._count += 1
                    codec = self._codec_factory(opening)
                    if self._capture is not None:
                        self._capture.hide(endpoint.hidden())
                    connection = Connection(self._count, codec, opening, link, self, endpoint.hidden(), self._capture)
                    self._dialled, self._endpoint_used = connection, endpoint
                    connection.start()
                    await connection.standing
                except BaseException:
                    if self.current is not connection or connection is None:
                        if connection is not None:
                            connection.retire()
                        link.abort()
                    raise
        except TimeoutError:
            if connection is not None and self.current is connection:
                return
            who = endpoint.provider if endpoint is not None else ""
            raise ConnectFailed(
                f"{who or 'the provider'} did not accept the session within {limit:g} s",
                provider=who or None,
                code="timeout",
            ) from None
        finally:
            self._dialled = None

    async def _fresh_endpoint(self) -> Endpoint:
        assert not isinstance(self._endpoint, Endpoint)
        try:
            return await self._endpoint()
        except (OSError, TimeoutError) as exc:
            raise explain_failure(exc, "the place that gives credentials", "") from exc

    # -- connections in use ---------------------------------------------------------------------------

    def _use(self, connection: Connection) -> None:
        self.current = connection
        self._stop_pulse()
        rule = (self._endpoint_used or Endpoint("")).keep_alive
        self._pulse = Pulse(connection.link, rule, self._flat)
        self._tenant.arrived(connection)

    def _switch(self) -> None:
        connection = self._arriving
        assert connection is not None
        self._leave_old()
        self._use(connection)

    def _leave_old(self) -> None:
        old, self.current = self.current, None
        self._stop_pulse()
        if old is not None:
            self._tenant.departed(planned=True)
            self._dismiss(old)

    def _drop_new(self) -> None:
        if self._arriving is not None:
            self._dismiss(self._arriving)

    def _dismiss(self, connection: Connection) -> None:
        connection.say_goodbye()
        connection.retire()
        self._tasks.start(self._see_off(connection), "closing a connection")

    async def _see_off(self, connection: Connection) -> None:
        try:
            await connection.link.close(GOODBYE)
        except (OSError, LinkError) as exc:
            log.debug("an old connection did not close well: %s", exc)

    def _flat(self, silent: float) -> None:
        if self.current is not None:
            provider = self.current.codec.provider
            self.current.give_up(
                ConnectionLost(
                    f"{provider or 'the provider'} gave no sign of life for {silent:g} s",
                    provider=provider or None,
                    code="silent",
                )
            )

    def _end(self, error: DuologueError | None) -> None:
        self._stop_timers()
        self._tenant.over(error)

    # -- timers ---------------------------------------------------------------------------------------

    def _set_timer(self, effect: SetTimer) -> None:
        old = self._timers.pop(effect.name, None)
        if old is not None:
            old.cancel()
        self._timers[effect.name] = self._loop.call_at(effect.at, self._fire, effect)

    def _fire(self, timer: SetTimer) -> None:
        self._timers.pop(timer.name, None)
        # a loop may fire a timer a rounding error early
        self.perform(self.policy.timer(timer.name, max(self.now, timer.at)))

    def _stop_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._stop_pulse()

    def _stop_pulse(self) -> None:
        if self._pulse is not None:
            self._pulse.stop()
            self._pulse = None

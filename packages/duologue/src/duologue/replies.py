"""Replies: which response is being made, played or cut, and how much of it can have been heard."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

REMEMBERED = 256
"""How many replies are kept: a provider that names an older one opens a new one."""


@dataclass(slots=True, eq=False)
class Reply:
    """One response of the model.

    Attributes:
        id: the provider's id, or one we invented (`named` is False).
        started_at: when its first output arrived, on the session clock.
        utterance: how many times the user had begun to speak by then.
        origin_ms: audio received in the whole session before this reply.
        received_ms: audio received so far.
        items: item ids with the ms of this response at which their audio begins.
        finished: the provider ended it.
        cut: who cut it, if anybody.
        cut_at: when it was cut.
        cut_early: it was cut before the provider had finished it, so its audio is not all of its text.
        speed: characters of speech a ms, as known when it was cut.
        heard_ms: how much was heard, once that is settled (only for a cut reply).
        playing_from: when its first audio went to the application, None before.
        playing_until: when its delivered audio will have been played, if it is played as it comes.
    """

    id: str
    named: bool
    started_at: float
    utterance: int = 0
    origin_ms: float = 0.0
    received_ms: float = 0.0
    items: list[tuple[str, float]] = field(default_factory=list)
    finished: bool = False
    cut: Literal["us", "peer"] | None = None
    cut_at: float = 0.0
    cut_early: bool = False
    speed: float = 0.0
    heard_ms: int | None = None
    delivered_ms: float = 0.0
    playing_from: float | None = None
    playing_until: float = 0.0

    def heard_by(self, now: float) -> int:
        """Estimate how much was heard: what was delivered, played in real time without pause."""
        if self.playing_from is None:
            return 0
        return int(max(0.0, min(self.delivered_ms, self.delivered_ms - (self.playing_until - now) * 1000)))

    def clamp(self, ms: int) -> int:
        """No more can have been heard than was received."""
        return max(0, min(int(self.received_ms), ms))

    def item_at(self, ms: int) -> tuple[str, int] | None:
        """The item that plays at `ms` of this response, and the ms within that item."""
        found = None
        for item_id, start in self.items:
            if found is None or start <= ms:
                found = (item_id, max(0, int(ms - start)))
        return found


class Replies:
    """The ledger of responses, oldest first."""

    def __init__(self, *, endless: bool = False) -> None:
        self._endless = endless  # full-duplex models end no reply
        self._by_id: OrderedDict[str, Reply] = OrderedDict()
        self._by_item: dict[str, Reply] = {}
        self._invented = 0
        self._received_ms = 0.0
        self.utterance = 0
        """How many times the user began to speak."""
        self.current: Reply | None = None
        """The reply that output without an id belongs to."""
        self.fenced: Reply | None = None
        """A nameless reply that was cut: output without an id belongs to it until the provider ends it."""

    def of_output(self, response_id: str, item_id: str, now: float) -> Reply:
        """The reply an output event belongs to; a new one is opened where it belongs to none."""
        reply = self._by_id.get(response_id) if response_id else None
        if reply is None and item_id:
            reply = self._by_item.get(item_id)
            if reply is not None and response_id and reply.id != response_id:
                # seen by its item first (a transcript ahead of its audio), now by its name
                reply = self._rename(reply, response_id) if not reply.named else None
        if reply is None and not response_id:
            reply = self._nameless(item_id, now)
        if reply is None and self.current is not None and not self.current.named and not self.current.received_ms:
            reply = self._rename(self.current, response_id)  # its transcript came first, without any id
        if reply is None:
            reply = self._open(response_id, now, named=True)
        if item_id and item_id not in self._by_item:
            self._by_item[item_id] = reply
            reply.items.append((item_id, reply.received_ms))
        return reply

    def of_end(self, response_id: str, now: float) -> Reply:
        """The reply that a `TurnComplete` of the provider ends; a turn without output gets one of its own."""
        if not response_id:
            last = self.last
            open_one = self.fenced or self.current or (last if last is not None and not last.finished else None)
            return open_one or self._open("", now, named=False)
        return self._by_id.get(response_id) or self._open(response_id, now, named=True)

    def of_cut(self, response_id: str, now: float) -> Reply:
        """The reply that an `Interrupted` of the provider cuts; it may have been finished before."""
        if not response_id:
            return self.fenced or self.current or self.last or self._open("", now, named=False)
        return self._by_id.get(response_id) or self._open(response_id, now, named=True)

    @property
    def last(self) -> Reply | None:
        """The newest reply."""
        return next(reversed(self._by_id.values()), None)

    @property
    def trailing(self) -> Reply | None:
        """A cut reply whose end the provider has not told: text without an id is still its own."""
        last = self.last
        cut = last is not None and last.cut and not last.finished and self.current is None
        return last if cut and not self._endless else None

    def received(self, reply: Reply, ms: float) -> None:
        """`ms` of audio arrived for this reply, cut or not."""
        self._received_ms += ms
        if not reply.cut:
            reply.received_ms += ms

    def finish(self, reply: Reply) -> None:
        """The provider ended it."""
        reply.finished = True
        if self.current is reply:
            self.current = None
        self.lift(reply)

    def cut(self, reply: Reply, by: Literal["us", "peer"], now: float) -> None:
        """Nothing of it may be heard any more."""
        reply.cut = by
        reply.cut_at = now
        reply.cut_early = not reply.finished
        if self.current is reply:
            self.current = None
        if by == "us" and not reply.named and not reply.finished:
            self.fenced = reply

    def lift(self, reply: Reply) -> None:
        """Output without an id no longer belongs to this cut reply."""
        if self.fenced is reply:
            self.fenced = None

    def delivered(self, reply: Reply, ms: float, now: float) -> None:
        """The application took `ms` of its audio."""
        if reply.playing_from is None:
            before = max((r.playing_until for r in self._by_id.values() if not r.cut), default=0.0)
            reply.playing_from = reply.playing_until = max(now, before)
        reply.delivered_ms += ms
        from_now = reply.playing_until if reply.playing_until > now else now
        reply.playing_until = from_now + ms / 1000

    def unsettled(self) -> list[Reply]:
        """Replies the provider cut of which we don't know yet how much was heard, oldest first.

        None, once the application has taken audio of a newer reply: that one is playing now.
        """
        found: list[Reply] = []
        for reply in reversed(self._by_id.values()):
            if reply.cut == "peer" and reply.heard_ms is None:
                found.append(reply)
            elif reply.playing_from is not None:
                break
        return found[::-1]

    def audible(self, now: float, *, heard_ms: int | None = None, response_id: str = "") -> list[Reply]:
        """Uncut replies that are being made, played or about to be played, oldest first.

        What the application says counts more than our estimate of what plays: with `response_id` that
        reply plays; with `heard_ms` the last delivered one does, as long as it has more audio than that.
        (A player that plays nothing says 0, so 0 says nothing.)
        """
        uncut = [r for r in self._by_id.values() if not r.cut]
        if response_id and response_id in self._by_id:
            return uncut[uncut.index(self._by_id[response_id]) :] if self._by_id[response_id] in uncut else []
        found = [r for r in uncut if self._sounds(r, now)]
        if heard_ms and all(r.playing_from is None for r in found):
            taken = next((r for r in reversed(self._by_id.values()) if r.playing_from is not None), None)
            if taken is not None and not taken.cut and heard_ms < int(taken.received_ms):
                found = uncut[uncut.index(taken) :]
        return found

    def _sounds(self, reply: Reply, now: float) -> bool:
        waits = reply.received_ms > reply.delivered_ms
        return reply.playing_until > now or waits or not (reply.finished or self._endless)

    def quiet(self, now: float) -> bool:
        """Whether nothing plays, or waits to be played, by our estimate."""
        return not any(
            r.playing_until > now or r.received_ms > r.delivered_ms for r in self._by_id.values() if not r.cut
        )

    def quiet_at(self) -> float:
        """When what was delivered will have been played, if nothing more comes."""
        return max((r.playing_until for r in self._by_id.values() if not r.cut), default=0.0)

    def _nameless(self, item_id: str, now: float) -> Reply:
        if self.fenced is not None:
            if not item_id:
                return self.fenced
            self.fenced = None  # another item: the provider is past what was cut
        return self.current if self.current is not None else self._open("", now, named=False)

    def _open(self, response_id: str, now: float, *, named: bool) -> Reply:
        if not response_id:
            self._invented += 1
            response_id = f"reply-{self._invented}"
        reply = self._by_id[response_id] = Reply(response_id, named, now, self.utterance, self._received_ms)
        self.current = reply
        while len(self._by_id) > REMEMBERED:
            _, old = self._by_id.popitem(last=False)
            for item_id, _ in old.items:
                self._by_item.pop(item_id, None)
        return reply

    def _rename(self, reply: Reply, response_id: str) -> Reply:
        self._by_id = OrderedDict((response_id if r is reply else key, r) for key, r in self._by_id.items())
        reply.id, reply.named = response_id, True
        return reply

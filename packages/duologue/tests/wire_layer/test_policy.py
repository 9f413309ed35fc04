"""When a session leaves its connection, dials again and gives up: rules, and random interleavings of all there is."""

from __future__ import annotations

import pytest
from duologue import AudioOutputDelta, GoingAway, Reconnected, Reconnecting, StopReason, TranscriptDelta, TurnComplete
from duologue.errors import (
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    DuologueError,
    RateLimited,
    ResumeFailed,
)
from duologue.wire.policy import CloseOld, Dial, DropNew, GiveUp, LinkEffect, LinkPolicy, SetTimer, Switch, Tell
from duologue.wire.quiet import SETTLES
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

WORDS = TranscriptDelta("assistant", "hm")
DONE = TurnComplete(StopReason.end_turn)
LOST = ConnectionLost("cable cut", code="1006")
REFUSED = ConnectFailed("no", retryable=False, code="1008")
DOWN = ConnectFailed("down", code="unreachable")


def policy(**options):
    made = LinkPolicy(**{"jitter": 0.0, **options})
    assert made.accepted(0.0, resumed=False) == []
    return made


def delays(made, error=DOWN, now=1000.0):
    """The delays of all attempts after a loss, until it gives up."""
    effects, found = made.lost(LOST, now), []
    while not isinstance(effects[-1], GiveUp):
        found.append(effects[-1].after)
        effects = made.refused(error, now, with_handle=False)
    return found, effects[-1].error


def test_a_lost_link_is_dialled_at_once_then_ever_later_and_given_up_in_the_end():
    found, error = delays(policy(attempts=7))
    assert found == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert isinstance(error, ConnectFailed)
    assert "7 attempts" in str(error)
    assert "down" in str(error)


def test_a_thousand_clients_dont_come_back_at_once():
    found, _ = delays(policy(jitter=0.5, chance=lambda: 1.0))
    assert found[:4] == [0.0, 0.25, 0.5, 1.0]


def test_each_attempt_is_told():
    made = policy()
    assert made.lost(LOST, 10.0) == [Tell(Reconnecting(1, "cable cut")), Dial()]
    assert made.refused(DOWN, 11.0, with_handle=False) == [Tell(Reconnecting(2, "down")), Dial(0.5)]
    assert made.accepted(12.0, resumed=True) == [Switch(), Tell(Reconnected(True, 2.0))]
    assert made.state == "live"


def test_a_fatal_end_or_refusal_is_not_retried():
    made = policy()
    assert made.lost(REFUSED, 10.0) == [GiveUp(REFUSED)]
    assert made.state == "over"
    made = policy()
    made.lost(LOST, 10.0)
    assert made.refused(REFUSED, 11.0, with_handle=False) == [GiveUp(REFUSED)]


@pytest.mark.parametrize(
    ("error", "fresh"),
    [
        (REFUSED, True),
        (ResumeFailed("expired"), True),
        (ConnectionLost("internal error", code="1011"), True),
        (DOWN, False),
        (ConnectFailed("silence", code="timeout"), False),
        (ConnectFailed("bad gateway", code="502"), False),
        (RateLimited("slow down", code="429"), False),
        (RateLimited("later", code="1013"), False),
    ],
)
def test_a_handle_is_dropped_where_it_may_have_been_its_fault(error, fresh):
    made = policy()
    made.lost(LOST, 10.0)
    assert made.refused(error, 11.0, with_handle=True)[-1] == Dial(0.0 if fresh else 0.5, fresh)


@pytest.mark.parametrize(
    "error",
    [ConnectFailed("bad key", retryable=False, code=code) for code in ("401", "403", "404")]
    + [ConfigurationError("no key"), ConfigurationError("not trusted", code="certificate")],
)
def test_a_bad_key_is_not_the_handles_fault(error):
    made = policy()
    made.lost(LOST, 10.0)
    assert made.refused(error, 11.0, with_handle=True) == [GiveUp(error)]


def test_a_connection_that_stood_counts_from_the_beginning_one_that_didnt_goes_on():
    made = policy(stable_s=5.0)
    assert made.lost(LOST, 10.0)[-1] == Dial()
    made.accepted(10.0, resumed=True)
    assert made.lost(LOST, 11.0)[-1] == Dial(0.5)
    made.accepted(12.0, resumed=True)
    assert made.lost(LOST, 17.0)[-1] == Dial()


def test_a_link_that_is_lost_as_soon_as_it_stands_is_given_up():
    made = policy(attempts=5)
    for _ in range(5):
        assert isinstance(made.lost(LOST, 1.0)[-1], Dial)
        made.accepted(1.0, resumed=True)
    assert isinstance(made.lost(LOST, 1.0)[-1], GiveUp)


# -- leaving -------------------------------------------------------------------------------------------


def test_a_quiet_session_that_is_sent_away_goes_at_once():
    made = policy()
    assert made.event(GoingAway(50.0), 100.0) == [Tell(Reconnecting(1, "going away in 50 s")), CloseOld(), Dial()]
    assert made.accepted(101.0, resumed=True) == [Switch(), Tell(Reconnected(True, 1.0))]


def test_a_reply_is_heard_to_its_end_first():
    made = policy()
    made.event(WORDS, 100.0)
    assert made.event(GoingAway(50.0), 100.0) == [SetTimer("leave", 149.0), SetTimer("look", 100.25)]
    assert made.event(DONE, 120.0) == []  # what belongs to it may still come
    assert made.timer("look", 120.1) == [SetTimer("look", 120.35)]
    assert CloseOld() in made.timer("look", 120.0 + SETTLES)


def test_the_deadline_does_not_wait_for_the_end_of_a_reply():
    made = policy(margin_s=1.0)
    made.event(WORDS, 100.0)
    made.event(GoingAway(50.0), 100.0)
    assert made.event(WORDS, 148.0) == []
    assert CloseOld() in made.timer("leave", 149.0)


def test_the_earlier_of_two_deadlines_holds():
    made = policy()
    made.event(WORDS, 0.0)
    made.event(GoingAway(50.0), 0.0)
    assert SetTimer("leave", 9.0) in made.event(GoingAway(10.0), 0.0)
    assert SetTimer("leave", 9.0) in made.event(GoingAway(100.0), 0.0)


def test_known_limits_are_left_before():
    made = LinkPolicy(max_connection_s=600.0, lead_s=60.0, margin_s=2.0)
    assert made.accepted(0.0, resumed=False) == [SetTimer("limit", 540.0)]
    made.event(WORDS, 500.0)
    assert made.timer("limit", 540.0) == [SetTimer("leave", 598.0), SetTimer("look", 540.25)]


def test_a_timer_of_the_connection_before_does_nothing():
    made = policy()
    made.event(WORDS, 100.0)
    made.event(GoingAway(50.0), 100.0)
    made.lost(LOST, 110.0)
    assert [made.timer(name, 120.0) for name in ("limit", "leave", "look")] == [[], [], []]
    made.accepted(130.0, resumed=True)
    assert [made.timer(name, 149.0) for name in ("leave", "look")] == [[], []]
    assert made.state == "live"


def test_where_two_may_overlap_the_old_one_is_used_until_the_new_one_stands():
    made = policy(overlap=True)
    assert made.event(GoingAway(50.0), 100.0) == [Tell(Reconnecting(1, "going away in 50 s")), Dial()]
    assert made.state == "switching"
    assert made.accepted(101.0, resumed=True) == [Switch(), Tell(Reconnected(True, 0.0))]


def test_a_new_connection_that_missed_something_is_dropped_and_the_deadline_still_holds():
    made = policy(overlap=True)
    made.event(GoingAway(50.0), 100.0)
    made.event(WORDS, 100.5)
    effects = made.accepted(101.0, resumed=True)
    assert effects == [DropNew(), SetTimer("leave", 149.0), SetTimer("look", 101.25)]
    assert made.timer("leave", 149.0) == [Tell(Reconnecting(1, "going away in 50 s")), CloseOld(), Dial()]


def test_at_the_deadline_the_old_connection_is_left_whatever_goes_on():
    made = policy(overlap=True)
    made.event(GoingAway(50.0), 100.0)
    made.event(WORDS, 100.5)
    assert made.timer("leave", 149.0) == []
    # the new one was dialled before that was said, so it is no use any more
    assert made.accepted(149.5, resumed=True, stale=True) == [DropNew(), CloseOld(), Dial()]
    assert made.accepted(150.0, resumed=True)[0] == Switch()


def test_a_new_connection_that_was_told_too_little_is_made_once_more():
    made = policy(overlap=True)
    made.event(GoingAway(50.0), 100.0)
    made.lost(LOST, 101.0)
    assert made.accepted(102.0, resumed=True, stale=True) == [DropNew(), Dial()]
    assert made.accepted(103.0, resumed=True)[0] == Switch()


def test_an_old_connection_that_still_works_is_used_where_no_new_one_is_to_be_had():
    made = policy(overlap=True)
    made.event(GoingAway(50.0), 100.0)
    assert made.refused(REFUSED, 101.0, with_handle=False) == []
    assert made.state == "live"
    made.event(GoingAway(40.0), 110.0)
    for _ in range(made.attempts):
        effects = made.refused(DOWN, 111.0, with_handle=False)
    assert (effects, made.state) == ([], "live")
    assert isinstance(made.lost(REFUSED, 112.0)[0], GiveUp)


def test_an_old_connection_that_ends_while_the_new_one_is_dialled_ends_nothing():
    made = policy(overlap=True)
    made.event(GoingAway(50.0), 100.0)
    assert made.lost(REFUSED, 101.0) == []
    assert made.accepted(103.0, resumed=True) == [Switch(), Tell(Reconnected(True, 2.0))]


def test_a_provider_that_sends_every_connection_away_at_once_is_dialled_ever_later_and_then_kept():
    made = policy(attempts=4)
    found = []
    while dial := [e for e in made.event(GoingAway(0.0), 0.0) if isinstance(e, Dial)]:
        found += [e.after for e in dial]
        made.accepted(0.0, resumed=True)
    assert found == [0.0, 0.5, 1.0, 2.0]
    assert made.state == "live"


def test_once_over_nothing_is_done():
    made = policy()
    made.close()
    assert made.accepted(1.0, resumed=False) == [DropNew()]
    assert made.refused(DOWN, 1.0, with_handle=False) == []
    assert made.lost(LOST, 1.0) == []
    assert made.event(GoingAway(1.0), 1.0) == []
    assert [made.timer(name, 9.0) for name in ("limit", "leave", "look")] == [[], [], []]


# -- everything at once --------------------------------------------------------------------------------

ERRORS = st.sampled_from(
    [
        LOST,
        DOWN,
        REFUSED,
        ResumeFailed("gone"),
        RateLimited("slow down", code="429"),
        ConnectFailed("bad key", retryable=False, code="401"),
        ConnectFailed("silence", code="timeout"),
    ]
)
EVENTS = st.sampled_from([WORDS, DONE, GoingAway(0.0), GoingAway(3.0), GoingAway(50.0), AudioOutputDelta(b"")])


class PolicyMachine(RuleBasedStateMachine):
    """A network, a provider and a clock that do as they please, and the duties of a `Keeper`."""

    @initialize(
        overlap=st.booleans(),
        limit=st.sampled_from([None, 3.0, 100.0]),
        attempts=st.integers(1, 6),
        chance=st.floats(0.0, 1.0),
    )
    def begin(self, overlap: bool, limit: float | None, attempts: int, chance: float) -> None:
        self.policy = LinkPolicy(
            overlap=overlap, max_connection_s=limit, attempts=attempts, chance=lambda: chance, max_delay=4.0
        )
        self.now = 0.0
        self.dialling = 1  # the first one is dialled by whoever opens the session
        self.connected = False
        self.over = False
        self.first = True
        self.timers: dict[str, float] = {}
        self.deadline: float | None = None
        self.accepted_at = 0.0
        self.dials = 0  # since a connection stood
        self.stale = False  # something was exchanged since the one that is dialled was told what there is

    def see(self, effects: list[LinkEffect], *, quiet: bool) -> None:
        assert not (effects and self.over and effects != [DropNew()]), "something was done after the end"
        for effect in effects:
            match effect:
                case Dial(after=after):
                    assert not self.over
                    self.dialling += 1
                    self.dials += DropNew() not in effects
                    self.stale = False
                    assert self.dialling == 1, "dialled while a dial was outstanding"
                    assert 0.0 <= after <= self.policy.max_delay
                    assert self.dials <= self.policy.attempts + 1
                    if self.connected:
                        assert self.policy.overlap, "two connections where one is allowed"
                        assert quiet
                case Switch():
                    self.connected = True
                case CloseOld():
                    assert self.connected
                    assert quiet or (self.deadline is not None and self.now >= self.deadline - 1e-6), "left too early"
                    self.connected = False
                case DropNew():
                    assert self.connected or self.over or any(isinstance(e, Dial) for e in effects)
                case GiveUp(error=error):
                    assert isinstance(error, DuologueError)
                    assert not self.connected
                    assert not self.dialling
                    self.over = True
                case Tell(event=Reconnected(gap=gap)):
                    assert gap >= 0.0
                case Tell(event=Reconnecting(attempt=attempt)):
                    assert 1 <= attempt <= self.policy.attempts
                case SetTimer(name=name, at=at):
                    self.timers[name] = at

    def quiet(self) -> bool:
        return self.policy.quiet.at(self.now)

    def stood(self) -> None:
        if self.now - self.accepted_at >= self.policy.stable_s:
            self.dials = 0

    @precondition(lambda self: self.dialling)
    @rule(resumed=st.booleans())
    def accept(self, resumed: bool) -> None:
        self.dialling = 0
        quiet, old = self.quiet(), self.connected
        effects = self.policy.accepted(self.now, resumed=resumed, stale=self.stale)
        if self.over:
            assert effects == [DropNew()]
        elif self.first:
            assert Switch() not in effects
            self.first, self.connected = False, True
        else:
            assert (Switch() in effects) != (DropNew() in effects)
        if not self.over and DropNew() not in effects:
            self.accepted_at, self.deadline = self.now, None
        elif not self.over:
            assert self.stale or (old and not quiet), "a new connection was dropped for no reason"
        self.see(effects, quiet=quiet)

    @precondition(lambda self: self.dialling and not self.first)
    @rule(error=ERRORS, with_handle=st.booleans())
    def refuse(self, error: DuologueError, with_handle: bool) -> None:
        self.dialling = 0
        effects = self.policy.refused(error, self.now, with_handle=with_handle)
        if self.over:
            assert effects == []
        elif not error.retryable and not with_handle:
            assert not any(isinstance(e, Dial) for e in effects), "a fatal refusal was retried"
        if not self.over and not self.connected:
            assert any(isinstance(e, Dial | GiveUp) for e in effects), "nobody dials, nobody gave up"
        self.see(effects, quiet=True)

    @precondition(lambda self: self.connected)
    @rule(error=ERRORS)
    def lose(self, error: DuologueError) -> None:
        self.connected = False
        self.stood()
        self.deadline = None
        effects = self.policy.lost(error, self.now)
        if not self.over:
            assert self.dialling or any(isinstance(e, Dial | GiveUp) for e in effects)
            if not error.retryable and not self.dialling:
                assert [type(e) for e in effects] == [GiveUp]
        self.see(effects, quiet=True)

    @precondition(lambda self: self.connected and not self.over)
    @rule(event=EVENTS)
    def hear(self, event: object) -> None:
        if isinstance(event, AudioOutputDelta):
            self.policy.quiet.output(self.now)
            self.stale = True
            return
        if isinstance(event, GoingAway):
            by = self.now + max(0.0, event.seconds_left - self.policy.margin_s)
            if not self.dialling:
                self.deadline = by if self.deadline is None else min(by, self.deadline)
        self.stood()
        self.stale = True
        effects = self.policy.event(event, self.now)
        self.see(effects, quiet=self.quiet())

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 7.0, 60.0]))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.timers and min(self.timers.values()) <= until:
            name = min(self.timers, key=lambda name: self.timers[name])
            self.now = max(self.now, self.timers.pop(name))
            if name == "limit" and self.policy.state == "live" and self.policy.max_connection_s is not None:
                by = self.accepted_at + self.policy.max_connection_s - self.policy.margin_s
                self.deadline = by if self.deadline is None else min(by, self.deadline)
            if self.connected:
                self.stood()
            quiet = self.quiet()
            self.see(self.policy.timer(name, self.now), quiet=quiet)  # type: ignore[arg-type]
        self.now = until

    @rule()
    def close(self) -> None:
        if not self.first and self.now > 30.0:  # not in the first breath of every run
            self.policy.close()
            self.over = True

    @invariant()
    def someone_is_there(self) -> None:
        if hasattr(self, "policy"):
            assert self.over or self.connected or self.dialling, "no connection and nobody dials"

    @invariant()
    def the_deadline_holds(self) -> None:
        if hasattr(self, "policy") and self.policy.state == "leaving":
            assert self.policy._leave_by is not None
            assert "leave" in self.timers, "no timer holds the deadline"
            assert self.timers["leave"] <= self.policy._leave_by + 1e-6
            assert "look" in self.timers


TestPolicy = PolicyMachine.TestCase
TestPolicy.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

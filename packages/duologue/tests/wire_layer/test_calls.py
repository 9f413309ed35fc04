"""Which connection knows which call."""

import pytest
from duologue.errors import LocalProtocolError
from duologue.wire.calls import REMEMBERED, WireCalls


def test_a_call_is_answered_once_on_the_connection_it_came_on():
    calls = WireCalls()
    calls.came("a", 1)
    calls.came("a", 2)  # its next piece; it stays where it began
    assert calls.known_by(1) == {"a"}
    assert calls.answered("a") == 1
    with pytest.raises(LocalProtocolError, match="'a'"):
        calls.answered("a")


def test_a_call_that_never_came_or_was_withdrawn_is_not_answered():
    calls = WireCalls()
    calls.came("a", 1)
    calls.withdrawn("a")
    calls.withdrawn("never")
    for name in ("a", "never"):
        with pytest.raises(LocalProtocolError):
            calls.answered(name)


def test_another_connection_knows_only_what_it_is_said_to_know():
    calls = WireCalls()
    calls.came("a", 1)
    calls.came("b", 1)
    calls.moved(2, {"a", "unknown"})
    assert calls.known_by(2) == {"a"}
    assert calls.answered("a") == 2
    assert calls.answered("b") == 0


def test_a_call_that_was_lost_stays_lost():
    calls = WireCalls()
    calls.came("a", 1)
    calls.moved(2, ())
    calls.moved(3, ())
    assert calls.answered("a") == 0


def test_the_connection_of_an_item_is_remembered():
    calls = WireCalls()
    calls.item("i", 1)
    assert calls.item_connection("i") == 1
    calls.item("i", 2)
    assert calls.item_connection("i") == 2
    assert calls.item_connection("other") == 0


def test_what_is_remembered_is_bounded():
    calls = WireCalls()
    for number in range(REMEMBERED + 10):
        calls.came(f"call{number}", 1)
        calls.item(f"item{number}", 1)
    assert len(calls.known_by(1)) == REMEMBERED
    assert calls.item_connection("item0") == 0
    assert calls.item_connection(f"item{REMEMBERED}") == 1

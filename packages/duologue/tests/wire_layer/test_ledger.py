"""What is sent again on another connection."""

import pytest
from duologue import AudioBlock, ImageBlock, Message, TextBlock
from duologue.types import CallRecord
from duologue.wire import AnswerCall, CommitTurn, SendContent
from duologue.wire.ledger import REMEMBERED, REMEMBERED_BYTES, SETTLED, Ledger, Mark, result_as_text
from hypothesis import given
from hypothesis import strategies as st


def text(words):
    return SendContent(TextBlock(words))


def ledger(*commands, now=0.0):
    made = Ledger()
    for command in commands:
        made.sent(command, now)
    return made


def test_what_nobody_answered_is_sent_again_in_order():
    picture = SendContent(ImageBlock(b"jpeg"))
    assert ledger(text("a"), picture, text("b")).again((), ()) == [text("a"), picture, text("b")]


def test_a_question_is_asked_again_once_and_last():
    kept = ledger(text("a"), CommitTurn(), text("b"), CommitTurn())
    assert kept.asks
    assert kept.again((), ()) == [text("a"), text("b"), CommitTurn()]


def test_an_answer_settles_the_turn_it_answers_and_what_came_before():
    kept = ledger(text("a"), CommitTurn(), text("b"))
    kept.answered(0.0)
    assert not kept.asks
    assert kept.again((), ()) == [text("b")]
    kept.answered(0.0)
    assert kept.again((), ()) == [text("b")]


def test_a_reply_settles_the_oldest_question_and_questions_that_are_old():
    kept = Ledger()
    for at, said in enumerate("abc"):
        kept.sent(text(said), at * SETTLED)
        kept.sent(CommitTurn(), at * SETTLED)
    kept.answered(0.0)
    assert kept.again((), ()) == [text("b"), text("c"), CommitTurn()]
    kept.answered(2.1 * SETTLED)
    assert kept.again((), ()) == [text("c"), CommitTurn()]


def test_what_the_history_tells_is_not_said_twice():
    kept = ledger(text(" a "), text("b"), CommitTurn())
    told = [Message("user", "a"), Message("assistant", "b")]
    assert kept.again(told, ()) == [text("b"), CommitTurn()]


def test_a_call_that_the_connection_knows_gets_its_answer():
    answer = AnswerCall("c", "clock", "noon")
    assert ledger(answer).again((), {"c"}) == [answer]


def test_a_call_that_it_doesnt_know_is_told_in_words_and_asked_about():
    kept = ledger(AnswerCall("c", "clock", "noon"))
    assert kept.again((), ()) == [text("Result of clock: noon"), CommitTurn()]


def test_a_result_that_the_history_tells_is_only_asked_about():
    told = [Message("assistant", "", calls=(CallRecord("c", "clock", {}, "noon"), CallRecord("d", "clock", {})))]
    assert ledger(AnswerCall("c", "clock", "noon")).again(told, ()) == [CommitTurn()]
    assert ledger(AnswerCall("d", "clock", "noon")).again(told, ()) == [text("Result of clock: noon"), CommitTurn()]


def test_the_words_of_a_result_name_its_pictures():
    answer = AnswerCall("c", "camera", [TextBlock("a cat"), ImageBlock(b"jpeg"), AudioBlock(b"", "audio/pcm")])
    assert result_as_text(answer) == text("Result of camera: a cat [image/jpeg] [audio/pcm]")


def test_a_reply_that_is_no_longer_wanted_is_not_asked_for_again():
    kept = ledger(text("a"), CommitTurn(), AnswerCall("c", "clock", "noon"))
    kept.unask()
    assert kept.again((), {"c"}) == [text("a"), AnswerCall("c", "clock", "noon")]


def test_what_was_sent_again_is_outstanding_again():
    kept = ledger(text("a"), CommitTurn())
    kept.restate([text("a")], 1.0)
    assert len(kept) == 1
    assert kept.again((), ()) == [text("a")]


def test_a_handle_marks_what_the_session_knows():
    kept = Ledger()
    before = [Message("user", "a", "1"), Message("assistant", "b", started_at=2.0)]
    assert kept.missed(before) is None
    kept.issued("h", {"c"}, 0.0)
    assert (kept.mark.handle, kept.mark.calls) == ("h", {"c"})
    assert kept.missed(before) is None  # nobody knows yet what was said before it was issued
    kept.heard("h", before)
    after = [Message("user", "d", "2"), Message("assistant", "e", started_at=3.0)]
    assert kept.missed([*before, *after]) == after
    kept.issued("", {"c"}, 1.0)
    assert kept.mark == Mark()
    assert kept.missed(after) is None


def test_what_was_heard_before_another_handle_doesnt_count_for_the_latest():
    kept = Ledger()
    kept.issued("one", (), 0.0)
    kept.issued("two", (), 1.0)
    kept.heard("one", [])
    assert kept.missed([]) is None
    kept.heard("two", [Message("user", "a", "1")])
    assert kept.missed([Message("user", "a", "1")]) == []


def test_what_is_outstanding_is_not_missed_for_it_is_sent_again():
    kept = ledger(text("d "))
    kept.issued("h", (), 0.0)
    kept.heard("h", ())
    missed = kept.missed([Message("user", "d", "2"), Message("assistant", "d", "3"), Message("user", "e", "4")])
    assert missed == [Message("assistant", "d", "3"), Message("user", "e", "4")]


def test_content_that_had_settled_is_part_of_what_a_handle_stands_for():
    kept = ledger(text("old"))
    kept.sent(text("new"), SETTLED)
    kept.issued("h", (), SETTLED + 0.01)
    assert kept.again((), ()) == [text("new")]


def test_a_question_is_kept_whatever_handle_is_issued():
    kept = ledger(text("old"), CommitTurn())
    kept.issued("h", (), 100.0)
    assert kept.again((), ()) == [text("old"), CommitTurn()]


def test_too_many_are_let_go_and_counted():
    kept = ledger(*(text(str(n)) for n in range(REMEMBERED + 3)))
    assert (len(kept), kept.forgotten) == (REMEMBERED, 3)
    assert kept.again((), ())[0] == text("3")


@pytest.mark.parametrize(
    "big",
    [
        SendContent(ImageBlock(bytes(REMEMBERED_BYTES // 2))),
        text("x" * (REMEMBERED_BYTES // 2)),
        AnswerCall("c", "n", "x" * (REMEMBERED_BYTES // 2)),
        AnswerCall("c", "n", [TextBlock("x"), ImageBlock(bytes(REMEMBERED_BYTES // 2))]),
    ],
    ids=["picture", "text", "answer", "blocks"],
)
def test_too_much_is_let_go_and_counted(big):
    kept = ledger(big, big, big)
    assert kept.forgotten > 0
    assert len(kept) + kept.forgotten == 3


def test_one_that_is_too_big_alone_is_kept():
    kept = ledger(SendContent(ImageBlock(bytes(REMEMBERED_BYTES + 1))))
    assert (len(kept), kept.forgotten) == (1, 0)


def test_a_result_that_was_sent_as_text_stays_a_result():
    kept = ledger(text("a"), text("b"), AnswerCall("c", "clock", "noon"), AnswerCall("d", "clock", "one"), CommitTurn())
    told = [Message("user", "a"), Message("assistant", "", calls=(CallRecord("c", "clock", {}, "noon"),))]
    kept.carry_over(told, {"d"}, 1.0)
    assert kept.again((), {"d"}) == [text("b"), AnswerCall("d", "clock", "one"), CommitTurn()]


STEPS = st.lists(
    st.one_of(
        st.builds(text, st.sampled_from("abc")),
        st.just(CommitTurn()),
        st.builds(AnswerCall, st.sampled_from("cd"), st.just("n"), st.just("r")),
        st.sampled_from(["answered", "unask", "issued", "again"]),
    ),
    max_size=40,
)


@given(STEPS)
def test_the_bytes_are_always_those_of_what_is_kept(steps):
    kept = Ledger()
    for number, step in enumerate(steps):
        match step:
            case "answered":
                kept.answered(float(number))
            case "unask":
                kept.unask()
            case "issued":
                kept.issued("h", (), float(number))
            case "again":
                kept.restate(kept.again((), ()), float(number))
            case _:
                kept.sent(step, float(number))
        assert kept._bytes == sum(entry.size for entry in kept._outstanding)


@given(STEPS)
def test_without_an_answer_every_text_is_sent_again(steps):
    sent = [step for step in steps if not isinstance(step, str)]
    again = ledger(*sent).again((), {"c", "d"})
    assert [c for c in again if c != CommitTurn()] == [c for c in sent if c != CommitTurn()]
    assert (CommitTurn() in again) == (CommitTurn() in sent)


def test_what_crossed_a_handle_on_its_way_counts_as_missed():
    ledger = Ledger()
    ledger.sent(SendContent(TextBlock("before")), 0.0)
    ledger.sent(CommitTurn(), 0.0)
    ledger.issued("h", (), 0.1)
    ledger.sent(SendContent(TextBlock("after")), 0.1)
    history = [Message("user", text, started_at=at) for at, text in enumerate(["old", "before", "after"])]
    ledger.heard("h", history)
    ledger.sent(CommitTurn(), 0.2)
    ledger.answered(0.2)
    ledger.answered(0.2)
    assert [message.text for message in ledger.missed(history) or ()] == ["before", "after"]

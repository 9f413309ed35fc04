"""The model's memory: what was heard, what fits."""

from __future__ import annotations

import pytest
from duologue.errors import ConfigurationError
from duologue.types import CallRecord, Message, WordTime
from duologue_local.memory import TEMPLATE_TOKENS, Memory, tail, tokens
from hypothesis import given
from hypothesis import strategies as st


def words(*texts: str) -> list[WordTime]:
    return [WordTime(text, (n + 1) * 100.0) for n, text in enumerate(texts)]


def contents(memory: Memory) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in memory.messages()]


def test_a_reply_is_cut_to_the_words_that_ended_before() -> None:
    memory = Memory("", (), 500)
    memory.user("Hi.", "u1")
    memory.reply("r1")
    memory.spoken("r1", words("One", "two", "three."))
    memory.cut("r1", 250)
    assert contents(memory) == [("user", "Hi."), ("assistant", "One two")]
    memory.cut("r1", 300)  # the exact position comes after the estimate
    assert contents(memory)[-1] == ("assistant", "One two three.")


def test_a_reply_of_which_nothing_was_heard_never_was() -> None:
    memory = Memory("", (), 500)
    memory.user("Tell me", "u1")
    memory.reply("r1")
    memory.spoken("r1", words("Well"))
    memory.cut("r1", 20)
    memory.user("a story.", "u2")
    assert contents(memory) == [("user", "Tell me a story.")]


def test_words_that_come_after_the_cut_do_not_count() -> None:
    memory = Memory("", (), 500)
    memory.user("Hi.")
    memory.reply("r1")
    memory.cut("r1", 150)
    memory.spoken("r1", words("One", "two"))
    assert contents(memory)[-1] == ("assistant", "One")


def test_history_and_results_are_told() -> None:
    call = CallRecord("1", "get_time", {}, result="Noon.")
    history = (Message("user", "Time?"), Message("assistant", "", calls=(call,)), Message("assistant", "It is noon."))
    memory = Memory("Be brief.", history, 500)
    memory.user("Thanks.")
    assert [(m.role, m.content, m.name) for m in memory.messages()] == [
        ("system", "Be brief.", ""),
        ("user", "Time?", ""),
        ("tool", "Noon.", "get_time"),
        ("assistant", "It is noon.", ""),
        ("user", "Thanks.", ""),
    ]


def test_a_system_prompt_beyond_the_context_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="shorten it"):
        Memory("word " * 1000, (), 500)


def test_hundreds_of_turns_keep_the_memory_level() -> None:
    memory = Memory("Be brief.", (), 600)
    sizes = []
    tidied = 0
    for turn in range(400):
        memory.user(f"Question number {turn}, please?", f"u{turn}")
        memory.reply(f"r{turn}")
        memory.spoken(f"r{turn}", words(*f"This is the answer to question {turn}.".split()))
        tidied += memory.tidy()
        sizes.append(len(memory))
    assert max(sizes[200:]) <= max(sizes[:200]) < 60
    assert 0 < tidied < 400 / 5  # the model reads its memory anew only now and then
    assert contents(memory)[-1] == ("assistant", "This is the answer to question 399.")


@given(
    st.lists(st.tuples(st.sampled_from(["user", "reply", "tool"]), st.text(max_size=400)), max_size=40),
    st.integers(120, 900),
)
def test_the_prompt_always_fits(turns: list[tuple[str, str]], budget: int) -> None:
    memory = Memory("Be brief.", (), budget)
    for number, (kind, text) in enumerate(turns):
        if kind == "user":
            memory.user(text)
        elif kind == "tool":
            memory.result("tool", text)
        else:
            memory.reply(f"r{number}")
            memory.spoken(f"r{number}", words(*text.split()))
    messages = memory.messages()
    assert sum(tokens(m.content) + TEMPLATE_TOKENS for m in messages) <= budget + TEMPLATE_TOKENS
    assert [m.role for m in messages][:1] == ["system"]
    assert all(m.content for m in messages)


def test_memory_is_level_also_when_it_is_never_tidied() -> None:
    memory = Memory("Be brief.", (), 600)
    for turn in range(1000):
        memory.user("Yes.", f"u{turn}")
    assert len(memory) == 200


def test_the_end_of_what_is_too_long_is_kept() -> None:
    text = "first " * 500 + "last words"
    assert tail(text, 100).endswith("last words")
    assert tokens(tail(text, 100)) + TEMPLATE_TOKENS <= 100

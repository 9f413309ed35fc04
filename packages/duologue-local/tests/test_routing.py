"""Routing puts what was said on each tool's scale."""

from __future__ import annotations

from duologue_local import ToolSpec
from duologue_local.routing import SMALL_TALK, Router, described, possible

CITY = {"properties": {"city": {"type": "string", "description": "the city"}}, "required": ["city"]}
MINUTES = {"properties": {"minutes": {"type": "number"}}, "required": ["minutes"]}
TIME = ToolSpec("get_time", "Get the current time in a city.", CITY)
TIMER = ToolSpec("set_timer", "Set a timer for a number of minutes. It rings.", MINUTES)


class FakeModel:
    """Likelihood -4 for small talk, -1 for a description itself, else as given by a word in the sentence."""

    def __init__(self, **likely: float) -> None:
        self.likely = likely
        self.asked: list[str] = []

    def tokens(self, prompt: str, text: str) -> tuple[list[int], float]:
        return [len(text)], -1.0

    def probability(self, prompt: str, tokens: list[int]) -> float:
        said = prompt.split('"')[1]
        self.asked.append(said)
        if said in SMALL_TALK:
            return -4.0 - len(said) / 100
        return next((value for word, value in self.likely.items() if word in said and tokens[0] % 2 == 0), -4.0)

    def choose(self, prompt: str, options: list[str]) -> str:
        return options[-1]


def test_a_request_becomes_a_call() -> None:
    call = Router(FakeModel(time=-3.0), "a").route("What time is it in Oslo?", (TIME,))
    assert call is not None
    assert (call.name, call.arguments) == ("get_time", {"city": "Oslo"})


def test_what_is_as_unlikely_as_small_talk_is_none() -> None:
    assert Router(FakeModel(time=-3.9), "a").route("I had a good time in Oslo.", (TIME,)) is None


def test_what_shares_nothing_with_a_tool_costs_nothing() -> None:
    model = FakeModel()
    router = Router(model, "cost")
    router.prepare((TIME, TIMER))
    model.asked.clear()
    assert router.route("Tell me a joke.", (TIME, TIMER)) is None
    assert model.asked == []


def test_scales_are_noted_for_the_next_run() -> None:
    first, second = FakeModel(), FakeModel()
    Router(first, "noted").prepare((TIME,))
    Router(second, "noted").prepare((TIME,))
    assert (len(first.asked), len(second.asked)) == (len(SMALL_TALK), 0)
    third = FakeModel()
    Router(third, "another model").prepare((TIME,))
    assert len(third.asked) == len(SMALL_TALK)


def test_a_short_follow_up_goes_to_the_tool_of_the_turn_before() -> None:
    router = Router(FakeModel(), "a")
    call = router.route("And in London?", (TIME, TIMER), last="get_time")
    assert call is not None
    assert call.arguments == {"city": "London"}
    assert router.route("And in London?", (TIME, TIMER)) is None
    assert router.route("And in London there were a lot of people yesterday.", (TIME, TIMER), last="get_time") is None


def test_a_call_without_its_arguments_is_not_made() -> None:
    assert Router(FakeModel(timer=-1.0), "a").route("Set a timer.", (TIMER,)) is None


def test_a_tool_is_possible_by_a_word_or_by_a_value() -> None:
    assert possible(TIME, "the time in oslo")
    assert possible(TIME, "How late is it in Oslo?")
    assert not possible(TIME, "Thank you.")
    assert possible(TIMER, "Wake me in 5.")
    assert not possible(TIMER, "I was five.")


def test_a_tool_is_described_by_one_short_sentence() -> None:
    assert described(TIMER) == "Set a timer for a number of minutes."
    assert described(ToolSpec("look_it-up", "", {})) == "look it up."
    assert (
        described(ToolSpec("x", "Erz\N{LATIN SMALL LETTER A WITH DIAERESIS}hle \N{GRINNING FACE} etwas", {}))
        == "Erzahle etwas."
    )
    assert described(ToolSpec("look_up", "\N{GRINNING FACE}", {})) == "look up."
    assert len(described(ToolSpec("x", "word " * 50, {})).split()) == 14

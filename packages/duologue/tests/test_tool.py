from __future__ import annotations

import asyncio
import functools
import inspect
import subprocess
import sys
from typing import Any

import pytest
from duologue import ConfigurationError, LocalProtocolError, Tool, progress, tool
from duologue.testing import virtual_time
from duologue.tool import innermost


async def weather(city: str, unit: str = "C") -> str:
    """Say what the weather
    is like.

    Args:
        city: where.
        unit: C or F.
    """
    return f"sunny in {city}, 20 {unit}"


def lookup(query: str) -> list[str]:
    return [query]


class Counter:
    """Counts."""

    def __call__(self, step: int) -> int:
        return step + 1

    async def later(self, step: int) -> int:
        """Count later."""
        return step + 2

    @staticmethod
    async def alone(step: int) -> int:
        """Count alone."""
        return step + 3


class AsyncCounter:
    async def __call__(self, step: int) -> int:
        return step


def test_a_tool_has_the_documented_defaults() -> None:
    made = Tool("weather", weather)
    assert (made.name, made.handler, made.description) == ("weather", weather, "Say what the weather is like.")
    assert (made.timeout, made.on_interrupt, made.delivery) == (30.0, "cancel", "now")
    assert (made.concurrency, made.blocking) == (None, None)
    assert repr(made) == "Tool(name='weather')"


def test_policies_are_kept() -> None:
    made = Tool(
        "w", None, "Look.", {"type": "object"},
        timeout=None, on_interrupt="detach", delivery="when_idle", concurrency=2, blocking=False,
    )  # fmt: skip
    assert (made.description, made.input_schema) == ("Look.", {"type": "object"})
    assert (made.timeout, made.on_interrupt, made.delivery) == (None, "detach", "when_idle")
    assert (made.concurrency, made.blocking) == (2, False)
    for interrupt in ("cancel", "keep", "detach"):
        assert Tool("w", None, on_interrupt=interrupt).on_interrupt == interrupt
    for delivery in ("now", "when_idle", "silent"):
        assert Tool("w", None, delivery=delivery).delivery == delivery


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "a tool needs a name"),
        ({"handler": "weather"}, "the handler of tool 'w' is a str, not a function"),
        ({"on_interrupt": "stop"}, "on_interrupt of tool 'w' is 'stop', not cancel, keep or detach"),
        ({"delivery": "later"}, "delivery of tool 'w' is 'later', not now, when_idle or silent"),
        ({"timeout": 0}, "timeout of tool 'w' is 0: it must be positive"),
        ({"timeout": -1.0}, "timeout of tool 'w' is -1.0: it must be positive"),
        ({"timeout": float("nan")}, "timeout of tool 'w' is nan: it must be positive"),
        ({"concurrency": 0}, "concurrency of tool 'w' is 0: it must be 1 or more"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Tool(**{"name": "w", "handler": None} | arguments)


@pytest.mark.parametrize(
    ("handler", "description"),
    [
        (weather, "Say what the weather is like."),
        (lookup, ""),
        (None, ""),
        (Counter(), "Counts."),
        (AsyncCounter(), ""),
        (Counter().later, "Count later."),
        (functools.partial(weather, unit="F"), "Say what the weather is like."),
        (functools.partial(functools.partial(Counter().later, step=1)), "Count later."),
        (lambda x: x, ""),
    ],
)
def test_the_description_is_the_first_paragraph_of_the_docstring(handler: Any, description: str) -> None:
    assert Tool("t", handler).description == description
    assert Tool("t", handler, "Mine.").description == "Mine."


@pytest.mark.parametrize(
    ("handler", "is_async"),
    [
        (weather, True),
        (lookup, False),
        (None, False),
        (Counter(), False),
        (Counter().later, True),
        (Counter.alone, True),
        (AsyncCounter(), True),
        (functools.partial(weather, "Oslo"), True),
        (functools.partial(AsyncCounter(), 1), True),
        (functools.partial(lookup, "x"), False),
        (lambda: weather("Oslo"), False),
    ],
)
def test_a_handler_that_is_async_is_known_as_such(handler: Any, is_async: bool) -> None:
    assert Tool("t", handler).is_async is is_async


def test_the_decorator_takes_name_and_description_from_the_function() -> None:
    made = tool(weather)
    assert (made.name, made.handler, made.description) == ("weather", weather, "Say what the weather is like.")


def test_the_decorator_takes_policies() -> None:
    @tool(name="find", description="Find it.", timeout=5, on_interrupt="keep", delivery="silent", concurrency=1)
    def other(query: str) -> list[str]:
        return [query]

    assert (other.name, other.description, other.timeout) == ("find", "Find it.", 5)
    assert (other.on_interrupt, other.delivery, other.concurrency) == ("keep", "silent", 1)
    assert tool()(lookup).name == "lookup"


def test_the_decorator_names_partials_after_their_function_and_asks_for_a_name_otherwise() -> None:
    assert tool(functools.partial(weather, "Oslo")).name == "weather"
    assert tool(Counter().later).name == "later"
    with pytest.raises(ConfigurationError, match="a tool needs a name"):
        tool(Counter())
    assert tool(name="count")(Counter()).name == "count"


def test_a_decorated_function_can_still_be_called() -> None:
    assert tool(lookup)("x") == ["x"]
    assert tool(lookup)(query="x") == ["x"]
    assert asyncio.run(tool(weather)("Oslo")) == "sunny in Oslo, 20 C"


def test_a_parameter_may_be_called_self() -> None:
    def odd(self: str) -> str:
        return self

    made = tool(odd)
    assert made(**made.arguments.check({"self": "me"})) == "me"


def test_calling_a_tool_without_handler_says_who_answers() -> None:
    with pytest.raises(ConfigurationError, match="tool 'ask' has no handler: the application answers"):
        Tool("ask", None)()


def test_the_schema_is_made_when_it_is_first_used_and_once() -> None:
    def broken(x: Missing) -> None:  # type: ignore[name-defined] # noqa: F821
        ...

    made = Tool("broken", broken)
    with pytest.raises(ConfigurationError, match="tool 'broken'"):
        _ = made.input_schema
    fine = Tool("weather", weather)
    assert fine.arguments is fine.arguments


def test_innermost_looks_through_partials() -> None:
    assert innermost(functools.partial(functools.partial(lookup), "x")) is lookup
    assert innermost(None) is None


def test_progress_outside_of_a_handler_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match="progress\\(\\) is for tool handlers"):
        progress("half way")


def test_progress_can_be_awaited_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("duologue.toolrun.report_progress", said.append)

    @virtual_time
    async def main() -> None:
        progress("one")
        await progress("two")
        assert said == ["one", "two"]

    main()
    assert inspect.isawaitable(progress("three"))


def test_tools_load_without_pydantic() -> None:
    """The schema's machinery is loaded with the first schema, not with the package."""
    code = (
        "import sys\nfrom duologue import tool\n@tool\ndef f(x: int): ...\n"
        "assert 'pydantic' not in sys.modules\nf.input_schema\nassert 'pydantic' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Tools: functions the model may call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from duologue.signature import Arguments

OnInterrupt: TypeAlias = Literal["cancel", "keep", "detach"]
Delivery: TypeAlias = Literal["now", "when_idle", "silent"]
Handler: TypeAlias = Callable[..., Any]


class Tool:
    """A function the model may call, with the policy of its calls.

    A handler is `async` (runs on the loop), plain (runs on a daemon thread of its own) or None (the
    application answers with `RealtimeAgent.send_tool_result`). It returns a `str`, any JSON-able value,
    a content block or a list of blocks.

    Attributes:
        name: what the model calls it.
        handler: the function, or None.
        description: what the model is told; default the docstring's first paragraph.
        timeout: seconds a call may run, from the moment it runs; None sets no limit.
        on_interrupt: what an interruption does to a running call. "cancel" stops it and tells the model;
            "keep" lets it finish and answer; "detach" answers at once and lets it finish unheard.
        delivery: when a result goes to the model. "now"; "when_idle", once nobody speaks; "silent", without
            asking for a reply.
        concurrency: how many calls of this tool run at once, more wait; None sets no limit.
        blocking: whether the model waits for the answer; None is the provider's default (matters to Gemini).

    Raises:
        ConfigurationError: a policy is unknown, or the signature can't be described as JSON schema (when
            `input_schema` is first used).
    """

    def __init__(
        self,
        name: str,
        handler: Handler | None,
        description: str = "",
        schema: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = 30.0,
        on_interrupt: OnInterrupt = "cancel",
        delivery: Delivery = "now",
        concurrency: int | None = None,
        blocking: bool | None = None,
    ) -> None:
        if not name:
            raise ConfigurationError("a tool needs a name")
        if handler is not None and not callable(handler):
            raise ConfigurationError(f"the handler of tool {name!r} is a {type(handler).__name__}, not a function")
        if on_interrupt not in ("cancel", "keep", "detach"):
            raise ConfigurationError(f"on_interrupt of tool {name!r} is {on_interrupt!r}, not cancel, keep or detach")
        if delivery not in ("now", "when_idle", "silent"):
            raise ConfigurationError(f"delivery of tool {name!r} is {delivery!r}, not now, when_idle or silent")
        if timeout is not None and not timeout > 0:  # NaN too
            raise ConfigurationError(
                f"timeout of tool {name!r} is {timeout}: it must be positive, or None for no limit"
            )
        if concurrency is not None and concurrency < 1:
            raise ConfigurationError(f"concurrency of tool {name!r} is {concurrency}: it must be 1 or more")
        self.name = name
        self.handler = handler
        self.description = description or _first_paragraph(handler)
        self.timeout = timeout
        self.on_interrupt: OnInterrupt = on_interrupt
        self.delivery: Delivery = delivery
        self.concurrency = concurrency
        self.blocking = blocking
        self._schema = schema

    @functools.cached_property
    def arguments(self) -> Arguments:
        """How this tool's arguments are described and checked."""
        from duologue.signature import describe  # pydantic loads with the first tool, not with the package

        return describe(self.name, self.handler, self._schema)

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments: the one given, else derived from the handler's signature."""
        return self.arguments.schema

    @property
    def is_async(self) -> bool:
        """Whether the handler runs on the loop rather than on a thread."""
        function = innermost(self.handler)
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the handler as the plain function it was."""
        if self.handler is None:
            raise ConfigurationError(f"tool {self.name!r} has no handler: the application answers its calls")
        return self.handler(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool(name={self.name!r})"


def innermost(handler: Any) -> Any:
    """The function that partials wrap."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    return handler


def _first_paragraph(handler: Any) -> str:
    text = inspect.getdoc(innermost(handler)) if handler is not None else None
    return " ".join(text.split("\n\n", 1)[0].split()) if text else ""


@overload
def tool(function: Handler, /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str = "",
    schema: Mapping[str, Any] | None = None,
    timeout: float | None = 30.0,
    on_interrupt: OnInterrupt = "cancel",
    delivery: Delivery = "now",
    concurrency: int | None = None,
    blocking: bool | None = None,
) -> Callable[[Handler], Tool]: ...
def tool(
    function: Handler | None = None, /, *, name: str | None = None, **policy: Any
) -> Tool | Callable[[Handler], Tool]:
    """Make a function a `Tool`; its docstring and signature tell the model how to call it.

    Example:
        ```python
        from duologue import tool

        @tool
        async def weather(city: str) -> str:
            '''Say what the weather is like in a city.'''
            return f"It is sunny in {city}."

        @tool(name="lookup", timeout=5, on_interrupt="keep")
        def find(query: str) -> list[str]:
            '''Search the catalogue.'''
            return [query]
        ```
    """

    def make(handler: Handler) -> Tool:
        return Tool(name or str(getattr(innermost(handler), "__name__", "")), handler, **policy)

    return make if function is None else make(function)


def progress(content: str) -> Awaitable[None]:
    """Report how far the running handler is: the application gets a `ToolProgress`.

    Acts before it returns, so it is right with `await` (async handlers) and without (handlers on threads).

    Raises:
        LocalProtocolError: not called from a tool handler that the agent runs.
    """
    from duologue.toolrun import report_progress

    report_progress(content)
    return _Done()


class _Done:
    """An awaitable that is ready."""

    def __await__(self) -> Any:
        return
        yield

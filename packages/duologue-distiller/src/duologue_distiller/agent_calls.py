"""AgentCalls: calls of a project's custom agents, as calls of tools. Pure.

The service names a call by its `request_id`, which its own client takes for "single_request" where it is missing, and
which nobody promises to be used once. Here every call has an id of its own, over all connections of a session.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from duologue.blocks import TextBlock
from duologue.events import Event, ProviderEvent, ToolInputDelta, ToolUseEnd, ToolUseStart

from duologue_distiller.client_messages import ExecutorResult, RequestArguments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.effects import AnswerCall

    from duologue_distiller.place import Place

_encode = msgspec.json.Encoder().encode

UNNAMED = "single_request"

TOOL_OF_AGENT = "__executor__"
"""The argument by which an agent with several functions names one of them."""

REMEMBERED = 4096
"""Ids that are remembered; older calls were given up long ago."""


class AgentCalls:
    """The calls of one session.

    Attributes:
        memory_updates: what the service is to remember, by the call whose answer says so.
    """

    EXECUTOR: ClassVar[str] = "executor"

    def __init__(self) -> None:
        self.memory_updates: dict[str, dict[str, Any]] = {}
        self._used: dict[str, None] = {}
        self._open: dict[str, tuple[str, str]] = {}
        self._index = 0

    def new_connection(self) -> None:
        """Calls of the connection before this one can't be answered any more."""
        self._open.clear()

    def came(self, request: Mapping[str, Any]) -> list[Event]:
        """Turn a request into a call; one that is said twice while it is open is one call."""
        role, kwargs = request.get("role"), request.get("kwargs")
        agent = role if isinstance(role, str) else ""
        given = request.get("request_id")
        request_id = str(given) if given else UNNAMED
        if given and any(known == (agent, request_id) for known in self._open.values()):
            return [ProviderEvent("distiller", "wait", dict(request))]
        arguments: Any = {} if kwargs is None else kwargs
        name = agent
        if isinstance(arguments, dict) and isinstance(arguments.get(TOOL_OF_AGENT), str):
            arguments = dict(arguments)
            name = arguments.pop(TOOL_OF_AGENT)
        call_id = self._name(request_id)
        self._open[call_id] = (agent, request_id)
        index, self._index = self._index, self._index + 1
        return [
            ToolUseStart(index, call_id, name),
            ToolInputDelta(index, call_id, json.dumps(arguments, ensure_ascii=False)),
            ToolUseEnd(index, call_id),
        ]

    def request_id(self, call_id: str) -> str:
        """What the service calls a call."""
        return self._open.get(call_id, ("", call_id))[1]

    def answer(self, answer: AnswerCall, place: Place) -> str:
        """The message that answers a call."""
        agent, request_id = self._open.pop(answer.tool_use_id, (answer.name, answer.tool_use_id))
        updates = self.memory_updates.pop(answer.tool_use_id, None)
        result = ExecutorResult(
            account=place.account,
            project=place.versioned_project,
            uuid=place.uuid,
            request_args=RequestArguments(content=as_text(answer), memory_updates=updates),
            role=agent,
            request_id=request_id,
        )
        return _encode(result).decode()

    def _name(self, request_id: str) -> str:
        call_id, number = request_id, 1
        while call_id in self._used:
            number += 1
            call_id = f"{request_id}#{number}"
        self._used[call_id] = None
        if len(self._used) > REMEMBERED:
            del self._used[next(iter(self._used))]
        return call_id


def as_text(answer: AnswerCall) -> str:
    """The result of a call as text, which is all that the protocol carries."""
    if isinstance(answer.content, str):
        return answer.content
    return "\n".join(b.text if isinstance(b, TextBlock) else f"[{b.media_type}]" for b in answer.content)

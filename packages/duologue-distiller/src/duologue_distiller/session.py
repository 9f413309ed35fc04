"""DistillerSession: a WireSession to a Realtime Distiller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duologue.blocks import TextBlock
from duologue.errors import LocalProtocolError
from duologue.wire import WireSession
from duologue.wire.links import open_link

from duologue_distiller.agent_calls import AgentCalls
from duologue_distiller.codec import PROVIDER, DistillerCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from duologue.blocks import ContentBlock
    from duologue.types import Message
    from duologue.wire import EndpointSource, LinkPolicy, Opening
    from duologue.wire.link import OpenLink

    from duologue_distiller.place import Place


HELD_LIMIT = 1 << 20
"""Characters of text that may wait for a commit."""


class DistillerSession(WireSession):
    """A session that outlives its connections.

    Typed text asks for its reply by itself, so text that was sent waits for `commit()`, and goes as one message.

    Another connection is told what was said before, in front of the next typed turn (`tell_history`). Else the service
    is trusted to remember the user, and only what it may not have taken in is sent again.

    Attributes:
        place: whose session it is.
        codec: the codec of the newest connection.
        calls: the calls of custom agents.
    """

    def __init__(
        self,
        place: Place,
        endpoint: EndpointSource,
        policy: LinkPolicy,
        *,
        sample_rate: int = 16000,
        whole_response: bool = False,
        tell_history: bool = False,
        manual: bool = False,
        history: Sequence[Message] = (),
        codec: type[DistillerCodec] = DistillerCodec,
        capture: str | Path | None = None,
        link: OpenLink = open_link,
    ) -> None:
        self.place = place
        self.codec: DistillerCodec | None = None
        self._make = codec
        self._tell_history = tell_history
        self._options: dict[str, Any] = {
            "sample_rate": sample_rate,
            "whole_response": whole_response,
            "tell_history": tell_history,
            "manual": manual,
        }
        self.calls = AgentCalls()
        self._dropped_before = 0
        self._held: list[str] = []
        self._held_size = 0
        describe = {"transport": PROVIDER, "place": place.describe(), **self._options}
        known = history if tell_history else ()
        super().__init__(
            self._new_codec, endpoint, policy, history=known, capture=capture, describe=describe, link=link
        )

    @property
    def input_dropped(self) -> int:
        """Audio blocks that were dropped because the server takes none while it responds (push-to-talk)."""
        return self._dropped_before + (self.codec.input_dropped if self.codec is not None else 0)

    async def send(self, content: ContentBlock | list[ContentBlock]) -> None:
        """Send audio; keep text until the turn is committed.

        Raises:
            SessionClosed: the session has ended.
            LocalProtocolError: a megabyte of text waits already.
            UnsupportedFormat: the protocol can't carry it.
        """
        for block in content if isinstance(content, list) else (content,):
            if not isinstance(block, TextBlock):
                await super().send(block)
                continue
            self._exchange.check_open()
            if self._held_size + len(block.text) > HELD_LIMIT:
                raise LocalProtocolError("too much text waits for commit(): the distiller takes it only as a question")
            if not block.text.strip():
                continue
            self._held_size += len(block.text)
            if self._tell_history:
                await super().send(block)  # the codec holds it; another connection has it from the history
            else:
                self._held.append(block.text)

    async def commit(self) -> None:
        """End the user's turn, with the text that waits, and ask for a reply.

        Raises:
            SessionClosed: the session has ended.
        """
        self._exchange.check_open()
        held, self._held, self._held_size = self._held, [], 0
        if held:
            await super().send(TextBlock("\n\n".join(held)))
        await super().commit()

    def replay_from(self, history: Callable[[], Sequence[Message]]) -> None:
        """Ask here for what another connection is told; nothing is told without `tell_history`."""
        if self._tell_history:
            super().replay_from(history)

    def _new_codec(self, opening: Opening) -> DistillerCodec:
        self._dropped_before = self.input_dropped
        self.codec = self._make(opening, self.place, calls=self.calls, **self._options)
        return self.codec


def replayed_codec(session: Mapping[str, Any], opening: Opening, place: Place) -> DistillerCodec:
    """Make the codec of a captured session again."""
    return DistillerCodec(
        opening,
        place,
        sample_rate=session["sample_rate"],
        whole_response=session["whole_response"],
        tell_history=session.get("tell_history", False),
        manual=session.get("manual", False),
    )

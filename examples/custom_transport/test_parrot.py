"""The parrot keeps the transport contract, and is found by its name."""

from __future__ import annotations

from typing import ClassVar

from duologue import RealtimeTransport, get_transport
from duologue.testing import TransportContract
from parrot import ParrotTransport


class TestParrot(TransportContract):
    """The whole contract; what the parrot does not offer (speech recognition, tools) is skipped."""

    long_prompt: ClassVar[str] = "row " * 60

    def transport(self) -> RealtimeTransport:
        return ParrotTransport()


def test_it_is_found_by_its_name() -> None:
    assert isinstance(get_transport("parrot"), ParrotTransport)

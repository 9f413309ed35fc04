"""What the tests share: a server of the protocol, transports that reach it, and a model that remembers by user."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from duologue.blocks import TextBlock
from duologue.testing import StandIn, WireServer
from duologue.testing.stand_in import Memory
from duologue.wire import SendContent
from duologue_distiller import DistillerServerCodec, DistillerTransport

if TYPE_CHECKING:
    from duologue.testing import Peer


class Known(list):
    """What a memory was told, each thing once.

    Nothing on the wire acknowledges a turn, so one whose answer was lost is said again; a service that knows it
    already would hear it twice. A test tells a loss from a doubling all the same, since what is said twice is equal.
    """

    def append(self, entry):
        who, text = entry
        told = re.search(r"done-\S+", text)
        key = told.group() if told and (who == "result" or "Result of" in text) else text
        if who in ("user", "result"):
            self[:] = [e for e in self if e[0] not in ("user", "result") or (e[1] != text and not self._tells(e, key))]
        super().append(entry)

    @staticmethod
    def _tells(entry, key):
        return key.startswith("done-") and (entry[0] == "result" or "Result of" in entry[1]) and key in entry[1]


class Remembering(StandIn):
    """A model that goes on with the same user's conversation on another connection."""

    def take_up(self, peer: Peer) -> Memory:
        memory = Memory(self.memory.said if self.memories else Known(), self.memory.heard if self.memories else [])
        self.memories.append(memory)
        return memory

    def snapshot(self, memory: Memory) -> str:
        return ""


class SplittingServerCodec(DistillerServerCodec):
    """Takes apart again what the client's codec put into one message."""

    def decode(self, frame):
        commands = []
        for command in super().decode(frame):
            match command:
                case SendContent(block=TextBlock(text=text)):
                    commands += [SendContent(TextBlock(part)) for part in text.split("\n\n")]
                case _:
                    commands.append(command)
        return commands


def transport(server: WireServer, **options: Any) -> DistillerTransport:
    options = {"api_key": "key-of-a-test", "account": "org", "ssl": server.ssl, **options}
    return DistillerTransport("example", "test", base_url=server.url, **options)

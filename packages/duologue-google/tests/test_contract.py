"""Both transports keep the contract over TLS, with each family of models that differs."""

import array
import math
from typing import ClassVar

from duologue import tool
from duologue.testing import StandIn, TransportContract, VirtualClock
from google_kit import MODEL_25, MODEL_31, MODEL_38, developer, serve, vertex


@tool
async def clock() -> str:
    """Tell the time."""
    return "noon"


def spoken(seconds: float = 0.6, silence: float = 1.0) -> bytes:
    voice = [int(8000 * math.sin(i / 8)) for i in range(int(16000 * seconds))]
    return array.array("h", voice + [0] * int(16000 * silence)).tobytes()


class GoogleContract(TransportContract):
    __test__ = False

    long_prompt = "story 200"
    tools: ClassVar = [clock]
    tool_prompt = "call clock"
    spoken = spoken()
    reach = staticmethod(developer)
    model = MODEL_38

    def run(self, main):
        async def served():
            async with serve(StandIn(pace=0.01)) as self.server:
                await main

        VirtualClock().run(served())

    def transport(self):
        return self.reach(self.server, model=self.model)


class TestStable(GoogleContract):
    __test__ = True


class TestRealtimeText(GoogleContract):
    """Text goes as realtime input, and nothing on the wire stops a reply."""

    __test__ = True
    model = MODEL_31


class TestOlder(GoogleContract):
    __test__ = True
    model = MODEL_25


class TestVertex(GoogleContract):
    __test__ = True
    reach = staticmethod(vertex)


class TestVertexOlder(TestVertex):
    model = "gemini-live-2.5-flash-native-audio"

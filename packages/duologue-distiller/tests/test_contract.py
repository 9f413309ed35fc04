"""The transport contract over a real socket, in barge-in and in push-to-talk mode."""

import array
import math
from functools import partial
from typing import ClassVar

from duologue import tool
from duologue.testing import StandIn, TransportContract, VirtualClock, WireServer
from duologue_distiller import DistillerServerCodec

from .kit import transport


@tool
async def clock() -> str:
    """Tell the time."""
    return "noon"


def spoken(seconds: float = 0.6, silence: float = 1.0) -> bytes:
    voice = [int(8000 * math.sin(i / 8)) for i in range(int(16000 * seconds))]
    return array.array("h", voice + [0] * int(16000 * silence)).tobytes()


class DistillerContract(TransportContract):
    __test__ = False

    long_prompt = "story 200"
    tools: ClassVar = [clock]
    tool_prompt = "call clock"
    spoken = spoken()
    tls = True
    barge_in = True

    def run(self, main):
        async def served():
            codec = partial(DistillerServerCodec, barge_in=self.barge_in)
            async with WireServer(codec, StandIn(pace=0.01), tls=self.tls) as self.server:
                await main

        VirtualClock().run(served())

    def transport(self):
        return transport(self.server)


class TestBargeIn(DistillerContract):
    __test__ = True


class TestPushToTalk(DistillerContract):
    __test__ = True
    barge_in = False
    tls = False


class TestWholeResponse(DistillerContract):
    __test__ = True

    def transport(self):
        return transport(self.server, whole_response=True)

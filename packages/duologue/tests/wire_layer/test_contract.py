"""The transport contract over a real socket, with the toy protocol."""

import array
import math
from typing import ClassVar

import pytest
from duologue import tool
from duologue.testing import StandIn, TransportContract, VirtualClock, WireServer
from duologue.testing.toy import ToyServerCodec, ToyTransport
from duologue.wire.links import has_picows
from duologue.wire.websockets_link import open_websockets_link


@tool
async def clock() -> str:
    """Tell the time."""
    return "noon"


def spoken(seconds: float = 0.6, silence: float = 1.0) -> bytes:
    voice = [int(8000 * math.sin(i / 8)) for i in range(int(16000 * seconds))]
    return array.array("h", voice + [0] * int(16000 * silence)).tobytes()


class WireContract(TransportContract):
    __test__ = False

    long_prompt = "story 200"
    tools: ClassVar = [clock]
    tool_prompt = "call clock"
    spoken = spoken()
    tls = False

    def run(self, main):
        async def served():
            async with WireServer(ToyServerCodec, StandIn(pace=0.01), tls=self.tls) as self.server:
                await main

        VirtualClock().run(served())

    def transport(self):
        return ToyTransport(self.server.url, ssl=self.server.ssl, link=self.link)


class TestWebsockets(WireContract):
    __test__ = True
    link = staticmethod(open_websockets_link)


class TestWebsocketsTls(TestWebsockets):
    tls = True


@pytest.mark.skipif(not has_picows(), reason="the extra duologue[fast] is not installed")
class TestPicows(WireContract):
    __test__ = True

    @staticmethod
    async def link(endpoint, within):
        from duologue.wire.picows_link import open_picows_link

        return await open_picows_link(endpoint, within)


class TestPicowsTls(TestPicows):
    tls = True

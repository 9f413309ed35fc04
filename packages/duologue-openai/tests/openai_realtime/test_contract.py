"""The transport contract over a real socket, with the stand-in model behind our own server half."""

import array
import math
from typing import ClassVar

from duologue import tool
from duologue.testing import StandIn, TransportContract, VirtualClock, WireServer
from duologue_openai import OpenAIRealtimeTransport, OpenAIServerCodec


@tool
async def clock() -> str:
    """Tell the time."""
    return "noon"


def spoken(seconds: float = 0.6, silence: float = 1.0) -> bytes:
    voice = [int(8000 * math.sin(i / 8)) for i in range(int(16000 * seconds))]
    return array.array("h", voice + [0] * int(16000 * silence)).tobytes()


class TestOpenAI(TransportContract):
    long_prompt = "story 200"
    tools: ClassVar = [clock]
    tool_prompt = "call clock"
    spoken = spoken()
    tls = False

    def run(self, main):
        async def served():
            model = StandIn(pace=0.01, resumable=False, tells_results=False)
            async with WireServer(OpenAIServerCodec, model, tls=self.tls) as self.server:
                await main

        VirtualClock().run(served())

    def transport(self):
        return OpenAIRealtimeTransport("sk-test-key", base_url=self.server.url, ssl=self.server.ssl)


class TestOpenAIOverTls(TestOpenAI):
    tls = True

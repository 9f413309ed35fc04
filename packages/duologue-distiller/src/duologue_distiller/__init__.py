"""AI Refinery's Realtime Distiller: client, transport, helpers."""

from duologue_distiller.agent_calls import AgentCalls
from duologue_distiller.codec import DistillerCodec
from duologue_distiller.place import Place
from duologue_distiller.server_codec import DistillerServerCodec

__all__ = ["AgentCalls", "DistillerCodec", "DistillerServerCodec", "Place"]

"""AI Refinery's Realtime Distiller: client, transport, helpers."""

from duologue_distiller.bad_name import BadName
from duologue_distiller.client import DistillerClient
from duologue_distiller.codec import DistillerCodec
from duologue_distiller.connection import DistillerConnection
from duologue_distiller.credentials import Credentials, TokenProvider
from duologue_distiller.keypress import CancelOnKeypress
from duologue_distiller.place import Place
from duologue_distiller.projects import RealtimeDistiller
from duologue_distiller.server_codec import DistillerServerCodec
from duologue_distiller.session import DistillerSession
from duologue_distiller.transport import DistillerTransport

AsyncAIRefinery = DistillerClient
"""The official client's name for it."""

__all__ = [
    "AsyncAIRefinery",
    "BadName",
    "CancelOnKeypress",
    "Credentials",
    "DistillerClient",
    "DistillerCodec",
    "DistillerConnection",
    "DistillerServerCodec",
    "DistillerSession",
    "DistillerTransport",
    "Place",
    "RealtimeDistiller",
    "TokenProvider",
]

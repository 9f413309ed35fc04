"""AI Refinery's Realtime Distiller: client, transport, helpers."""

from duologue_distiller.bad_name import BadName
from duologue_distiller.codec import DistillerCodec
from duologue_distiller.credentials import Credentials, TokenProvider
from duologue_distiller.place import Place
from duologue_distiller.server_codec import DistillerServerCodec
from duologue_distiller.session import DistillerSession
from duologue_distiller.transport import DistillerTransport

__all__ = [
    "BadName",
    "Credentials",
    "DistillerCodec",
    "DistillerServerCodec",
    "DistillerSession",
    "DistillerTransport",
    "Place",
    "TokenProvider",
]

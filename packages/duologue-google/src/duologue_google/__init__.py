"""Gemini Live for Duologue: the Developer API, Vertex AI, and the server half of the protocol."""

from duologue_google.codec import GeminiCodec
from duologue_google.developer import GeminiLiveTransport
from duologue_google.languages import SUPPORTED_LIVE_LANGUAGES, VOICES, detect_system_language
from duologue_google.models import DEFAULT_MODEL, MODELS, STABLE_MODEL, ModelTraits, traits_of
from duologue_google.options import LiveOptions
from duologue_google.plan import SessionPlan
from duologue_google.probe import RegionProber, probe_nearest_live_region
from duologue_google.regions import LIVE_REGIONS
from duologue_google.server_codec import GeminiServerCodec
from duologue_google.vertex import VertexLiveTransport

__all__ = [
    "DEFAULT_MODEL",
    "LIVE_REGIONS",
    "MODELS",
    "STABLE_MODEL",
    "SUPPORTED_LIVE_LANGUAGES",
    "VOICES",
    "GeminiCodec",
    "GeminiLiveTransport",
    "GeminiServerCodec",
    "LiveOptions",
    "ModelTraits",
    "RegionProber",
    "SessionPlan",
    "VertexLiveTransport",
    "detect_system_language",
    "probe_nearest_live_region",
    "traits_of",
]

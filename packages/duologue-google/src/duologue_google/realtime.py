"""The names of the realtime guide: transports, languages and the choice of a region."""

from duologue_google.developer import GeminiLiveTransport
from duologue_google.languages import SUPPORTED_LIVE_LANGUAGES, detect_system_language
from duologue_google.probe import probe_nearest_live_region
from duologue_google.vertex import VertexLiveTransport

__all__ = [
    "SUPPORTED_LIVE_LANGUAGES",
    "GeminiLiveTransport",
    "VertexLiveTransport",
    "detect_system_language",
    "probe_nearest_live_region",
]

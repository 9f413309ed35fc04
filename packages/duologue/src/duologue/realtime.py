"""The agent and discovery under the module name that users of other toolkits look for."""

from duologue.agent import RealtimeAgent
from duologue.discovery import available_transports, configured_transports, get_transport

__all__ = ["RealtimeAgent", "available_transports", "configured_transports", "get_transport"]

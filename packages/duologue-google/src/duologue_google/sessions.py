"""Sessions: what the transports of both backends have in common."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from duologue.errors import UnsupportedFormat
from duologue.formats import parse_format
from duologue.wire import KeepAlive, LinkPolicy, WireSession

from duologue_google.addresses import from_environment
from duologue_google.codec import GeminiCodec
from duologue_google.models import ModelTraits, resolve_model
from duologue_google.options import LiveOptions
from duologue_google.plan import SessionPlan, make_plan

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from duologue.tool import Tool
    from duologue.transport import TurnDetection
    from duologue.types import Message
    from duologue.wire import EndpointSource, Opening

log = logging.getLogger(__name__)

KEEP_ALIVE = KeepAlive(answers=False)
"""Google's pongs may take half a minute: a call that works must not be cut for that."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What `connect` was asked for."""

    system: str
    tools: Sequence[Tool]
    voice: str | None
    input_audio_format: str
    output_audio_format: str
    turn_detection: TurnDetection | None
    history: Sequence[Message]
    options: Mapping[str, Any] | None


class LiveTransport:
    """The common part of `GeminiLiveTransport` and `VertexLiveTransport`.

    Attributes:
        model: the model as it was given.
        options: the options of every session.
    """

    vertex = False
    base_url_variable = ""

    def __init__(
        self,
        *,
        model: str,
        language_code: str | None,
        base_url: str | None,
        ssl: ssl.SSLContext | None,
        capture: str | Path | None,
        api_version: str | None,
        traits: ModelTraits | None,
        policy: Callable[[], LinkPolicy],
        keep_alive: KeepAlive,
        settings: Mapping[str, Any],
    ) -> None:
        self.model = model
        self.base_url = base_url or from_environment(self.base_url_variable)
        self.options = LiveOptions.of({"language_code": language_code, **settings})
        self._ssl = ssl
        self._capture = capture
        self._api_version = api_version
        self._traits = traits
        self._policy = policy
        self._keep_alive = keep_alive

    @classmethod
    def replay_codec(cls, session: Mapping[str, Any], opening: Opening) -> GeminiCodec:
        """Make a codec of a captured session again, from what `connect` noted of it."""
        return GeminiCodec.from_description(session, opening)

    def _plan(self, wanted: Wanted, model: str, resource: str) -> SessionPlan:
        output = parse_format(wanted.output_audio_format)
        if output.encoding != "audio/pcm":
            raise UnsupportedFormat(f"Gemini speaks PCM16 at 24 kHz, not {wanted.output_audio_format}")
        if wanted.turn_detection is not None and not wanted.turn_detection.create_response:
            log.warning("Gemini answers at the end of each turn: create_response=False has no effect")
        return make_plan(
            model=model,
            resource=resource,
            options=self._options_for(wanted),
            traits=self._traits,
            vertex=self.vertex,
            system=wanted.system,
            tools=wanted.tools,
            voice=wanted.voice,
            input_format=wanted.input_audio_format,
            detection=wanted.turn_detection,
        )

    def _model_for(self, wanted: Wanted) -> str:
        """The model to ask for; an option of a session comes before the transport's."""
        return resolve_model(str((wanted.options or {}).get("model") or self.model))

    def _options_for(self, wanted: Wanted) -> LiveOptions:
        given = {name: value for name, value in (wanted.options or {}).items() if name != "model"}
        return LiveOptions.of(given, self.options)

    def _session(self, wanted: Wanted, plan: SessionPlan, endpoint: EndpointSource) -> WireSession:
        def codec(opening: Opening) -> GeminiCodec:
            return GeminiCodec(plan, opening)

        return WireSession(
            codec,
            endpoint,
            self._policy(),
            history=wanted.history,
            capture=self._capture,
            describe={"transport": "vertex" if self.vertex else "gemini", **plan.describe()},
        )

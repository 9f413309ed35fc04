"""SessionPlan: everything that opens a session, JSON-able, and as the wire has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from duologue.errors import ConfigurationError, UnsupportedFormat
from duologue.formats import parse_format
from duologue.transport import Capabilities, TurnDetection
from msgspec import UNSET, UnsetType

from duologue_openai.options import OpenAIOptions
from duologue_openai.session_object import (
    Audio,
    AudioInput,
    AudioOutput,
    Detection,
    Format,
    NoiseReduction,
    SessionObject,
    Transcription,
)

if TYPE_CHECKING:
    from typing import Self

    from duologue.tool import Tool

PROVIDER = "openai"

PCM = "audio/pcm;rate=24000"
"""The only PCM that the protocol knows, in both directions."""

SESSION_S = 3600.0
"""How long a session may last, by the provider's own limit."""


@dataclasses.dataclass(frozen=True, slots=True)
class ToolPlan:
    """A tool, without its handler."""

    name: str
    description: str
    schema: Mapping[str, Any]
    silent: bool = False

    @classmethod
    def of(cls, tool: Tool) -> Self:
        """What the wire and the codec need of a tool."""
        return cls(tool.name, tool.description, tool.input_schema, tool.delivery == "silent")

    def wire(self) -> dict[str, Any]:
        """The tool in a session object."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.schema),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """What a session is opened with.

    Attributes:
        model: the model's name, for the record: the address names it.
        system: the system prompt.
        tools: what the model may call.
        voice: the voice's name, or the id of a voice of your own.
        input_format: media type of the audio we send.
        output_format: media type of the audio we want.
        detection: who ends the user's turn; None is the provider's default, its own voice detection.
        options: everything else.
    """

    model: str = ""
    system: str = ""
    tools: tuple[ToolPlan, ...] = ()
    voice: str | None = None
    input_format: str = PCM
    output_format: str = PCM
    detection: TurnDetection | None = None
    options: OpenAIOptions = dataclasses.field(default_factory=OpenAIOptions)

    @property
    def capabilities(self) -> Capabilities:
        """What such a session can do."""
        speaks = self.options.modality == "audio"
        return Capabilities(
            input_rates=(24000,) if self.input_format == PCM else (),
            output_rate=24000 if self.output_format == PCM else 8000,
            server_vad=self.detection is None or self.detection.mode != "manual",
            manual_turns=True,
            image_input=True,
            transcripts=speaks or self.options.transcription is not None,
            truncation=speaks,
            session_update=True,
            max_session_s=SESSION_S,
        )

    @property
    def answers_speech(self) -> bool:
        """Whether the provider answers by itself when the user stops speaking."""
        return self.detection is None or (self.detection.mode != "manual" and self.detection.create_response)

    def session(self) -> SessionObject:
        """The session object that asks for all of it.

        Raises:
            ConfigurationError: an option that this kind of turn detection, or this transcription, doesn't have.
        """
        options = self.options
        mode = "server" if self.detection is None else self.detection.mode
        for name, of in (("idle_timeout_ms", "server"), ("eagerness", "semantic")):
            if getattr(options, name) is not None and mode != of:
                raise ConfigurationError(f"{name} is for {of} turn detection, and this is {mode}", provider=PROVIDER)
        tools = [tool.wire() for tool in self.tools] + [{"type": "mcp", **server} for server in options.mcp]
        reduction = options.noise_reduction
        return SessionObject(
            type="realtime",
            instructions=self.system if self.system or options.prompt is None else None,  # a stored prompt has its own
            output_modalities=[options.modality],
            max_output_tokens=options.max_output_tokens,
            audio=Audio(
                input=AudioInput(
                    format=wire_format(self.input_format),
                    noise_reduction=UNSET if reduction is None else NoiseReduction(type=reduction),
                    transcription=_transcription(options.transcription),
                    turn_detection=wire_detection(self.detection, options),
                ),
                output=AudioOutput(
                    format=wire_format(self.output_format), voice=_voice(self.voice), speed=options.speed
                ),
            ),
            tools=tools if tools or options.prompt is None else None,
            tool_choice=_plain(options.tool_choice),
            parallel_tool_calls=options.parallel_tool_calls,
            reasoning=None if options.reasoning is None else {"effort": options.reasoning},
            tracing=UNSET if options.tracing is None else _plain(options.tracing),
            truncation=_plain(options.truncation),
            prompt=UNSET if options.prompt is None else dict(options.prompt),
            include=list(options.include) or None,
        )

    def session_fields(self) -> dict[str, Any]:
        """The session object as the wire has it, newer settings included."""
        fields: dict[str, Any] = msgspec.to_builtins(self.session())
        return _merged(fields, self.options.extra)

    def describe(self) -> dict[str, Any]:
        """The plan as JSON can hold it; headers and tokens of remote servers are left out."""
        plan = dataclasses.asdict(self)
        plan["options"]["mcp"] = [
            {key: value for key, value in server.items() if key not in ("authorization", "headers")}
            for server in self.options.mcp
        ]
        described: dict[str, Any] = msgspec.to_builtins(plan)
        return described

    @classmethod
    def of_description(cls, described: Mapping[str, Any]) -> Self:
        """Read what `describe` made; what is missing has its default.

        Raises:
            ConfigurationError: it is no such description.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        found = {key: value for key, value in described.items() if key in fields}
        try:
            found["tools"] = tuple(ToolPlan(**tool) for tool in found.get("tools", ()))
            if found.get("detection") is not None:
                found["detection"] = TurnDetection(**found["detection"])
            found["options"] = OpenAIOptions().changed(found.get("options"))
            return cls(**found)
        except TypeError as exc:
            raise ConfigurationError(f"this describes no session of openai: {exc}", provider=PROVIDER) from None


def agreed_format(media_type: str, *, what: str) -> str:
    """The format that is agreed with the provider for what the application uses.

    PCM16 of any rate becomes 24 kHz, to which the agent converts.

    Raises:
        UnsupportedFormat: the protocol has no such format.
    """
    encoding = parse_format(media_type).encoding
    if encoding == "audio/pcm":
        return PCM
    if encoding in ("audio/pcmu", "audio/pcma"):
        return encoding
    raise UnsupportedFormat(
        f"openai knows no {media_type} for {what}: it takes audio/pcm, audio/pcmu and audio/pcma", provider=PROVIDER
    )


def wire_format(media_type: str) -> Format:
    """A format as the wire has it."""
    return Format(type="audio/pcm", rate=24000) if media_type == PCM else Format(type=media_type)


def wire_detection(detection: TurnDetection | None, options: OpenAIOptions) -> Detection | None:
    """Turn detection as the wire has it.

    Raises:
        ConfigurationError: it asks for what this mode has no setting for.
    """
    wanted = detection or TurnDetection()
    if wanted.mode == "manual":
        return None
    if wanted.mode == "semantic":
        for name in ("threshold", "prefix_ms", "silence_ms"):
            if getattr(wanted, name) is not None:
                raise ConfigurationError(
                    f"semantic turn detection of openai has no {name}: its `eagerness` is an option", provider=PROVIDER
                )
        return Detection(
            type="semantic_vad",
            eagerness=options.eagerness,
            create_response=wanted.create_response,
            interrupt_response=wanted.interrupt,
        )
    return Detection(
        type="server_vad",
        threshold=wanted.threshold,
        prefix_padding_ms=wanted.prefix_ms,
        silence_duration_ms=wanted.silence_ms,
        create_response=wanted.create_response,
        interrupt_response=wanted.interrupt,
        idle_timeout_ms=options.idle_timeout_ms,
    )


def _transcription(wanted: str | Mapping[str, Any] | None) -> Transcription | UnsetType | None:
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return Transcription(model=wanted)
    try:
        return msgspec.convert(dict(wanted), Transcription)
    except msgspec.ValidationError as exc:
        raise ConfigurationError(f"this is no transcription of openai: {exc}", provider=PROVIDER) from None


def _voice(voice: str | None) -> str | dict[str, Any] | None:
    return {"id": voice} if voice is not None and voice.startswith("voice_") else voice


def _plain(value: str | Mapping[str, Any] | None) -> str | dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) else value


def _merged(fields: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in more.items():
        old = fields.get(key)
        fields[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return fields


def tool_plans(tools: Sequence[Tool]) -> tuple[ToolPlan, ...]:
    """The tools of a plan."""
    return tuple(map(ToolPlan.of, tools))

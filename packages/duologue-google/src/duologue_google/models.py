"""Models: what each Live model takes and refuses, as data. `ModelTraits` can be overridden where the table errs."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any, Literal

log = logging.getLogger(__name__)

DEFAULT_MODEL = "gemini-3-flash-preview"
"""The documented default. It is no Live model; `resolve_model` sends the current stable one in its place."""

STABLE_MODEL = "gemini-3.8-live"
"""The current stable Live model, on the Developer API and on Vertex AI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTraits:
    """What a family of Live models takes.

    Attributes:
        family: the beginning of the names it holds for; "" for any other model.
        where: where Google serves it.
        history: how it learns what was said before: "first" (`historyConfig`, the first `clientContent` is history)
            or "content" (`clientContent` without `turnComplete`).
        text: how it takes typed text: "content" (`clientContent` at any time) or "realtime" (`realtimeInput.text`;
            there `clientContent` in a running session is refused).
        thinking: "none", "budget", "level", "any" (either) or "required".
        blocking_tools: the model can wait for a tool's answer.
        nonblocking_tools: it can go on talking while a tool runs.
        default_blocking: what it does when a declaration doesn't say.
        scheduling: it takes `scheduling` in results of calls that don't block.
        gates_input: it closes the session if realtime input comes while a blocking call is open.
        context_update: it takes a new system prompt and new tools in a running session.
        affective: it takes `enableAffectiveDialog`.
        proactive: "option", "always" (and refuses to hear of it) or "no".
        speaks: it answers in speech.
        translates: it takes `translationConfig`.
        interaction_status: several turns may make one interaction; only status IDLE ends it.
        alpha_options: options that need the API version v1alpha.
    """

    family: str = ""
    where: str = ""
    history: Literal["first", "content"] = "first"
    text: Literal["content", "realtime"] = "realtime"
    thinking: Literal["none", "budget", "level", "any", "required"] = "any"
    blocking_tools: bool = True
    nonblocking_tools: bool = False
    default_blocking: bool = True
    scheduling: bool = False
    gates_input: bool = True
    context_update: bool = False
    affective: bool = True
    proactive: Literal["option", "always", "no"] = "option"
    speaks: bool = True
    translates: bool = False
    interaction_status: bool = False
    alpha_options: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return the traits as JSON-able data."""
        return dataclasses.asdict(self) | {"alpha_options": list(self.alpha_options)}

    @classmethod
    def from_description(cls, data: dict[str, Any]) -> ModelTraits:
        """Make the traits that `describe` described; names it does not know are left out."""
        names = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in data.items() if name in names}
        return cls(**known | {"alpha_options": tuple(known.get("alpha_options", ()))})


MODELS: tuple[ModelTraits, ...] = (
    ModelTraits(
        family="gemini-3.8-live-extended-thinking",
        where="Developer API",
        history="content",
        text="content",
        thinking="required",
        blocking_tools=False,
        nonblocking_tools=True,
        default_blocking=False,
        gates_input=False,
        context_update=True,
        affective=False,
        proactive="always",
        interaction_status=True,
    ),
    ModelTraits(
        family="gemini-3.8-live",
        where="Developer API, Vertex AI",
        history="content",
        text="content",
        thinking="none",
        nonblocking_tools=True,
        default_blocking=False,
        scheduling=True,
        gates_input=False,
        context_update=True,
        affective=False,
        proactive="always",
    ),
    ModelTraits(
        family="gemini-3.5-live-translate",
        where="Developer API, Vertex AI",
        thinking="none",
        blocking_tools=False,
        affective=False,
        proactive="no",
        translates=True,
    ),
    ModelTraits(
        family="gemini-3.5-transcribe-live",
        where="Developer API, Vertex AI",
        thinking="none",
        blocking_tools=False,
        affective=False,
        proactive="no",
        speaks=False,
    ),
    ModelTraits(
        family="gemini-3.1-flash-live",
        where="Developer API",
        history="first",
        text="realtime",
        thinking="level",
        affective=False,
        proactive="no",
    ),
    ModelTraits(
        family="gemini-live-2.5-flash",
        where="Vertex AI",
        history="content",
        text="content",
        thinking="budget",
    ),
    ModelTraits(
        family="gemini-2.5-flash-native-audio",
        where="Developer API",
        history="content",
        text="content",
        thinking="budget",
        nonblocking_tools=True,
        scheduling=True,
        alpha_options=("affective_dialog", "proactive_audio"),
    ),
    ModelTraits(where="any other"),
)
"""The table; a model has the traits of the first family its name begins with."""


def traits_of(model: str) -> ModelTraits:
    """Return the traits of a model by its name, with or without a resource path before it."""
    name = model.rpartition("/")[2]
    return next(traits for traits in MODELS if name.startswith(traits.family))


def resolve_model(model: str) -> str:
    """Return the model to ask for: the stable Live model for the documented default, any other name unchanged."""
    if model == DEFAULT_MODEL:
        log.info("%s is no Live model: %s is used in its place", DEFAULT_MODEL, STABLE_MODEL)
        return STABLE_MODEL
    return model

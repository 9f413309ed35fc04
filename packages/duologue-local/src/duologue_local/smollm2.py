"""SmolLM2: a small language model (135 million parameters). A demo brain, not an assistant."""

from __future__ import annotations

import json
import re

from duologue_local.llama import Llama
from duologue_local.routing import Router
from duologue_local.stages import ChatMessage, Emit, Generation, Rendered, Request
from duologue_local.weights import SMOLLM2, find

CONTEXT = 1280
"""Tokens. The model can do more, but reads 160 a second on one core: who waits for 2048 waits 13 s."""
CHAT, ROUTE = 0, 1
END = "<|im_end|>"

PRIMER = (
    ChatMessage("user", "Hello!"),
    ChatMessage("assistant", "Hello! How can I help you?"),
    ChatMessage("user", "What is the largest ocean?"),
    ChatMessage("assistant", "The largest ocean is the Pacific Ocean."),
)
"""Two exchanges before the real ones. Without them the model often answers in French, or with an essay."""
PRIMER_TOKENS = 80

SPEAKABLE = 400
"""Characters of a result that are read out."""


class SmolLM2:
    """SmolLM2-135M-Instruct, 4 bits, on llama.cpp."""

    context_tokens = CONTEXT - PRIMER_TOKENS

    def __init__(self) -> None:
        [model] = find(SMOLLM2).values()
        self._llama = Llama(model, context=CONTEXT, slots=2)
        self._router = Router(_RouteModel(self._llama), *SMOLLM2.files.values())
        self.generate(Request((ChatMessage("user", "Hello!"),), max_tokens=1), lambda _: False)

    def prepare(self, request: Request) -> None:
        """Get ready for a session: measure its tools, read its system prompt."""
        self._router.prepare(request.tools)
        self._write(Request(request.messages, max_tokens=1), lambda _: False)

    def generate(self, request: Request, emit: Emit) -> Generation:
        """Answer: results are read out as they are, requests to tools become calls, all else is chat."""
        last = request.messages[-1]
        emit(Rendered(render(request.messages)))
        if last.role == "tool":
            emit(told(results(request.messages)))
            return Generation()
        if request.tools and last.role == "user":
            call = self._router.route(last.content, request.tools, last_tool(request.messages))
            if call is not None:
                emit(call)
                return Generation()
        return self._write(request, emit)

    def _write(self, request: Request, emit: Emit) -> Generation:
        return self._llama.write(
            render(request.messages),
            emit,
            slot=CHAT,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            seed=request.seed,
            stop=[END],
        )


class _RouteModel:
    """The model as routing sees it, in a slot of its own."""

    def __init__(self, llama: Llama) -> None:
        self._llama = llama

    def tokens(self, prompt: str, text: str) -> tuple[list[int], float]:
        return self._llama.tokens(prompt, text, slot=ROUTE)

    def probability(self, prompt: str, tokens: list[int]) -> float:
        return self._llama.probability(prompt, tokens, slot=ROUTE)

    def choose(self, prompt: str, options: list[str]) -> str:
        return self._llama.choose(prompt, options, slot=ROUTE)


def render(messages: tuple[ChatMessage, ...]) -> str:
    """Write a prompt in ChatML, up to where the assistant begins; what tools returned was read out, so it is there."""
    system = [m for m in messages if m.role == "system"]
    rest = [m for m in messages if m.role in ("user", "assistant")]
    return "".join(f"<|im_start|>{m.role}\n{_plain(m.content)}{END}\n" for m in [*system, *PRIMER, *rest]) + (
        "<|im_start|>assistant\n"
    )


def _plain(text: str) -> str:
    """Take the template's own marks out of what people say."""
    return text.replace("<|im_start|>", "").replace(END, "")


def results(messages: tuple[ChatMessage, ...]) -> list[str]:
    """Return the results at the end of the messages, oldest first."""
    found: list[str] = []
    for message in reversed(messages):
        if message.role != "tool":
            break
        found.append(message.content)
    return found[::-1]


def last_tool(messages: tuple[ChatMessage, ...]) -> str:
    """Return the name of the tool that answered the user's last turn, "" where none did."""
    asked = 0
    for message in reversed(messages):
        if message.role == "user":
            asked += 1
        elif message.role == "tool" and asked == 1:
            return message.name
        if asked == 2:
            break
    return ""


def told(found: list[str]) -> str:
    """Put results into words. The model would garble them, so they are read out as they are."""
    return " ".join(_sentence(text) for text in found)


def _sentence(text: str) -> str:
    said = _flat(text.strip())[:SPEAKABLE]
    if said.lower().startswith("error:"):
        said = f"That did not work: {said[6:].strip()}"
    if not said:
        return "Done."
    return said if re.search(r"[.!?]$", said) else f"{said}."


def _flat(text: str) -> str:
    """Read JSON out as "name: value, name: value"."""
    if not text.startswith(("{", "[", '"')):
        return text
    try:
        return _words(json.loads(text))
    except ValueError:
        return text


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{str(key).replace('_', ' ')}: {_words(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_words(inner) for inner in value)
    return {True: "yes", False: "no", None: "nothing"}.get(value, str(value)) if not isinstance(value, str) else value  # type: ignore[call-overload]

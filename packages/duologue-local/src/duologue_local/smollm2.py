"""SmolLM2: a small language model (135 million parameters) on llama.cpp. A demo brain, not an assistant."""

from __future__ import annotations

import os
import secrets
import tempfile
from typing import Any

from duologue.errors import RemoteProtocolError
from duologue_local.stages import ChatMessage, Emit, Generation, Rendered, Request
from duologue_local.weights import SMOLLM2, find

SLOTS = 2
CHAT_SLOT, ROUTE_SLOT = 0, 1
CONTEXT = 2048


class SmolLM2:
    """SmolLM2-135M-Instruct, 4 bits."""

    context_tokens = CONTEXT

    def __init__(self) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(find(SMOLLM2)["SmolLM2-135M-Instruct.Q4_1.gguf"])
        params.n_ctx = CONTEXT * SLOTS
        params.n_parallel = SLOTS
        params.cpuparams.n_threads = 1  # more threads spin against each other on shared cores
        params.cpuparams_batch.n_threads = 1
        params.warmup = False
        params.cache_ram_mib = 0
        params.verbosity = -1
        params.n_threads_http = 1
        self._server: Any = _private_server(xllamacpp, params)
        self.complete([ChatMessage("user", "Hi")], CHAT_SLOT, lambda _: False, max_tokens=1)

    def generate(self, request: Request, emit: Emit) -> Generation:
        """Answer, or call a tool."""
        messages = list(request.messages)
        emit(Rendered(render(messages)))
        return self.complete(
            messages,
            CHAT_SLOT,
            emit,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            seed=request.seed,
        )

    def complete(
        self, messages: list[ChatMessage], slot: int, emit: Emit, *, max_tokens: int, temperature: float = 0.0, seed: int = 0
    ) -> Generation:
        """Write on from a prompt."""
        stop = "end"
        usage = {"prompt": 0, "written": 0}
        failure: list[str] = []

        def take(chunk: Any) -> bool:
            nonlocal stop
            if not isinstance(chunk, dict) or "error" in chunk:
                failure.append(str(chunk))
                return True
            for choice in chunk.get("choices") or ():
                if choice.get("finish_reason") == "length":
                    stop = "length"
                text = choice.get("text") or ""
                if text and emit(text):
                    stop = "aborted"
                    return True
            counted = chunk.get("usage") or {}
            usage["prompt"] = counted.get("prompt_tokens", usage["prompt"])
            usage["written"] = counted.get("completion_tokens", usage["written"])
            return False

        self._server.handle_completions(
            {
                "prompt": render(messages),
                "max_tokens": max_tokens,
                "temperature": temperature,
                "seed": seed,
                "stream": True,
                "stream_options": {"include_usage": True},
                "cache_prompt": True,
                "id_slot": slot,
                "stop": ["<|im_end|>"],
            },
            take,
        )
        if failure:
            raise RemoteProtocolError(f"the language model refused the prompt: {failure[0][:300]}")
        return Generation(stop, usage["prompt"], usage["written"])  # type: ignore[arg-type]


def _private_server(xllamacpp: Any, params: Any) -> Any:
    """Start the runtime, which always listens for HTTP, in a way that nobody else can talk to it."""
    if os.name == "nt":
        params.api_keys = [secrets.token_hex(32)]
        return xllamacpp.Server(params)
    with tempfile.TemporaryDirectory(prefix="duologue-") as folder:  # for this user only, and gone after the start
        params.hostnames = [os.path.join(folder, "llm.sock")]
        return xllamacpp.Server(params)


def render(messages: list[ChatMessage]) -> str:
    """Write a prompt in ChatML, up to where the assistant begins."""
    parts = [f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in messages]
    return "".join(parts) + "<|im_start|>assistant\n"

"""Llama: one GGUF model on the llama.cpp runtime: writing, and the probability of given words."""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from duologue.errors import RemoteProtocolError

from duologue_local.stages import Generation

Take = Callable[[str], bool]

LONGEST_FORCED = 48
"""Tokens of a text whose probability is asked."""


class Llama:
    """The runtime with one model; each slot keeps its prompt, so that a known beginning is not read twice."""

    def __init__(self, model: Path, *, context: int, slots: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.n_ctx = context * slots
        params.n_parallel = slots
        params.cpuparams.n_threads = 1  # more threads spin against each other on shared cores
        params.cpuparams_batch.n_threads = 1
        params.warmup = False
        params.cache_ram_mib = 0
        params.verbosity = -1
        params.n_threads_http = 1
        self._server: Any = _private_server(xllamacpp, params)

    def write(
        self, prompt: str, take: Take, *, slot: int, max_tokens: int, temperature: float, seed: int, stop: Sequence[str]
    ) -> Generation:
        """Write on from a prompt until the model stops, `max_tokens` are written or `take` returns True."""
        end = "end"
        counts = {"prompt_tokens": 0, "completion_tokens": 0}
        failure: list[str] = []

        def chunk(data: Any) -> bool:
            nonlocal end
            if not isinstance(data, dict) or "error" in data:
                failure.append(str(data))
                return True
            counts.update({key: value for key, value in (data.get("usage") or {}).items() if key in counts})
            for choice in data.get("choices") or ():
                if choice.get("finish_reason") == "length":
                    end = "length"
                if choice.get("text") and take(choice["text"]):
                    end = "aborted"
                    return True
            return False

        asked = {
            "prompt": prompt,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            "repeat_penalty": 1.05,
            "stop": list(stop),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        self._server.handle_completions(self._in_slot(asked, slot), chunk)
        if failure:
            raise RemoteProtocolError(f"the model refused the prompt: {failure[0][:300]}")
        return Generation(end, counts["prompt_tokens"], counts["completion_tokens"])  # type: ignore[arg-type]

    def tokens(self, prompt: str, text: str, *, slot: int) -> tuple[list[int], float]:
        """Return the tokens by which the model would write `text` after `prompt`, and their mean log-probability."""
        # a grammar that allows nothing else; the lone space is forbidden, else words are taken apart behind it, but
        # where a digit or another space follows there is no other way to write it
        grammar = f"root ::= {json.dumps(text)}"
        space = {} if _NEEDS_SPACE.search(text) else {"logit_bias": [[_SPACE, False]]}
        forced: list[dict[str, Any]] = []
        written = b""
        for token in self._forced(prompt, grammar, LONGEST_FORCED, slot, space):
            forced.append(token)
            written += bytes(token["bytes"])
            if written == text.encode():
                return [int(t["id"]) for t in forced], sum(float(t["logprob"]) for t in forced) / len(forced)
        raise RemoteProtocolError(f"the model can't be made to write {text[:80]!r}")

    def probability(self, prompt: str, tokens: Sequence[int], *, slot: int) -> float:
        """Return the mean log-probability of these tokens after `prompt`."""
        grammar = "root ::= " + " ".join(f"<[{number}]>" for number in tokens)
        written = self._forced(prompt, grammar, len(tokens), slot, {})[: len(tokens)]
        if [token["id"] for token in written] != list(tokens):
            raise RemoteProtocolError("the model did not follow a grammar of tokens")
        return sum(float(token["logprob"]) for token in written) / len(tokens)

    def choose(self, prompt: str, options: Sequence[str], *, slot: int) -> str:
        """Return the option the model writes after `prompt`."""
        grammar = "root ::= (" + " | ".join(json.dumps(option, ensure_ascii=False) for option in options) + ') "\\n"'
        asked = {"prompt": prompt, "max_tokens": LONGEST_FORCED, "temperature": 0.0, "grammar": grammar}
        answer = self._server.handle_completions(self._in_slot(asked, slot))
        text = str(_choice(answer)["text"]).rstrip("\n")
        return text if text in options else options[0]

    def _forced(self, prompt: str, grammar: str, count: int, slot: int, extra: dict[str, Any]) -> list[dict[str, Any]]:
        asked = {"prompt": prompt, "max_tokens": count, "temperature": 0.0, "n_probs": 1, "grammar": grammar, **extra}
        answer = self._server.handle_completions(self._in_slot(asked, slot))
        found: list[dict[str, Any]] = _choice(answer)["logprobs"]["content"]
        return found

    def _in_slot(self, asked: dict[str, Any], slot: int) -> dict[str, Any]:
        return {**asked, "cache_prompt": True, "id_slot": slot}


_SPACE = 216  # SmolLM2's token of a space alone
_NEEDS_SPACE = re.compile(r" [\d\s]| $")


def _choice(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict) or not answer.get("choices"):
        raise RemoteProtocolError(f"the model refused the prompt: {str(answer)[:300]}")
    choice: dict[str, Any] = answer["choices"][0]
    return choice


def _private_server(xllamacpp: Any, params: Any) -> Any:
    """Start the runtime, which always listens for HTTP, in a way that nobody else can talk to it."""
    if os.name == "nt":
        params.api_keys = [secrets.token_hex(32)]
        return xllamacpp.Server(params)
    with tempfile.TemporaryDirectory(prefix="duologue-") as folder:  # for this user only, and gone after the start
        params.hostnames = [str(Path(folder) / "llm.sock")]
        return xllamacpp.Server(params)

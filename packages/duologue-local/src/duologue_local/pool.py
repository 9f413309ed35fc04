"""Pool: the running stages of this process, shared by all sessions, ended when the last one leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeAlias

from duologue.errors import ConfigurationError, ConnectFailed

from duologue_local.channel import Channel, ProcessChannel, ThreadChannel
from duologue_local.client import LABELS, StageClient
from duologue_local.stages import ASR, KINDS, LLM, TTS, VAD, Kind, Stage
from duologue_local.worker import unknown_stage

LOAD_DEADLINE = 120.0
"""Seconds the stages may take to load; a cold disk under load took 20."""
PATIENCE: dict[Kind, float] = {"vad": 5.0, "asr": 15.0, "llm": 15.0, "tts": 15.0}

Spec: TypeAlias = str | Stage
Progress: TypeAlias = Callable[[str, float], None]
"""Told the stage that has just loaded and the seconds it took."""

_PROTOCOLS: dict[Kind, type] = {"vad": VAD, "asr": ASR, "llm": LLM, "tts": TTS}


class _Entry:
    def __init__(self, client: StageClient) -> None:
        self.client = client
        self.holders = 0

    @property
    def broken(self) -> bool:
        ready = self.client.ready
        return self.client.failed.done() or (ready.done() and ready.exception() is not None)


class Lease:
    """The stages of one session; `release` gives them back."""

    def __init__(self, pool: Pool, entries: dict[Kind, _Entry]) -> None:
        self._pool = pool
        self._entries = entries
        self._released = False

    def __getitem__(self, kind: Kind) -> StageClient:
        return self._entries[kind].client

    async def ready(self, progress: Progress | None = None) -> None:
        """Wait until all stages are loaded.

        Raises:
            ConfigurationError: something is not installed, or a weight file was altered.
            ConnectFailed: a worker did not start.
        """
        waiting = {asyncio.wrap_future(e.client.ready): kind for kind, e in self._entries.items()}
        try:
            async with asyncio.timeout(LOAD_DEADLINE):
                while waiting:
                    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    for future in done:
                        kind = waiting.pop(future)
                        seconds = float(future.result().get("seconds", 0.0))
                        if progress is not None:
                            progress(kind, seconds)
        except TimeoutError:
            late = ", ".join(LABELS[kind] for kind in waiting.values())
            raise ConnectFailed(f"not loaded within {LOAD_DEADLINE:g} s: {late}", provider="local") from None
        finally:
            for future in waiting:
                future.add_done_callback(_look_at)

    def description(self, kind: Kind) -> Mapping[str, object]:
        """What a loaded stage said of itself."""
        return self._entries[kind].client.ready.result()

    async def release(self) -> None:
        """Give the stages back; those that nobody holds any more are ended, within bounded time."""
        if self._released:
            return
        self._released = True
        closing = self._pool.put_back(self._entries)
        if closing:
            await asyncio.gather(*(client.closed() for client in closing))


class Pool:
    """Counts the holders of each stage. Threading: any thread, any event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[tuple[Kind, object], _Entry] = {}
        self._sessions = 0

    def lease(self, specs: Mapping[Kind, Spec], limit: int) -> Lease:
        """Take stages for one more session, starting those that don't run; they load at the same time.

        Raises:
            ConfigurationError: a stage does not exist.
            ConnectFailed: the process has as many sessions as it may have.
        """
        for kind in KINDS:
            _check(kind, specs[kind])
        with self._lock:
            if self._sessions >= limit:
                raise ConnectFailed(
                    f"{self._sessions} local sessions are open and this process may have {limit}: close one, or raise "
                    "LocalTransport(max_sessions=...) if the machine is fast enough",
                    provider="local",
                    code="full",
                )
            taken: dict[Kind, _Entry] = {}
            for kind in KINDS:
                spec = specs[kind]
                key = (kind, spec if isinstance(spec, str) else id(spec))
                entry = self._entries.get(key)
                if entry is None or entry.broken:
                    entry = self._entries[key] = _Entry(_client(kind, spec))
                entry.holders += 1
                taken[kind] = entry
            self._sessions += 1
        return Lease(self, taken)

    def put_back(self, entries: Mapping[Kind, _Entry]) -> list[StageClient]:
        """Count down; return the clients that are now closing."""
        closing: list[StageClient] = []
        with self._lock:
            self._sessions -= 1
            for entry in entries.values():
                entry.holders -= 1
                if entry.holders == 0:
                    self._entries = {key: e for key, e in self._entries.items() if e is not entry}
                    closing.append(entry.client)
        for client in closing:
            client.close()
        return closing


def _check(kind: Kind, spec: Spec) -> None:
    if isinstance(spec, str):
        if not any(found.name == spec for found in entry_points(group=f"duologue.{kind}")):
            raise ConfigurationError(unknown_stage(kind, spec))
    elif not isinstance(spec, _PROTOCOLS[kind]):
        raise ConfigurationError(
            f"LocalTransport({kind}=...) takes a name or an object with the methods of duologue_local.{kind.upper()}; "
            f"a {type(spec).__name__} is neither"
        )


def _client(kind: Kind, spec: Spec) -> StageClient:
    channel: Channel = ProcessChannel(kind, spec) if isinstance(spec, str) else ThreadChannel(kind, spec)
    client = StageClient(kind, channel, PATIENCE[kind])
    client.start()
    return client


def _look_at(future: asyncio.Future[Any]) -> None:
    """An error of a stage that loads beside a failed one is not news."""
    if not future.cancelled():
        future.exception()


POOL = Pool()

"""VertexLiveTransport: Gemini Live through Vertex AI, with the credentials of Google Cloud."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Unpack

from duologue.errors import ConfigurationError, DuologueError
from duologue.wire import Endpoint, KeepAlive, LinkPolicy, WireSession

from duologue_google.addresses import (
    VERTEX_VERSION,
    from_environment,
    http_url,
    prefers_vertex,
    socket_url,
    vertex_host,
    vertex_path,
)
from duologue_google.advice import NO_MODEL
from duologue_google.credentials import CloudCredentials, TokenSource
from duologue_google.http import ask
from duologue_google.models import DEFAULT_MODEL
from duologue_google.probe import RegionProber, allowed, default_prober
from duologue_google.receiver import PROVIDER
from duologue_google.regions import DEFAULT_LOCATION, LIVE_REGIONS
from duologue_google.sessions import KEEP_ALIVE, LiveTransport, Wanted

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from duologue.tool import Tool
    from duologue.transport import TurnDetection
    from duologue.types import Message

    from duologue_google.models import ModelTraits
    from duologue_google.options import LiveSettings

log = logging.getLogger(__name__)

PROJECT_VARIABLE = "GOOGLE_CLOUD_PROJECT"
LOCATION_VARIABLE = "GOOGLE_CLOUD_LOCATION"

PROBE_S = 2.0
"""Seconds that each region has when the nearest is looked for."""


class VertexLiveTransport(LiveTransport):
    """Reaches Gemini Live through Vertex AI.

    Args:
        project: the project of Google Cloud; default GOOGLE_CLOUD_PROJECT, else the one of the credentials.
        location: a region, `us`, `eu` or `global`; default GOOGLE_CLOUD_LOCATION, else us-central1.
        auto_region: look for the nearest region when connecting, and take the next where the model is not served;
            `location` is the last resort.
        model: a Live model, or a full resource name; the default stands for the current stable one.
        language_code: the language spoken, such as "de-DE"; without it the model finds out.
        credentials: credentials of google-auth, or a function, async or not, that returns a token; default the
            Application Default Credentials. Asked before each connection, off the loop.
        api_key: a key, for Vertex AI in express mode: no project, no location, no credentials.
        base_url: another server that speaks this protocol. Default GOOGLE_VERTEX_BASE_URL, else Google.
        ssl: a TLS context of your own.
        capture: a file that records each session.
        api_version: default v1beta1.
        traits: what the model takes, where the built-in table errs.
        policy: makes the rules of reconnecting for a session.
        keep_alive: how a dead link is noticed. Google's answers to pings may take half a minute, so the default trusts
            a link as long as its TCP does; a server that answers in time allows `KeepAlive()`.
        candidates: the regions that `auto_region` chooses from.
        allow: the regions that data may go to; "europe-" allows all that begin so.
        prober: measures the regions; default one for the process.
        **settings: the options of `LiveOptions`, by name.

    Raises:
        ConfigurationError: there is no such option.
    """

    vertex = True
    base_url_variable = "GOOGLE_VERTEX_BASE_URL"

    def __init__(
        self,
        project: str | None = None,
        location: str | None = None,
        auto_region: bool = False,
        model: str = DEFAULT_MODEL,
        language_code: str | None = None,
        *,
        credentials: TokenSource | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        ssl: ssl.SSLContext | None = None,
        capture: str | Path | None = None,
        api_version: str | None = None,
        traits: ModelTraits | None = None,
        policy: Callable[[], LinkPolicy] = LinkPolicy,
        keep_alive: KeepAlive = KEEP_ALIVE,
        candidates: Sequence[str] = LIVE_REGIONS,
        allow: Collection[str] | None = None,
        prober: RegionProber | None = None,
        **settings: Unpack[LiveSettings],
    ) -> None:
        super().__init__(
            model=model,
            language_code=language_code,
            base_url=base_url,
            ssl=ssl,
            capture=capture,
            api_version=api_version,
            traits=traits,
            policy=policy,
            keep_alive=keep_alive,
            settings=settings,
        )
        self.project = project
        self.location = location
        self.auto_region = auto_region
        self.region: str | None = None
        """The location of the session that was opened last."""
        self._api_key = api_key
        self._credentials = CloudCredentials(credentials)
        self._candidates = allowed(candidates, allow)
        self._prober = prober or default_prober()

    def __repr__(self) -> str:
        return f"VertexLiveTransport(project={self.project!r}, location={self.location!r}, model={self.model!r})"

    @staticmethod
    def configured() -> bool:
        """Whether the environment names a project, and does not want the Developer API instead."""
        return from_environment(PROJECT_VARIABLE) is not None and prefers_vertex() is not False

    async def connect(
        self,
        *,
        system: str,
        tools: list[Tool],
        voice: str | None = None,
        input_audio_format: str = "audio/pcm;rate=16000",
        output_audio_format: str = "audio/pcm;rate=24000",
        turn_detection: TurnDetection | None = None,
        history: Sequence[Message] = (),
        options: Mapping[str, Any] | None = None,
    ) -> WireSession:
        """Open a session, with `auto_region` in the nearest region that serves the model.

        `options` are those of `LiveOptions`, and `model`; they come before the transport's own.

        Raises:
            MissingExtra: google-auth is not installed.
            ConfigurationError: there is no project or no credentials, an option does not fit the model, or Google
                refused the setup; the message says what to change.
            LinkError: Google can't be reached.
            UnsupportedFormat: the output is wanted as something else than PCM.
        """
        wanted = Wanted(system, tools, voice, input_audio_format, output_audio_format, turn_detection, history, options)
        model = self._model_for(wanted)
        self._plan(wanted, model, model)  # what is wrong with the options shows before anything is asked of Google
        places = await self._places()
        for number, location in enumerate(places):
            try:
                session = await self._open(wanted, model, location)
            except DuologueError as exc:
                if not _not_served(exc) or number + 1 == len(places):
                    raise
                log.info("%s is not served in %s: trying %s", model, location, places[number + 1])
            else:
                self.region = location
                if self.auto_region and location in self._candidates:
                    self._prober.prefer(self._candidates, location)
                return session
        raise AssertionError("there is always a place to try")

    async def list_models(self) -> list[str]:
        """Return the names of Google's models here that hold live sessions.

        Vertex AI does not say which models do: those with "live" in their names are taken.

        Raises:
            ConfigurationError: there are no credentials, or they may not do this.
            ConnectFailed: Google can't be reached.
        """
        location = self._location()
        base = self.base_url or vertex_host("global" if self._api_key else location)
        url = http_url(base, f"/{self._api_version or VERTEX_VERSION}/publishers/google/models?pageSize=1000")
        answer = await ask(url, await self._headers(), ssl_context=self._ssl)
        models = answer.get("publisherModels", []) if isinstance(answer, dict) else []
        names = (str(model.get("name", "")).rpartition("/")[2] for model in models if isinstance(model, dict))
        return sorted(name for name in names if "live" in name)

    async def _open(self, wanted: Wanted, model: str, location: str) -> WireSession:
        headers = await self._headers()
        plan = self._plan(wanted, model, self._resource(model, location))
        base = self.base_url or vertex_host("global" if self._api_key else location)
        url = socket_url(base, vertex_path(self._api_version or VERTEX_VERSION))
        first = [headers]

        async def endpoint() -> Endpoint:
            fresh = first.pop() if first else await self._headers()
            return Endpoint(url, fresh, PROVIDER, self._ssl, keep_alive=self._keep_alive)

        session = self._session(wanted, plan, endpoint)
        await session.open()
        return session

    async def _places(self) -> list[str]:
        if not self.auto_region or self._api_key:
            return [self._location()]
        ranked = await self._prober.ranked(self._candidates, within=PROBE_S) if self._candidates else []
        last = self._location()
        return ranked if last in ranked else [*ranked, last]

    def _location(self) -> str:
        return self.location or from_environment(LOCATION_VARIABLE) or DEFAULT_LOCATION

    def _resource(self, model: str, location: str) -> str:
        if "/" in model:
            return model
        if self._api_key:
            return f"publishers/google/models/{model}"
        project = self.project or from_environment(PROJECT_VARIABLE) or self._credentials.project
        if not project:
            raise ConfigurationError(
                f"Vertex AI needs a project: set {PROJECT_VARIABLE}, or pass project=", provider=PROVIDER
            )
        return f"projects/{project}/locations/{location}/publishers/google/models/{model}"

    async def _headers(self) -> dict[str, str]:
        if self._api_key:
            return {"x-goog-api-key": self._api_key}
        headers = {"Authorization": f"Bearer {await self._credentials.token()}"}
        if self._credentials.quota_project:
            headers["x-goog-user-project"] = self._credentials.quota_project
        return headers


def _not_served(error: DuologueError) -> bool:
    """Whether another location may serve the model that this one does not."""
    return error.code in (NO_MODEL, "404")

"""GeminiLiveTransport: Gemini Live through the Developer API, with a key."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from duologue.errors import ConfigurationError, RemoteProtocolError
from duologue.wire import Endpoint, KeepAlive, LinkPolicy, WireSession

from duologue_google.addresses import (
    DEFAULT_VERSION,
    DEVELOPER,
    TOKEN_PREFIX,
    TOKEN_VERSION,
    developer_path,
    from_environment,
    http_url,
    prefers_vertex,
    socket_url,
)
from duologue_google.http import ask
from duologue_google.models import DEFAULT_MODEL, traits_of
from duologue_google.receiver import PROVIDER
from duologue_google.sessions import KEEP_ALIVE, LiveTransport, Wanted

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from duologue.tool import Tool
    from duologue.transport import TurnDetection
    from duologue.types import Message

    from duologue_google.models import ModelTraits
    from duologue_google.options import LiveSettings
    from duologue_google.plan import SessionPlan

KeySource: TypeAlias = str | Callable[[], Awaitable[str] | str]
"""A key, an ephemeral token, or what makes one before each connection."""

KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


class GeminiLiveTransport(LiveTransport):
    """Reaches Gemini Live through the Developer API.

    Args:
        api_key: the key, or an ephemeral token (`auth_tokens/...`), or a function, async or not, that returns one
            before each connection; default GEMINI_API_KEY or GOOGLE_API_KEY. It travels in a header.
        model: a Live model; the default stands for the current stable one.
        language_code: the language spoken, such as "de-DE"; without it the model finds out.
        base_url: another server that speaks this protocol; it needs no key. Default GOOGLE_GEMINI_BASE_URL, else
            Google.
        ssl: a TLS context of your own.
        capture: a file that records each session.
        api_version: default v1beta; v1alpha for ephemeral tokens, and for options that exist only there.
        traits: what the model takes, where the built-in table errs.
        policy: makes the rules of reconnecting for a session.
        keep_alive: how a dead link is noticed. Google's answers to pings may take half a minute, so the default trusts
            a link as long as its TCP does; a server that answers in time allows `KeepAlive()`.
        **settings: the options of `LiveOptions`, by name.

    Raises:
        ConfigurationError: there is no such option.

    Example:
        ```python
        from duologue import RealtimeAgent
        from duologue_google import GeminiLiveTransport

        transport = GeminiLiveTransport(language_code="en-US", google_search=True)
        agent = RealtimeAgent("You are brief.", transport, voice="Aoede")
        ```
    """

    base_url_variable = "GOOGLE_GEMINI_BASE_URL"

    def __init__(
        self,
        api_key: KeySource | None = None,
        model: str = DEFAULT_MODEL,
        language_code: str | None = None,
        *,
        base_url: str | None = None,
        ssl: ssl.SSLContext | None = None,
        capture: str | Path | None = None,
        api_version: str | None = None,
        traits: ModelTraits | None = None,
        policy: Callable[[], LinkPolicy] = LinkPolicy,
        keep_alive: KeepAlive = KEEP_ALIVE,
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
        self._api_key = api_key

    def __repr__(self) -> str:
        return f"GeminiLiveTransport(model={self.model!r})"

    @staticmethod
    def configured() -> bool:
        """Whether the environment has a key, and does not want Vertex AI instead."""
        return from_environment(*KEY_VARIABLES) is not None and not prefers_vertex()

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
        """Open a session.

        `options` are those of `LiveOptions`, and `model`; they come before the transport's own.

        Raises:
            ConfigurationError: there is no key, an option does not fit the model, or Google refused the setup; the
                message says what to change.
            LinkError: Google can't be reached.
            UnsupportedFormat: the output is wanted as something else than PCM.
        """
        wanted = Wanted(system, tools, voice, input_audio_format, output_audio_format, turn_detection, history, options)
        model = self._model_for(wanted)
        plan = self._plan(wanted, model, model if "/" in model else f"models/{model}")
        if not callable(self._api_key):
            await self._key()  # a missing one shows before anything is opened

        async def endpoint() -> Endpoint:
            return await self._endpoint(plan)

        session = self._session(wanted, plan, endpoint)
        await session.open()
        return session

    async def list_models(self) -> list[str]:
        """Return the names of the models that hold live sessions, as this key sees them.

        Raises:
            ConfigurationError: there is no key, or it was not accepted.
            ConnectFailed: Google can't be reached.
        """
        headers = _headers(await self._key())
        base = self.base_url or DEVELOPER
        path = f"/{self._api_version or DEFAULT_VERSION}/models?pageSize=1000"
        found: list[str] = []
        after = ""
        for _ in range(_MOST_PAGES):
            answer = await ask(http_url(base, path) + after, headers, ssl_context=self._ssl)
            models = answer.get("models", []) if isinstance(answer, dict) else []
            found += [
                str(model["name"]).removeprefix("models/")
                for model in models
                if isinstance(model, dict)
                and "name" in model
                and "bidiGenerateContent" in (model.get("supportedGenerationMethods") or ())
            ]
            token = answer.get("nextPageToken") if isinstance(answer, dict) else None
            if not token:
                break
            after = f"&pageToken={token}"
        return sorted(found)

    async def create_token(
        self,
        *,
        uses: int = 1,
        valid_s: float = 1800.0,
        open_within_s: float = 60.0,
        setup: Mapping[str, Any] | None = None,
    ) -> str:
        """Make an ephemeral token, for a client that must not see the key.

        Args:
            uses: how many sessions it opens; a session that is to survive a lost connection needs more than one.
            valid_s: seconds for which it can be used at all.
            open_within_s: seconds within which sessions have to be opened.
            setup: the setup that its sessions are bound to, as on the wire.

        Raises:
            ConfigurationError: there is no key, or it was not accepted.
            ConnectFailed: Google can't be reached.
            RemoteProtocolError: the answer holds no token.
        """
        now = datetime.now(UTC)
        body: dict[str, Any] = {
            "uses": uses,
            "expireTime": _time(now + timedelta(seconds=valid_s)),
            "newSessionExpireTime": _time(now + timedelta(seconds=open_within_s)),
        }
        if setup is not None:
            body["bidiGenerateContentSetup"] = dict(setup)
        url = http_url(self.base_url or DEVELOPER, f"/{TOKEN_VERSION}/auth_tokens")
        answer = await ask(url, _headers(await self._key()), body=body, ssl_context=self._ssl)
        name = answer.get("name") if isinstance(answer, dict) else None
        if not isinstance(name, str) or not name:
            raise RemoteProtocolError("Google made no token of what was asked for", provider=PROVIDER)
        return name

    async def _key(self) -> str:
        given = self._api_key
        if callable(given):
            made = given()
            given = str(await made if inspect.isawaitable(made) else made)
        key = given or from_environment(*KEY_VARIABLES)
        if not key and self.base_url is None:
            raise ConfigurationError(
                f"Gemini needs a key: set {' or '.join(KEY_VARIABLES)}, or pass api_key= (made at aistudio.google.com)",
                provider=PROVIDER,
            )
        return (key or "").strip()

    async def _endpoint(self, plan: SessionPlan) -> Endpoint:
        key = await self._key()
        token = key.startswith(TOKEN_PREFIX)
        version = self._api_version or (TOKEN_VERSION if token or self._wants_alpha(plan) else DEFAULT_VERSION)
        path = developer_path(version, constrained=token)
        return Endpoint(
            socket_url(self.base_url or DEVELOPER, path),
            _headers(key),
            PROVIDER,
            self._ssl,
            keep_alive=self._keep_alive,
        )

    def _wants_alpha(self, plan: SessionPlan) -> bool:
        traits = self._traits or traits_of(plan.model)
        generation, proactivity = plan.setup.get("generationConfig", {}), plan.setup.get("proactivity")
        given = {"affective_dialog": "enableAffectiveDialog" in generation, "proactive_audio": proactivity is not None}
        return any(given.get(name) for name in traits.alpha_options)


_MOST_PAGES = 20


def _headers(key: str) -> dict[str, str]:
    if not key:
        return {}
    return {"Authorization": f"Token {key}"} if key.startswith(TOKEN_PREFIX) else {"x-goog-api-key": key}


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

"""Addresses, keys and tokens: where each backend is reached, with what, and what is never shown."""

import asyncio
import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from duologue import ConfigurationError, MissingExtra, configured_transports
from duologue.errors import ConnectFailed, RemoteProtocolError
from duologue.testing import StandIn, virtual_time
from duologue_google import GeminiLiveTransport, VertexLiveTransport
from duologue_google.addresses import http_url, socket_url, vertex_host
from duologue_google.credentials import CloudCredentials
from duologue_google.http import ask
from duologue_google.threads import in_thread
from google_kit import MODEL_25, MODEL_38, developer, serve, vertex

VARIABLES = (
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


async def reached(transport, server):
    """What the server saw of a transport: the path, and the headers in lower case."""
    session = await transport.connect(system="", tools=[])
    await session.close()
    peer = server.peers[-1]
    return peer.path, {name.lower(): value for name, value in peer.headers.items()}, peer.setup.model


class TestDeveloper:
    @virtual_time
    async def test_the_key_travels_in_a_header_and_never_in_the_address(self):
        async with serve(StandIn()) as server:
            path, headers, model = await reached(developer(server), server)
        assert path == "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
        assert headers["x-goog-api-key"] == "key-of-a-test"
        assert model == f"models/{MODEL_38}"

    @virtual_time
    async def test_an_ephemeral_token_has_a_door_of_its_own(self):
        async with serve(StandIn()) as server:
            path, headers, _ = await reached(developer(server, api_key="auth_tokens/abc"), server)
        assert path.endswith("v1alpha.GenerativeService.BidiGenerateContentConstrained")
        assert headers["authorization"] == "Token auth_tokens/abc"
        assert "x-goog-api-key" not in headers

    @virtual_time
    async def test_tokens_are_made_for_each_connection(self):
        made = []

        async def mint():
            made.append(f"auth_tokens/{len(made)}")
            return made[-1]

        async with serve(StandIn()) as server:
            transport = developer(server, api_key=mint)
            await reached(transport, server)
            _, headers, _ = await reached(transport, server)
        assert len(made) == 2
        assert headers["authorization"] == "Token auth_tokens/1"

    @virtual_time
    @pytest.mark.parametrize(
        ("options", "version"),
        [
            ({}, "v1beta"),
            ({"api_version": "v1"}, "v1"),
            ({"model": MODEL_25, "affective_dialog": True}, "v1alpha"),
            ({"model": MODEL_25, "proactive_audio": True}, "v1alpha"),
        ],
    )
    async def test_the_version_is_the_one_that_has_the_options(self, options, version):
        async with serve(StandIn()) as server:
            path, _, _ = await reached(developer(server, **options), server)
        assert f".{version}." in path

    @virtual_time
    async def test_a_path_of_the_base_url_is_a_prefix(self):
        async with serve(StandIn()) as server:
            path, _, _ = await reached(developer(server, base_url=server.url + "/gemini/"), server)
        assert path.startswith("/gemini/ws/google.ai")

    @virtual_time
    async def test_another_server_needs_no_key(self):
        async with serve(StandIn(), tls=False) as server:
            base = server.url.replace("ws://", "http://")
            _, headers, _ = await reached(GeminiLiveTransport(base_url=base), server)
        assert "x-goog-api-key" not in headers

    @virtual_time
    async def test_the_environment_may_name_another_server(self, monkeypatch):
        async with serve(StandIn(), tls=False) as server:
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url.replace("ws", "http"))
            monkeypatch.setenv("GOOGLE_VERTEX_BASE_URL", server.url)
            await reached(GeminiLiveTransport(), server)
            await reached(VertexLiveTransport("p", credentials=lambda: "t"), server)
            assert len(server.peers) == 2

    async def test_without_a_key_the_variables_are_named(self):
        with pytest.raises(ConfigurationError, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
            await GeminiLiveTransport().connect(system="", tools=[])
        with pytest.raises(ConfigurationError, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
            await GeminiLiveTransport().list_models()

    @virtual_time
    @pytest.mark.parametrize("name", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
    async def test_the_key_comes_from_the_environment(self, monkeypatch, name):
        monkeypatch.setenv(name, " key-of-the-environment ")
        async with serve(StandIn()) as server:
            _, headers, _ = await reached(developer(server, api_key=None), server)
        assert headers["x-goog-api-key"] == "key-of-the-environment"

    async def test_a_key_never_goes_over_plain_http_to_another_machine(self):
        transport = GeminiLiveTransport("key-of-a-test", base_url="ws://example.com")
        with pytest.raises(ConfigurationError, match="unencrypted") as caught:
            await transport.connect(system="", tools=[])
        assert "key-of-a-test" not in str(caught.value)
        with pytest.raises(ConfigurationError, match="unencrypted"):
            await transport.list_models()

    @virtual_time
    async def test_a_full_resource_name_and_a_model_of_a_session_go_through(self):
        async with serve(StandIn()) as server:
            session = await developer(server).connect(system="", tools=[], options={"model": "tunedModels/mine"})
            await session.close()
            assert server.peer.setup.model == "tunedModels/mine"

    @virtual_time
    async def test_an_unknown_option_of_a_session_is_named(self):
        async with serve(StandIn()) as server:
            with pytest.raises(ConfigurationError, match="colour"):
                await developer(server).connect(system="", tools=[], options={"colour": 1})

    def test_the_key_is_not_in_what_is_shown_of_a_transport(self):
        assert "key-of-a-test" not in repr(GeminiLiveTransport("key-of-a-test"))


class TestVertex:
    @virtual_time
    async def test_the_token_travels_in_a_header_with_the_whole_resource(self):
        async with serve(StandIn()) as server:
            path, headers, model = await reached(vertex(server, location="europe-west4"), server)
        assert path == "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
        assert headers["authorization"] == "Bearer token-of-a-test"
        assert model == f"projects/a-project/locations/europe-west4/publishers/google/models/{MODEL_38}"

    @virtual_time
    async def test_express_mode_has_a_key_and_no_project(self):
        async with serve(StandIn()) as server:
            transport = vertex(server, project=None, credentials=None, api_key="key-of-a-test")
            _, headers, model = await reached(transport, server)
        assert headers["x-goog-api-key"] == "key-of-a-test"
        assert model == f"publishers/google/models/{MODEL_38}"

    @virtual_time
    async def test_the_environment_names_project_and_location(self, monkeypatch):
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
        monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "global")
        async with serve(StandIn()) as server:
            _, _, model = await reached(vertex(server, project=None, location=None), server)
        assert model.startswith("projects/p/locations/global/")

    async def test_without_a_project_the_variable_is_named(self):
        with pytest.raises(ConfigurationError, match="GOOGLE_CLOUD_PROJECT"):
            await VertexLiveTransport(credentials=lambda: "t").connect(system="", tools=[])

    @pytest.mark.parametrize(
        ("location", "host"),
        [
            ("global", "aiplatform.googleapis.com"),
            ("us", "aiplatform.us.rep.googleapis.com"),
            ("eu", "aiplatform.eu.rep.googleapis.com"),
            ("us-central1", "us-central1-aiplatform.googleapis.com"),
        ],
    )
    def test_each_kind_of_location_has_its_host(self, location, host):
        assert vertex_host(location) == f"https://{host}"

    def test_a_location_that_is_none_is_refused(self):
        with pytest.raises(ConfigurationError, match="evil"):
            vertex_host("evil.example/")

    @virtual_time
    async def test_a_token_is_asked_for_before_each_connection(self):
        made = []

        async def mint():
            made.append(f"token-{len(made)}")
            return made[-1]

        async with serve(StandIn()) as server:
            session = await vertex(server, credentials=mint).connect(system="", tools=[])
            server.peer.abort()
            while len(server.peers) < 2:
                await asyncio.sleep(0.1)
            await session.close()
            assert [peer.headers["Authorization"] for peer in server.peers] == ["Bearer token-0", "Bearer token-1"]


class TestConfigured:
    @pytest.mark.parametrize(
        ("environment", "found"),
        [
            ({}, set()),
            ({"GEMINI_API_KEY": "k"}, {"gemini"}),
            ({"GOOGLE_API_KEY": "k"}, {"gemini"}),
            ({"GOOGLE_CLOUD_PROJECT": "p"}, {"vertex"}),
            ({"GOOGLE_API_KEY": "k", "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_GENAI_USE_VERTEXAI": "true"}, {"vertex"}),
            ({"GOOGLE_API_KEY": "k", "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_GENAI_USE_VERTEXAI": "0"}, {"gemini"}),
        ],
    )
    def test_the_environment_says_which_backend(self, monkeypatch, environment, found):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert set(configured_transports()) & {"gemini", "vertex"} == found


class TestCredentials:
    def credentials(self, **more):
        google = pytest.importorskip("google.auth.credentials")

        class Fake(google.Credentials):
            refreshed = 0
            quota_project_id = "billed"

            def refresh(self, request):
                type(self).refreshed += 1
                if "error" in more:
                    raise more["error"]
                assert threading.current_thread() is not threading.main_thread()
                self.token = f"token-{type(self).refreshed}"

            @property
            def valid(self):
                return self.token is not None and "stale" not in more

        return Fake()

    async def test_a_token_is_refreshed_off_the_loop_and_only_when_it_is_stale(self):
        fake = self.credentials()
        source = CloudCredentials(fake)
        assert [await source.token(), await source.token()] == ["token-1", "token-1"]
        assert source.quota_project == "billed"
        other = CloudCredentials(self.credentials(stale=True))
        assert [await other.token(), await other.token()] == ["token-1", "token-2"]

    async def test_the_default_credentials_are_looked_up_once(self, monkeypatch):
        auth = pytest.importorskip("google.auth")
        calls = []
        fake = self.credentials()

        def default(scopes):
            calls.append(scopes)
            return fake, "project-of-the-credentials"

        monkeypatch.setattr(auth, "default", default)
        source = CloudCredentials()
        await source.token()
        await source.token()
        assert calls == [["https://www.googleapis.com/auth/cloud-platform"]]
        assert source.project == "project-of-the-credentials"

    async def test_credentials_that_are_refused_or_missing_are_told(self, monkeypatch):
        exceptions = pytest.importorskip("google.auth.exceptions")
        source = CloudCredentials(self.credentials(error=exceptions.RefreshError("secret-in-it")))
        with pytest.raises(ConfigurationError, match="sign in anew") as caught:
            await source.token()
        assert "secret-in-it" not in str(caught.value)
        with pytest.raises(ConnectFailed):
            await CloudCredentials(self.credentials(error=exceptions.TransportError("x"))).token()
        import google.auth

        def none(scopes):
            raise exceptions.DefaultCredentialsError("none")

        monkeypatch.setattr(google.auth, "default", none)
        with pytest.raises(ConfigurationError, match="gcloud auth application-default login"):
            await CloudCredentials().token()

    async def test_without_google_auth_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "google.auth", None)
        with pytest.raises(MissingExtra, match=r"duologue-google\[vertex\]"):
            await CloudCredentials().token()

    async def test_a_lookup_that_hangs_is_given_up_and_delays_nothing(self, monkeypatch):
        monkeypatch.setattr("duologue_google.credentials.WITHIN", 0.05)
        never = threading.Event()
        fake = self.credentials()
        monkeypatch.setattr(type(fake), "refresh", lambda self, request: never.wait(30))
        began = time.monotonic()
        with pytest.raises(ConnectFailed, match="no token"):
            await CloudCredentials(fake).token()
        assert time.monotonic() - began < 5
        never.set()


async def test_what_a_thread_raises_is_raised_where_it_is_awaited():
    def fail():
        raise LookupError("x")

    with pytest.raises(LookupError):
        await in_thread(fail, within=5, name="test")
    assert await in_thread(lambda: 7, within=5, name="test") == 7


class Answers(BaseHTTPRequestHandler):
    """Answers requests from a table, and keeps them."""

    table: dict = {}  # noqa: RUF012 - filled by each test
    asked: list = []  # noqa: RUF012

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.asked.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
        status, answer = self.table.get(self.path, (404, {"error": {"message": "no such path"}}))
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    Answers.table, Answers.asked = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


class TestRequests:
    async def test_the_models_that_hold_live_sessions_are_listed_page_by_page(self, web):
        live = {"supportedGenerationMethods": ["bidiGenerateContent"]}
        first = {"models": [{"name": "models/b-live", **live}, {"name": "models/x"}, "?"], "nextPageToken": "2"}
        Answers.table["/v1beta/models?pageSize=1000"] = (200, first)
        Answers.table["/v1beta/models?pageSize=1000&pageToken=2"] = (
            200,
            {"models": [{"name": "models/a-live", **live}]},
        )
        transport = GeminiLiveTransport("key-of-a-test", base_url=web.replace("http", "ws"))
        assert await transport.list_models() == ["a-live", "b-live"]
        keys = [
            {name.lower(): v for name, v in headers.items()}["x-goog-api-key"] for _, _, headers, _ in Answers.asked
        ]
        assert keys == ["key-of-a-test"] * 2

    async def test_vertex_lists_what_is_called_live(self, web):
        models = [{"name": f"publishers/google/models/{name}"} for name in ("gemini-3.8-live", "gemini-3-pro")]
        Answers.table["/v1beta1/publishers/google/models?pageSize=1000"] = (200, {"publisherModels": models})
        transport = VertexLiveTransport("p", base_url=web, credentials=lambda: "t")
        assert await transport.list_models() == ["gemini-3.8-live"]
        assert Answers.asked[0][2]["Authorization"] == "Bearer t"

    async def test_an_ephemeral_token_is_made(self, web):
        Answers.table["/v1alpha/auth_tokens"] = (200, {"name": "auth_tokens/new"})
        transport = GeminiLiveTransport("key-of-a-test", base_url=web)
        assert await transport.create_token(uses=3, setup={"model": "models/x"}) == "auth_tokens/new"
        method, _, _, body = Answers.asked[0]
        assert method == "POST"
        assert body["uses"] == 3
        assert body["bidiGenerateContentSetup"] == {"model": "models/x"}
        assert body["newSessionExpireTime"] < body["expireTime"]
        Answers.table["/v1alpha/auth_tokens"] = (200, {})
        with pytest.raises(RemoteProtocolError):
            await transport.create_token()

    @pytest.mark.parametrize(
        ("status", "answer", "kind"),
        [
            (401, {"error": {"message": "API key not valid: key-of-a-test"}}, ConfigurationError),
            (403, {"error": {}}, ConfigurationError),
            (500, b"oops", ConnectFailed),
            (302, {}, ConnectFailed),
            (200, b"no json", ConnectFailed),
        ],
    )
    async def test_other_answers_are_errors_that_hide_the_key(self, web, status, answer, kind):
        Answers.table["/v1beta/models?pageSize=1000"] = (status, answer)
        with pytest.raises(kind) as caught:
            await GeminiLiveTransport("key-of-a-test", base_url=web).list_models()
        assert "key-of-a-test" not in str(caught.value)
        assert len(Answers.asked) == 1

    async def test_nobody_there_is_a_failure_to_connect(self):
        with pytest.raises(ConnectFailed, match="can't be reached"):
            await ask("http://127.0.0.1:1/x", {})


@pytest.mark.parametrize("make", [socket_url, http_url])
@pytest.mark.parametrize("base", ["", "example.com", "ftp://x", "https://"])
def test_a_base_that_is_no_url_is_refused(make, base):
    with pytest.raises(ConfigurationError, match="base_url"):
        make(base, "/x")


def test_bases_of_every_scheme():
    assert socket_url("https://h:1/p/", "/x") == "wss://h:1/p/x"
    assert socket_url("ws://h", "/x") == "ws://h/x"
    assert http_url("wss://h", "/x") == "https://h/x"


def test_logs_never_hold_the_key(caplog):
    caplog.set_level(logging.DEBUG)
    GeminiLiveTransport("key-of-a-test", temperature=0.5)
    assert "key-of-a-test" not in caplog.text

"""Projects: creating, downloading, validating; keys, tokens and addresses."""

import asyncio
import json
import logging
import time
from base64 import urlsafe_b64encode

import pytest
from duologue.errors import ConfigurationError, ConnectFailed
from duologue.testing import StandIn
from duologue_distiller import AsyncAIRefinery, BadName, DistillerClient, DistillerTransport, Place, TokenProvider
from duologue_distiller.configuration import load_configuration, read_download

from .front import served, served_in_thread

CONFIG = {"utility_agents": [{"agent_class": "CustomAgent", "agent_name": "Weather"}], "n": 1}
YAML = """
names: {agent: Weather}
secret: "${oc.env:DISTILLER_TEST_SECRET}"
other: "${env:DISTILLER_TEST_UNSET,none}"
utility_agents:
  - agent_class: CustomAgent
    agent_name: ${names.agent}
    hint: "for ${names.agent}"
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("API_KEY", "AIR_BASE_URL", "AIR_PROJECT", "AIR_UUID", "USE_LEGACY_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def front():
    with served_in_thread(StandIn()) as made:
        yield made


def client(front, **options):
    return AsyncAIRefinery(api_key="key-of-a-test", base_url=front.url, **options)


# -- the document: projects --------------------------------------------------------------------------------


def test_projects_are_created_and_downloaded(front, tmp_path):
    """Versions count from 0; without one the latest is meant."""
    path = tmp_path / "example.yaml"
    path.write_text("utility_agents: []\nn: 0\n")
    distiller = client(front).realtime_distiller
    assert distiller.create_project(config_path=str(path), project="example") is True
    assert distiller.create_project(path, "example") is True
    assert distiller.create_project(CONFIG, "example") is True
    assert distiller.create_project(json_config={**CONFIG, "n": 3}, project="example") is True
    assert distiller.download_project(project="example", project_version="0") == {"utility_agents": [], "n": 0}
    assert distiller.download_project(project="example", project_version=2) == CONFIG
    assert distiller.download_project(project="example")["n"] == 3
    assert front.paths().count("/authentication/validate") == 1
    path, headers, body = front.requests[1]
    assert headers["authorization"] == "Bearer key-of-a-test"
    assert headers["airefinery_account"] == "org"
    assert body["project"] == "example"


async def test_the_twins_do_not_block():
    async with served(StandIn()) as front:
        distiller = client(front).realtime_distiller
        assert await distiller.acreate_project(CONFIG, "example") is True
        assert await distiller.adownload_project("example", "0") == CONFIG
        assert await distiller.avalidate_config(CONFIG) is True


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a.b", "../x", None])
def test_bad_names_are_value_errors(name):
    distiller = DistillerClient("key-of-a-test").realtime_distiller
    for use in (
        lambda: distiller.create_project(CONFIG, name),
        lambda: distiller.download_project(name),
        lambda: distiller(project=name, uuid="u"),
        lambda: distiller(project="p", uuid=name),
    ):
        with pytest.raises(ValueError, match="letters, digits"):
            use()
    for version in ("1/2", "", True):
        with pytest.raises(BadName):
            distiller.download_project("p", version)


def test_no_configuration_is_a_value_error():
    for options in ({}, {"config_path": ""}, {"json_config": {}}):
        with pytest.raises(ValueError, match="configuration"):
            DistillerClient("key-of-a-test").realtime_distiller.create_project(project="p", **options)


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/authentication/validate", (401, "bad key"), "401"),
        ("/authentication/validate", (200, "no JSON"), "account"),
        ("/authentication/validate", (200, {}), "account"),
        ("/distiller/create", (400, "wrong: key-of-a-test"), "400"),
        ("/distiller/create", (302, ""), "302"),
    ],
)
def test_a_refusal_says_what_the_server_said_but_no_key(front, path, answer, words):
    front.failing[path] = answer
    with pytest.raises(ConnectFailed, match=words) as caught:
        client(front).realtime_distiller.create_project(CONFIG, "example")
    assert not caught.value.retryable
    assert "key-of-a-test" not in str(caught.value)


@pytest.mark.parametrize("answer", [(201, {}), (201, "no JSON"), (201, {"project_version": "7"}), (200, {})])
def test_created_is_created_whatever_the_body_says(front, answer):
    front.failing["/distiller/create"] = answer
    assert client(front).realtime_distiller.create_project(CONFIG, "example") is True


@pytest.mark.parametrize("body", [{}, [], "x", {"config": ""}, {"config": '"x"'}, {"config": None}])
def test_a_download_without_a_configuration_says_so(front, body):
    front.failing["/distiller/download"] = (200, body)
    with pytest.raises(ConfigurationError, match="no configuration"):
        client(front).realtime_distiller.download_project("example")


@pytest.mark.parametrize("wrapped", [CONFIG, {"config": CONFIG}, {"config": json.dumps(CONFIG)}])
def test_a_configuration_may_be_wrapped_in_fewer_layers(wrapped):
    assert read_download(wrapped) == CONFIG


def test_a_configuration_is_validated(front, caplog):
    distiller = client(front).realtime_distiller
    assert distiller.validate_config(json_config=CONFIG) is True
    assert distiller.validate_config({"x": 1}) is False
    assert "utility_agents is missing" in caplog.text
    front.failing["/authentication/validate"] = (503, "")
    assert client(front).realtime_distiller.validate_config(CONFIG) is False


# -- YAML --------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "example.yaml"
    made.write_text(YAML)
    return made


def test_secrets_of_the_environment_are_not_uploaded_by_accident(path, monkeypatch, caplog):
    monkeypatch.setenv("DISTILLER_TEST_SECRET", "hush")
    found = load_configuration(path)
    assert found["secret"] == "${oc.env:DISTILLER_TEST_SECRET}"
    assert found["utility_agents"][0] == {"agent_class": "CustomAgent", "agent_name": "Weather", "hint": "for Weather"}
    assert "DISTILLER_TEST_SECRET" in caplog.text
    assert "hush" not in caplog.text


def test_they_are_resolved_when_asked(path, monkeypatch, caplog):
    monkeypatch.setenv("DISTILLER_TEST_SECRET", "hush")
    found = load_configuration(path, resolve_env=True)
    assert (found["secret"], found["other"]) == ("hush", "none")
    assert not caplog.records
    monkeypatch.delenv("DISTILLER_TEST_SECRET")
    with pytest.raises(ConfigurationError, match="DISTILLER_TEST_SECRET"):
        load_configuration(path, resolve_env=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "no YAML"),
        ("- 1", "mapping"),
        ("", "mapping"),
        ("a: ${b}", "not there"),
        ("a: ${a}", "circle"),
        ("a: 2020-01-01", "JSON"),
    ],
)
def test_a_configuration_that_is_none_is_refused(tmp_path, text, words):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        load_configuration(path)
    with pytest.raises(ConfigurationError, match="can't be read"):
        load_configuration(tmp_path / "missing.yaml")


# -- addresses and keys ------------------------------------------------------------------------------------


def test_a_client_without_a_key_says_so_when_it_needs_one():
    with pytest.raises(ConfigurationError, match="API_KEY"):
        DistillerClient().realtime_distiller.download_project("p")


def test_a_server_on_this_machine_may_do_without():
    with served_in_thread(StandIn()) as front:
        assert DistillerClient(base_url=front.url + "/").realtime_distiller.create_project(CONFIG, "p")
        assert "authorization" not in front.requests[0][1]


def test_a_key_does_not_go_over_plain_http_to_another_machine():
    with pytest.raises(ConfigurationError, match="unencrypted"):
        DistillerClient("key-of-a-test", "http://example.com").realtime_distiller.download_project("p")


@pytest.mark.parametrize(
    "url", ["ftp://x", "example.com", "https://u:p@x", "https://x?k=1", "https://x:99999", "https://"]
)
def test_a_base_url_that_is_none_is_refused(url):
    with pytest.raises(ConfigurationError, match="base_url"):
        DistillerClient("key-of-a-test", url)


def test_a_server_that_is_not_there_is_reported():
    with pytest.raises(ConnectFailed, match="can't be reached") as caught:
        DistillerClient(base_url="http://127.0.0.1:9").realtime_distiller.download_project("p")
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://my-http-gw.example.com/base/", "wss://my-http-gw.example.com/base/distiller/realtime/o%2Frg/p:1/u"),
        ("wss://example.com:8443", "wss://example.com:8443/distiller/realtime/o%2Frg/p:1/u"),
        ("ws://127.0.0.1:1", "ws://127.0.0.1:1/distiller/realtime/o%2Frg/p:1/u"),
    ],
)
async def test_the_address_of_a_session_is_built_and_not_replaced(base, url):
    transport = DistillerTransport("p", "u", api_key="key-of-a-test", base_url=base, project_version=1, account="o/rg")
    endpoint = await transport._service.endpoint(transport.place, transport._keep_alive)
    assert endpoint.url == url
    assert "key-of-a-test" not in repr(endpoint)


def test_the_environment_names_server_key_and_project(monkeypatch):
    assert not DistillerTransport.configured()
    monkeypatch.setenv("API_KEY", "key-of-a-test")
    monkeypatch.setenv("AIR_PROJECT", "example")
    monkeypatch.setenv("AIR_BASE_URL", "https://example.com/")
    assert DistillerTransport.configured()
    transport = DistillerTransport()
    assert transport.base_url == "https://example.com"
    assert transport.place.project == "example"
    monkeypatch.delenv("AIR_BASE_URL")
    monkeypatch.setenv("USE_LEGACY_API_URL", "1")
    assert "legacy" in DistillerTransport().base_url
    monkeypatch.delenv("AIR_PROJECT")
    with pytest.raises(ConfigurationError, match="AIR_PROJECT"):
        DistillerTransport()


def test_a_place_survives_its_description():
    place = Place.of("p", "u", 0, "org")
    assert Place.of_description(json.loads(json.dumps(place.describe()))) == place
    assert place.versioned_project == "p:0"


# -- tokens ------------------------------------------------------------------------------------------------


def jwt(exp):
    return f"h.{urlsafe_b64encode(json.dumps({'exp': exp}).encode()).decode().rstrip('=')}.s"


@pytest.mark.parametrize(
    ("answer", "lives"),
    [
        (lambda: {"access_token": "token-one", "expires_in": 1000}, 1000),
        (lambda: {"access_token": jwt(3000)}, 2000),
        (lambda: {"access_token": "opaque-token"}, 360),
    ],
)
async def test_a_token_is_kept_until_a_minute_before_its_end(answer, lives):
    now = [1000.0]
    async with served(StandIn()) as front:
        front.failing["/token"] = (200, answer())
        provider = TokenProvider(f"{front.url}/token", "id-of-a-test", "secret-of-a-test", clock=lambda: now[0])
        token = await provider.atoken()
        now[0] += lives - 61
        assert await provider.atoken() == token
        assert front.paths() == ["/token"]
        now[0] += 2
        assert await asyncio.to_thread(provider.token) == token
        assert front.paths() == ["/token", "/token"]
        assert "secret" not in repr(provider)


@pytest.mark.parametrize("answer", [(401, "secret-of-a-test is wrong"), (200, {}), (200, "x")])
async def test_a_refused_token_is_reported_without_the_secret(answer):
    async with served(StandIn()) as front:
        front.failing["/token"] = answer
        with pytest.raises(ConnectFailed) as caught:
            await TokenProvider(f"{front.url}/token", "id-of-a-test", "secret-of-a-test").atoken()
        assert "secret-of-a-test" not in str(caught.value)


def test_a_secret_is_not_sent_in_the_clear():
    with pytest.raises(ConfigurationError, match="unencrypted"):
        TokenProvider("http://example.com/token", "id-of-a-test", "secret-of-a-test").token()


async def test_a_session_uses_a_token():
    async with served(StandIn()) as front:
        front.failing["/token"] = (200, {"access_token": "token-one", "expires_in": 1000})
        provider = TokenProvider(f"{front.url}/token", "id-of-a-test", "secret-of-a-test")
        async with AsyncAIRefinery(provider, front.url).realtime_distiller("p", "u"):
            pass
        path, headers = front.sockets[0]
        assert path == "/distiller/realtime/org/p/u"
        assert headers["authorization"] == "Bearer token-one"


def test_a_key_that_no_header_carries_is_refused():
    with pytest.raises(ConfigurationError, match="API key"):
        DistillerClient("k\u00e4y")


def test_making_a_client_sends_nothing_and_logs_nothing(caplog):
    caplog.set_level(logging.DEBUG)
    before = time.monotonic()
    DistillerClient("key-of-a-test")
    assert time.monotonic() - before < 5
    assert not caplog.records

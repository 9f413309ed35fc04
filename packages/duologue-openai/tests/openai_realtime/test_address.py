"""Addresses and keys."""

import pytest
from duologue import ConfigurationError, UnsupportedFormat, get_transport
from duologue_openai import OpenAIRealtimeTransport
from duologue_openai.address import Address

OPENAI = "wss://api.openai.com/v1/realtime?model=m"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("base_url", "query", "address"),
    [
        (None, None, OPENAI),
        ("https://api.openai.com/v1", None, OPENAI),
        ("https://api.openai.com/v1/", None, OPENAI),
        ("wss://api.openai.com/v1/realtime", None, OPENAI),
        ("http://127.0.0.1:8000/v1", None, "ws://127.0.0.1:8000/v1/realtime?model=m"),
        ("ws://127.0.0.1:8000", None, "ws://127.0.0.1:8000/v1/realtime?model=m"),
        (
            "https://r.openai.azure.com/openai/v1",
            None,
            "wss://r.openai.azure.com/openai/v1/realtime?model=m",
        ),
        (
            "https://r.openai.azure.com/openai",
            {"api-version": "2025-04-01-preview", "deployment": "d"},
            "wss://r.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=d",
        ),
        ("https://api.openai.com/v1", {"call_id": "rtc_1"}, "wss://api.openai.com/v1/realtime?call_id=rtc_1"),
    ],
)
def test_the_socket_is_found_from_the_base_url(base_url, query, address):
    assert Address.of(base_url, query, None).socket_url("m") == address


def test_requests_go_over_http():
    address = Address.of("wss://example.com/v1", None, None)
    assert address.web_url("realtime/client_secrets") == "https://example.com/v1/realtime/client_secrets"


def test_keys_go_into_the_header_that_is_wanted():
    openai, azure = Address.of(None, None, None), Address.of("https://r.openai.azure.com/openai/v1", None, None)
    assert openai.headers("k") == {"Authorization": "Bearer k"}
    assert azure.headers("k") == {"api-key": "k"}
    assert azure.headers("eyJ0") == {"Authorization": "Bearer eyJ0"}  # a token of Entra
    assert openai.headers("", organization="o", project="p") == {"OpenAI-Organization": "o", "OpenAI-Project": "p"}


def test_the_environment_stands_in(monkeypatch):
    assert not OpenAIRealtimeTransport.configured()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    assert OpenAIRealtimeTransport.configured()
    assert OpenAIRealtimeTransport().base_url == "https://proxy.example/v1"


@pytest.mark.parametrize("base_url", ["ftp://x", "nonsense", "https://", "https://[::1"])
def test_what_is_no_address_is_refused(base_url):
    with pytest.raises(ConfigurationError):
        OpenAIRealtimeTransport("k", base_url=base_url)


async def test_without_a_key_nothing_is_dialled():
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        await OpenAIRealtimeTransport().connect(system="", tools=[])


async def test_a_key_never_goes_over_plain_http_to_elsewhere():
    transport = OpenAIRealtimeTransport("sk-secret", base_url="http://example.com/v1")
    with pytest.raises(ConfigurationError, match="unencrypted") as caught:
        await transport.connect(system="", tools=[])
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"speed": 5}, "speed"),
        ({"modality": "video"}, "modality"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"noise_reduction": "loud"}, "noise_reduction"),
        ({"eagerness": "very"}, "eagerness"),
    ],
)
def test_options_are_checked_by_name_and_value(options, word):
    with pytest.raises(ConfigurationError, match=word):
        OpenAIRealtimeTransport("k", **options)


async def test_what_the_protocol_has_no_word_for_is_refused_before_dialling():
    from duologue import TurnDetection

    transport = OpenAIRealtimeTransport("k", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(UnsupportedFormat):
        await transport.connect(system="", tools=[], output_audio_format="audio/opus")
    with pytest.raises(ConfigurationError, match="threshold"):
        await transport.connect(system="", tools=[], turn_detection=TurnDetection("semantic", threshold=0.4))
    manual = TurnDetection("manual")
    with pytest.raises(ConfigurationError, match="idle_timeout_ms"):
        await transport.connect(system="", tools=[], turn_detection=manual, options={"idle_timeout_ms": 5000})
    with pytest.raises(ConfigurationError, match="eagerness"):
        await transport.connect(system="", tools=[], options={"eagerness": "low"})
    with pytest.raises(ConfigurationError, match="transcription"):
        await transport.connect(system="", tools=[], options={"transcription": {"model": 5}})


def test_the_transport_is_found_by_name():
    assert isinstance(get_transport("openai", api_key="k"), OpenAIRealtimeTransport)

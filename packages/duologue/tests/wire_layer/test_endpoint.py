"""What an endpoint refuses before anything is connected to."""

import ssl

import pytest
from duologue import ConfigurationError
from duologue.wire import Endpoint
from duologue.wire.endpoint import is_loopback

KEY = "sk-0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint("wss://api.example.com/v1?model=m", HEADERS),
        Endpoint("wss://api.example.com:8443", HEADERS, ssl=ssl.create_default_context()),
        Endpoint("ws://127.0.0.1:8000/", HEADERS),
        Endpoint("ws://[::1]:8000/", HEADERS),
        Endpoint("ws://localhost/", HEADERS),
        Endpoint("ws://app.localhost/", HEADERS),
        Endpoint("ws://192.168.0.7/", HEADERS, plain=True),
        Endpoint("ws://192.168.0.7/"),
    ],
)
def test_what_can_be_connected_to_passes(endpoint):
    endpoint.check()


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        (Endpoint("https://api.example.com"), "wss://"),
        (Endpoint("api.example.com"), "wss://"),
        (Endpoint("wss://"), "wss://"),
        (Endpoint(""), "wss://"),
        (Endpoint("wss://host:port/"), "no URL"),
        (Endpoint("wss://[::1/"), "no URL"),
        (Endpoint("wss://host:99999/"), "no URL"),
        (Endpoint("wss://host/path#fragment"), "#"),
        (Endpoint("ws://127.0.0.1/", ssl=ssl.create_default_context()), "TLS context"),
        (Endpoint("ws://api.example.com/", HEADERS), "unencrypted"),
        (Endpoint("ws://10.0.0.1/?key=abcdef"), "unencrypted"),
        (Endpoint("ws://user:password@10.0.0.1/"), "unencrypted"),
        (Endpoint("ws://10.0.0.1/", secrets=(KEY,)), "unencrypted"),
        (Endpoint("ws://10.0.0.1/", subprotocols=(f"openai-insecure-api-key.{KEY}",)), "unencrypted"),
        (Endpoint("ws://127.0.0.1.example.com/", HEADERS), "unencrypted"),
        (Endpoint("ws://notlocalhost/", HEADERS), "unencrypted"),
    ],
)
def test_what_cant_be_connected_to_is_refused_with_the_reason(endpoint, why):
    with pytest.raises(ConfigurationError) as refused:
        endpoint.check()
    assert why in str(refused.value)
    assert not refused.value.retryable


@pytest.mark.parametrize("url", [f"https://host/?key={KEY}", f"wss://host:port/?key={KEY}", f"wss://[host/?key={KEY}"])
def test_a_refusal_shows_no_key(url):
    with pytest.raises(ConfigurationError) as refused:
        Endpoint(url).check()
    assert KEY not in str(refused.value)
    assert KEY not in repr(refused.value.__cause__)


def test_an_endpoint_is_shown_without_its_keys():
    endpoint = Endpoint(
        f"wss://host/?key={KEY}", HEADERS, proxy=f"http://u:{KEY}@proxy", subprotocols=(f"key.{KEY}",), secrets=(KEY,)
    )
    assert KEY not in repr(endpoint)
    assert "host" in repr(endpoint)


def test_everything_secret_in_an_endpoint_is_hidden():
    endpoint = Endpoint(
        "wss://host/?key=in-the-url",
        {"Authorization": "Bearer in-a-header"},
        proxy="http://user:of-the-proxy@proxy",
        subprotocols=("realtime", "openai-insecure-api-key.in-a-protocol"),
        secrets=("one-more",),
    )
    for secret in ("in-the-url", "in-a-header", "of-the-proxy", "in-a-protocol", "one-more"):
        assert secret not in endpoint.hidden().redact(f"he said {secret} twice: {secret}")


@pytest.mark.parametrize(
    ("host", "is_this_machine"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::1%lo", True),
        ("0.0.0.0", False),
        ("128.0.0.1", False),
        ("fe80::1%eth0", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_this_machine_is_known(host, is_this_machine):
    assert is_loopback(host) is is_this_machine

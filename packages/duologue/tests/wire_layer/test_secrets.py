"""What is a secret in a request, and that no spelling of it is shown."""

import json
from base64 import b64encode
from urllib.parse import quote

import pytest
from duologue.wire.secrets import HIDDEN, SHORTEST, Secrets
from hypothesis import given
from hypothesis import strategies as st

KEY = "sk-live/0123+456="


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": KEY},
        {"X-Goog-Api-Key": KEY},
        {"api-key": KEY},
        {"X-Session-Token": KEY},
        {"Client-Secret": KEY},
        {"Cookie": KEY},
        {"X-Password": KEY},
        {"Sec-WebSocket-Protocol": f"realtime, openai-insecure-api-key.{KEY}"},
        {"Sec-WebSocket-Protocol": f"realtime, openai-insecure-api-key.{KEY}, openai-beta.realtime-v1"},
    ],
)
def test_credentials_in_headers_are_hidden(headers):
    hidden = Secrets.of("wss://host/", headers)
    assert hidden.redact(f"you sent {KEY}!") == f"you sent {HIDDEN}!"
    for value in headers.values():
        assert KEY not in hidden.redact(value)


@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "client_secret", "sig", "X-Amz-Signature", "code"])
def test_keys_in_the_query_are_hidden_as_they_stand_in_the_url_and_as_they_are_meant(name):
    url = f"wss://host/path?model=big&{name}={quote(KEY, safe='')}"
    hidden = Secrets.of(url, {})
    assert hidden.redact(url) == f"wss://host/path?model=big&{name}={HIDDEN}"
    assert KEY not in hidden.redact(f"rejected {KEY}")


def test_a_key_that_was_not_escaped_properly_is_hidden_too():
    """`+` means a space in a query, which is not what whoever pasted the key meant; `%2b` may be in small letters."""
    for url in ("wss://host/?key=ab+cd/ef==", "wss://host/?key=ab%2bcd%2fef=="):
        assert Secrets.of(url, {}).redact(url) == f"wss://host/?key={HIDDEN}"


def test_words_in_the_query_are_no_secrets():
    url = "wss://host/?language_code=en-US&codec=opus&design=modern"
    assert Secrets.of(url, {}).redact(url) == url


def test_passwords_of_addresses_are_hidden():
    hidden = Secrets.of("wss://me:open%20sesame@host/", {}, proxy="http://you:friend-or-foe@proxy:3128")
    shown = hidden.redact("wss://me:open%20sesame@host/ open sesame http://you:friend-or-foe@proxy:3128")
    assert shown == f"wss://me:{HIDDEN}@host/ {HIDDEN} http://you:{HIDDEN}@proxy:3128"
    basic = b64encode(b"me:open sesame").decode()  # what becomes of it in a header
    assert basic not in hidden.redact(f"Authorization: Basic {basic}")


def test_an_address_that_cant_be_read_is_a_secret_as_a_whole():
    bad = "wss://[not-an-address?key=abcdef"
    assert Secrets.of(bad, {}).redact(f"no URL: {bad}") == f"no URL: {HIDDEN}"


def test_a_key_is_hidden_inside_json_however_that_is_escaped():
    hidden = Secrets(['pa"ss/wörd'])
    for text in (json.dumps('pa"ss/wörd'), json.dumps('pa"ss/wörd', ensure_ascii=False)):
        assert hidden.redact(text) == f'"{HIDDEN}"'
        assert hidden.redact(text.replace("/", "\\/")) == f'"{HIDDEN}"'


def test_the_longest_secret_is_hidden_first():
    assert Secrets(["abcd", "abcdefgh"]).redact("abcdefgh abcd") == f"{HIDDEN} {HIDDEN}"


def test_short_values_are_words_and_no_secrets():
    hidden = Secrets(["abc", "", "%41%42"])
    assert hidden.redact("abc AB") == "abc AB"
    assert not Secrets(["abc"])


def test_sets_of_secrets_add_up():
    both = Secrets(["first-key"]) | Secrets(["second-key"])
    assert both.redact("first-key, second-key") == f"{HIDDEN}, {HIDDEN}"
    assert both
    assert not Secrets()
    again = both
    for _ in range(50):  # a capture adds those of each connection
        again |= both
    assert again._pattern == both._pattern
    assert Secrets().redact("nothing to hide") == "nothing to hide"
    assert "key" not in repr(both)


@given(st.lists(st.text(min_size=SHORTEST, max_size=12), min_size=1, max_size=4), st.text(), st.text())
def test_no_secret_survives(values, before, after):
    hidden = Secrets(values)
    for value in values:
        shown = hidden.redact(f"{before}{value}{after}").replace(HIDDEN, "\0")
        assert value in HIDDEN or value not in shown or "\0" in value

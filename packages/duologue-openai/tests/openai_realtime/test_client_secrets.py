"""Ephemeral keys are minted over HTTP."""

import contextlib
import http.server
import json
import threading

import pytest
from duologue import ConfigurationError, ConnectFailed, RateLimited
from duologue_openai import ClientSecret, create_client_secret

MINTED = {"value": "ek_1", "expires_at": 99, "session": {}}


@contextlib.contextmanager
def minting(status=200, body=None, location=None):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            asked.append((self.path, dict(self.headers), json.loads(self.rfile.read(length))))
            answer = json.dumps(
                body if body is not None else {"value": "ek_1", "expires_at": 99, "session": {}}
            ).encode()
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
    finally:
        server.shutdown()
        server.server_close()


async def test_a_secret_is_minted_for_a_session():
    with minting() as (url, asked):
        secret = await create_client_secret("sk-real", session={"model": "gpt-realtime-2.1"}, base_url=url)
    assert secret == ClientSecret("ek_1", 99)
    assert "ek_1" not in repr(secret)
    [(path, headers, body)] = asked
    assert path == "/v1/realtime/client_secrets"
    assert headers["Authorization"] == "Bearer sk-real"
    assert body == {
        "expires_after": {"anchor": "created_at", "seconds": 600},
        "session": {"type": "realtime", "model": "gpt-realtime-2.1"},
    }


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"error": {"message": "bad key sk-real"}}, ConfigurationError),
        (429, {}, RateLimited),
        (500, {}, ConnectFailed),
        (200, {"nothing": 1}, ConnectFailed),
        (302, {}, ConnectFailed),
    ],
)
async def test_refusals_are_told_without_the_key(status, body, error):
    location = "http://127.0.0.1:9/elsewhere" if status == 302 else None
    with minting(status, body, location) as (url, _), pytest.raises(error) as caught:
        await create_client_secret("sk-real", base_url=url)
    assert "sk-real" not in str(caught.value)


async def test_nobody_there_is_a_failure_to_connect():
    with pytest.raises(ConnectFailed, match="reached"):
        await create_client_secret("sk-real", base_url="http://127.0.0.1:9/v1")


async def test_no_key_goes_over_plain_http_to_elsewhere(monkeypatch):
    with pytest.raises(ConfigurationError, match="unencrypted"):
        await create_client_secret("sk-real", base_url="http://example.com/v1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        await create_client_secret()

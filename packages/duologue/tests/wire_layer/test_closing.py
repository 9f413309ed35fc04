"""What ends and refusals become."""

import ssl

import pytest
from duologue import ConfigurationError
from duologue.errors import ConnectFailed, ConnectionLost, RateLimited
from duologue.wire.closing import FATAL, explain_end, explain_failure, explain_status
from duologue.wire.link import ABNORMAL, LinkEnd


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1009, 1011, 1012, 1014, 1015, 3999, 4001, 4999])
def test_most_ends_are_worth_another_try(code):
    error = explain_end(LinkEnd(code, "why"), "acme", accepted=True)
    assert type(error) is ConnectionLost
    assert (error.retryable, error.provider, error.code) == (True, "acme", str(code))
    assert "acme" in str(error)
    assert str(code) in str(error)
    assert "why" in str(error)


@pytest.mark.parametrize("code", sorted(FATAL))
def test_some_ends_say_that_the_same_again_will_not_work(code):
    assert not explain_end(LinkEnd(code), "acme", accepted=True).retryable


def test_before_the_session_stood_it_is_a_failed_connection():
    error = explain_end(LinkEnd(1008, "unknown model"), "acme", accepted=False)
    assert type(error) is ConnectFailed
    assert "unknown model" in str(error)


def test_try_again_later_is_a_rate_limit():
    assert type(explain_end(LinkEnd(1013), "acme", accepted=True)) is RateLimited


def test_a_link_that_broke_off_names_its_cause():
    error = explain_end(LinkEnd(ABNORMAL, "", OSError("cable cut")), "acme", accepted=True)
    assert str(error) == "the link to acme was lost (1006, the connection broke off): cable cut"


def test_nothing_is_said_of_a_provider_without_name():
    error = explain_end(LinkEnd(4000), "", accepted=True)
    assert str(error) == "the provider closed the link (4000, closed)"
    assert error.provider is None


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (403, False), (404, False), (302, False), (408, True), (425, True)]
    + [(status, True) for status in (500, 502, 503, 504)],
)
def test_a_refusal_by_http(status, retryable):
    error = explain_status(status, "  the\n reason ", "acme")
    assert type(error) is ConnectFailed
    assert (error.retryable, error.code, error.provider) == (retryable, str(status), "acme")
    assert str(error).endswith(": the reason")
    assert f"HTTP {status}" in str(error)


def test_a_refusal_says_what_to_do():
    assert "check the key" in str(explain_status(401, "", "acme"))
    assert "may do" in str(explain_status(403, "", "acme"))
    assert "model" in str(explain_status(404, "", "acme"))


def test_too_many_requests_is_a_rate_limit():
    error = explain_status(429, "slow down", "")
    assert type(error) is RateLimited
    assert error.retryable
    assert "slow down" in str(error)


def test_a_page_of_html_is_cut():
    assert len(str(explain_status(503, "<p>" * 10_000, "acme"))) < 400


def test_silence_is_a_failed_connection_that_may_be_tried_again():
    error = explain_failure(TimeoutError(), "host:1", "acme")
    assert (type(error), error.code, error.retryable) == (ConnectFailed, "timeout", True)
    assert "host:1" in str(error)


def test_a_certificate_that_isnt_trusted_is_a_matter_of_configuration():
    exc = ssl.SSLCertVerificationError("bad")
    exc.verify_message = "self-signed certificate"
    error = explain_failure(exc, "host:1", "acme")
    assert type(error) is ConfigurationError
    assert "self-signed certificate" in str(error)
    assert "ssl=" in str(error)


def test_other_failures_are_named():
    error = explain_failure(ConnectionRefusedError("refused"), "host:1", "")
    assert (type(error), error.code, error.provider) == (ConnectFailed, "unreachable", None)
    assert str(error) == "the provider at host:1 can't be reached: refused"


def test_a_failure_without_words_is_named_by_its_kind():
    assert str(explain_failure(EOFError(), "host:1", "acme")).endswith("can't be reached: EOFError")


def test_a_missing_package_is_a_matter_of_configuration():
    error = explain_failure(ImportError("connecting through a SOCKS proxy requires python-socks"), "host:1", "acme")
    assert type(error) is ConfigurationError
    assert "python-socks" in str(error)

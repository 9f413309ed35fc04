"""Languages: which are known to work, and which one this system speaks."""

import pytest
from duologue_google import SUPPORTED_LIVE_LANGUAGES, VOICES, detect_system_language
from duologue_google.languages import check_voice, match_language


def test_the_known_languages_and_voices():
    assert isinstance(SUPPORTED_LIVE_LANGUAGES, frozenset)
    assert len(SUPPORTED_LIVE_LANGUAGES) == 30
    assert {"cmn-CN", "ar-XA", "en-US", "vi-VN"} <= SUPPORTED_LIVE_LANGUAGES
    assert len(VOICES) == 30


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("de_DE.UTF-8", "de-DE"),
        ("de_AT", "de-DE"),
        ("en_NZ.UTF-8", "en-US"),
        ("en_GB@euro", "en-GB"),
        ("fr-CA", "fr-CA"),
        ("fr_BE:en", "fr-FR"),
        ("zh_CN", "cmn-CN"),
        ("zh_Hant_TW", "cmn-CN"),
        ("ar_EG", "ar-XA"),
        ("pt_PT", "pt-BR"),
        ("es_MX", "es-ES"),
        ("sw_KE", None),
        ("C.UTF-8", None),
        ("POSIX", None),
        ("", None),
    ],
)
def test_a_locale_is_matched_to_the_nearest_code(name, code):
    assert match_language(name) == code


def test_the_systems_language_is_in_its_environment(monkeypatch):
    for variable in ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", "it_IT.UTF-8")
    assert detect_system_language() == "it-IT"
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    assert detect_system_language() == "ja-JP"


def test_without_it_the_systems_own_setting_is_asked(monkeypatch):
    for variable in ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("locale.getlocale", lambda: ("ko_KR", "UTF-8"))
    assert detect_system_language() == "ko-KR"
    monkeypatch.setattr("locale.getlocale", lambda: (None, None))
    assert detect_system_language() is None


def test_a_voice_is_written_as_google_writes_it(caplog):
    assert check_voice("aoede") == "Aoede"
    assert not caplog.records
    assert check_voice("alloy") == "alloy"
    assert "alloy" in caplog.text

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest
from duologue import ConfigurationError, MissingExtra, available_transports, configured_transports, get_transport
from duologue.discovery import _PACKAGES


class Plain:
    def __init__(self, *, model: str = "m") -> None:
        self.model = model


class WithKey(Plain):
    has_key = False

    @staticmethod
    def configured() -> bool:
        return WithKey.has_key


class Extra:
    def __init__(self) -> None:
        raise MissingExtra("acme-sdk", needed_for="transport 'extra'")


class Installed:
    """Stands for the entry points of the environment; says what was loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **points: Any) -> None:
        self.points = points
        self.loaded: list[str] = []
        monkeypatch.setattr("importlib.metadata.entry_points", self._find)

    def _find(self, *, group: str) -> list[Any]:
        assert group == "duologue.transports"
        return [_Point(name, value, self.loaded) for name, value in self.points.items()]


class _Point:
    def __init__(self, name: str, value: Any, loaded: list[str]) -> None:
        self.name = name
        self._value = value
        self._loaded = loaded

    def load(self) -> Any:
        self._loaded.append(self.name)
        if isinstance(self._value, str):
            return EntryPoint(self.name, self._value, "duologue.transports").load()
        return self._value


def test_installed_transports_are_listed_sorted_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = Installed(monkeypatch, plain=Plain, acme="nowhere:Nothing")
    assert available_transports() == ["acme", "plain"]
    assert installed.loaded == []


def test_nothing_installed_is_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    Installed(monkeypatch)
    assert available_transports() == configured_transports() == []


def test_a_transport_that_needs_nothing_is_configured_and_one_with_a_key_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Installed(monkeypatch, keyed=WithKey, plain=Plain)
    assert configured_transports() == ["plain"]
    monkeypatch.setattr(WithKey, "has_key", True)
    assert configured_transports() == ["keyed", "plain"]


def test_a_broken_package_hides_no_other(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    Installed(monkeypatch, acme="nowhere:Nothing", gone="json:Nothing", plain=Plain)
    assert configured_transports() == ["plain"]
    assert "transport 'acme' is installed but can't be imported" in caplog.text


def test_a_transport_is_made_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    Installed(monkeypatch, plain=Plain)
    made = get_transport("plain", model="big")
    assert isinstance(made, Plain)
    assert made.model == "big"


@pytest.mark.parametrize(("name", "package"), sorted(_PACKAGES.items()))
def test_one_of_ours_that_is_missing_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    Installed(monkeypatch, plain=Plain)
    with pytest.raises(
        MissingExtra, match=f"transport '{name}' needs the package {package}: run `pip install"
    ) as caught:
        get_transport(name)
    assert caught.value.package == package


def test_an_unknown_name_is_answered_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    Installed(monkeypatch, plain=Plain, keyed=WithKey)
    with pytest.raises(ConfigurationError, match=r"there is no transport 'lokal'; installed: keyed, plain$"):
        get_transport("lokal")
    Installed(monkeypatch)
    with pytest.raises(ConfigurationError, match=r"installed: none$"):
        get_transport("lokal")


def test_options_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Installed(monkeypatch, plain=Plain)
    with pytest.raises(ConfigurationError, match=r"transport 'plain' does not take these options .*'voice'"):
        get_transport("plain", voice="x")


@pytest.mark.parametrize("target", ["nowhere_at_all:Nothing", "json:Nothing"])
def test_a_transport_that_can_not_be_imported_says_so(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    Installed(monkeypatch, acme=target)
    with pytest.raises(ConfigurationError, match="transport 'acme' is installed but can't be imported"):
        get_transport("acme")


def test_what_a_transport_itself_says_is_missing_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    Installed(monkeypatch, extra=Extra)
    with pytest.raises(MissingExtra, match="acme-sdk"):
        get_transport("extra")

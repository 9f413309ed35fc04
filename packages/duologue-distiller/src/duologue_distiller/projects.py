"""RealtimeDistiller: `client.realtime_distiller`: projects, and the way to a session."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from duologue.errors import ConfigurationError, LinkError
from duologue.wire import KeepAlive, LinkPolicy
from duologue.wire.closing import explain_status
from duologue.wire.links import open_link

from duologue_distiller.codec import PROVIDER
from duologue_distiller.configuration import load_configuration, read_download
from duologue_distiller.connection import DistillerConnection
from duologue_distiller.place import Place, check_name, check_version
from duologue_distiller.service import SDK_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from duologue.wire.link import OpenLink

    from duologue_distiller.http import Answer
    from duologue_distiller.service import Service

log = logging.getLogger(__name__)

CREATE = "/distiller/create"
DOWNLOAD = "/distiller/download"
VALIDATE_CONFIG = "/distiller/config/validate"


class RealtimeDistiller:
    """The projects of an account. Call it with a project and a user to open a session.

    The methods without an `a` in front block, as the official client's do; their twins don't.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(
        self,
        project: str,
        uuid: str,
        executor_dict: Mapping[str, Callable[..., Any]] | None = None,
        project_version: str | int | None = None,
        *,
        executor_timeout: float = 600.0,
        keep_alive: KeepAlive | None = None,
        policy: Callable[[], LinkPolicy] = LinkPolicy,
        link: OpenLink = open_link,
    ) -> DistillerConnection:
        """Make a session's context manager; nothing is dialled before it is entered.

        Args:
            project: the project's name.
            uuid: the user's name.
            executor_dict: functions by the name of the custom agent that they are.
            project_version: "0", "1", ...; default the latest.
            executor_timeout: seconds a function may run.
            keep_alive: how a dead link is noticed.
            policy: makes the rules of reconnecting.
            link: how links are opened.

        Raises:
            BadName: a name or the version has characters that names can't have (a ValueError).
        """
        return DistillerConnection(
            self._service,
            Place.of(project, uuid, project_version),
            dict(executor_dict or {}),
            keep_alive=keep_alive or KeepAlive(),
            policy=policy,
            link=link,
            executor_timeout=executor_timeout,
        )

    def create_project(
        self,
        config_path: str | Path | Mapping[str, Any] | None = None,
        project: str = "",
        *,
        json_config: Mapping[str, Any] | None = None,
        resolve_env: bool = False,
    ) -> bool:
        """Create a project, or its next version; return True.

        Args:
            config_path: the path of a YAML file, or the configuration itself.
            project: the project's name.
            json_config: the configuration itself.
            resolve_env: put values of environment variables in place of references to them; they are uploaded.

        Raises:
            BadName: the name has characters that names can't have (a ValueError).
            ValueError: there is no configuration.
            ConfigurationError: the file can't be read, or there is no key.
            LinkError: the service can't be reached, or refused.
        """
        body = _creation(config_path, project, json_config, resolve_env)
        return _created(self._service.post(CREATE, body), project)

    async def acreate_project(
        self,
        config_path: str | Path | Mapping[str, Any] | None = None,
        project: str = "",
        *,
        json_config: Mapping[str, Any] | None = None,
        resolve_env: bool = False,
    ) -> bool:
        """Do what `create_project` does, without blocking."""
        body = _creation(config_path, project, json_config, resolve_env)
        return _created(await self._service.apost(CREATE, body), project)

    def download_project(self, project: str, project_version: str | int | None = None) -> dict[str, Any]:
        """Return a project's configuration, of the latest version where none is given.

        Raises:
            BadName: the name or the version has characters that names can't have (a ValueError).
            ConfigurationError: there is no key, or no configuration.
            LinkError: the service can't be reached, or refused.
        """
        return _downloaded(self._service.post(DOWNLOAD, _download(project, project_version)), project)

    async def adownload_project(self, project: str, project_version: str | int | None = None) -> dict[str, Any]:
        """Do what `download_project` does, without blocking."""
        return _downloaded(await self._service.apost(DOWNLOAD, _download(project, project_version)), project)

    def validate_config(
        self,
        config_path: str | Path | Mapping[str, Any] | None = None,
        *,
        json_config: Mapping[str, Any] | None = None,
        resolve_env: bool = False,
    ) -> bool:
        """Whether the service would take a configuration; why not is in the log.

        Raises:
            ValueError: there is no configuration.
            ConfigurationError: the file can't be read, or there is no key.
        """
        body = {"config": load_configuration(_source(config_path, json_config), resolve_env=resolve_env)}
        try:
            return _valid(self._service.post(VALIDATE_CONFIG, body, within=15.0))
        except LinkError as exc:
            return _unknown(exc)

    async def avalidate_config(
        self,
        config_path: str | Path | Mapping[str, Any] | None = None,
        *,
        json_config: Mapping[str, Any] | None = None,
        resolve_env: bool = False,
    ) -> bool:
        """Do what `validate_config` does, without blocking."""
        body = {"config": load_configuration(_source(config_path, json_config), resolve_env=resolve_env)}
        try:
            return _valid(await self._service.apost(VALIDATE_CONFIG, body, within=15.0))
        except LinkError as exc:
            return _unknown(exc)


def _source(
    config_path: str | Path | Mapping[str, Any] | None, json_config: Mapping[str, Any] | None
) -> str | Path | Mapping[str, Any]:
    source = config_path if config_path else json_config
    if not source:
        raise ValueError("no configuration: pass config_path= (a YAML file) or json_config= (a dict)")
    return source


def _creation(
    config_path: str | Path | Mapping[str, Any] | None,
    project: str,
    json_config: Mapping[str, Any] | None,
    resolve_env: bool,
) -> dict[str, Any]:
    check_name("project", project)
    config = load_configuration(_source(config_path, json_config), resolve_env=resolve_env)
    return {"project": project, "config": config, "sdk_version": SDK_VERSION}


def _created(answer: Answer, project: str) -> bool:
    if answer.status not in (200, 201):
        raise explain_status(answer.status, answer.text, PROVIDER)
    found = answer.json()
    version = found.get("project_version") if isinstance(found, dict) else None
    log.info("project %s was created%s", project, "" if version is None else f", version {version}")
    return True


def _download(project: str, version: str | int | None) -> dict[str, Any]:
    return {
        "project": check_name("project", project),
        "project_version": check_version(version),
        "sdk_version": SDK_VERSION,
    }


def _downloaded(answer: Answer, project: str) -> dict[str, Any]:
    if answer.status != 200:
        raise explain_status(answer.status, answer.text, PROVIDER)
    try:
        return read_download(answer.json())
    except ConfigurationError as exc:
        raise ConfigurationError(f"{exc} ({project!r})", provider=PROVIDER) from None


def _valid(answer: Answer) -> bool:
    if answer.status != 200:
        log.error("the configuration was refused (HTTP %d): %s", answer.status, " ".join(answer.text.split())[:500])
    return answer.status == 200


def _unknown(exc: LinkError) -> bool:
    log.error("whether the configuration is valid can't be told: %s", exc)
    return False

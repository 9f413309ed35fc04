"""Place: whose session it is: account, project, version, user."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from duologue_distiller.bad_name import BadName

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9_-]+")


def check_name(what: str, name: str) -> str:
    """Return a name of a project or a user.

    Raises:
        BadName: it has other characters than letters, digits, hyphens and underscores.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadName(f"{what}={name!r}: use letters, digits, hyphens and underscores only")
    return name


def check_version(version: str | int | None) -> str | None:
    """Return a project's version as the service writes it: "0", "1", ...

    Raises:
        BadName: it is no version.
    """
    if version is None:
        return None
    text = str(version)
    if isinstance(version, bool) or not _NAME.fullmatch(text):
        raise BadName(f"project_version={version!r}: versions are '0', '1', '2', ...")
    return text


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session takes place.

    Attributes:
        project: the project's name.
        uuid: the user's name.
        project_version: its version, None for the latest.
        account: the account that the key belongs to, "" while that is not known.
    """

    project: str = ""
    uuid: str = ""
    project_version: str | None = None
    account: str = ""

    @classmethod
    def of(cls, project: str, uuid: str, project_version: str | int | None = None, account: str = "") -> Place:
        """Make one of what a caller wrote.

        Raises:
            BadName: a name or the version is wrong.
        """
        return cls(check_name("project", project), check_name("uuid", uuid), check_version(project_version), account)

    @classmethod
    def of_description(cls, description: Mapping[str, Any]) -> Place:
        """Read what `describe` wrote."""
        return cls(**description)

    @property
    def versioned_project(self) -> str:
        """The project with its version, as the service writes it."""
        return self.project if self.project_version is None else f"{self.project}:{self.project_version}"

    @property
    def path(self) -> str:
        """The path of the session's address, below the base URL."""
        parts = (self.account, self.versioned_project, self.uuid)
        return "/distiller/realtime/" + "/".join(quote(part, safe=":") for part in parts)

    def describe(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return asdict(self)

"""Credentials: tokens of Google Cloud, by google-auth, off the loop."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias

from duologue.errors import ConfigurationError, ConnectFailed, MissingExtra

from duologue_google.receiver import PROVIDER
from duologue_google.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

WITHIN = 9.0
"""Seconds that google-auth has; the session's own limit for connecting is ten."""

TokenSource: TypeAlias = "Callable[[], Awaitable[str]] | Callable[[], str] | Any"
"""Makes a token, or is credentials of google-auth."""


class CloudCredentials:
    """Gives a token before each connection: a fresh one where the last is about to expire.

    Args:
        given: credentials of google-auth, a function (async or not) that returns a token, or None for the
            Application Default Credentials: the file of GOOGLE_APPLICATION_CREDENTIALS, the user's own of gcloud, or
            the machine's.

    Attributes:
        project: the project that the default credentials belong to, once there is a token.
        quota_project: the project that is billed, where the credentials say so.
    """

    def __init__(self, given: TokenSource | None = None) -> None:
        self.project: str | None = None
        self.quota_project: str | None = None
        self._given = given
        self._found: Any = None

    async def token(self) -> str:
        """Return a token that is valid now.

        Raises:
            MissingExtra: google-auth is not installed.
            ConfigurationError: there are no credentials here, or they are not accepted.
            ConnectFailed: Google did not answer.
        """
        if callable(self._given):
            made = self._given()
            return str(await made if inspect.isawaitable(made) else made)
        try:
            return await in_thread(self._refresh, within=WITHIN, name="google-auth")
        except TimeoutError:
            raise ConnectFailed(
                f"Google Cloud gave no token within {WITHIN:g} s", provider=PROVIDER, code="timeout"
            ) from None

    def _refresh(self) -> str:
        try:
            import google.auth
            import google.auth.exceptions
            from google.auth.transport.requests import Request
        except ImportError as exc:
            raise MissingExtra(
                "google-auth", needed_for="signing in to Vertex AI", install="pip install 'duologue-google[vertex]'"
            ) from exc
        try:
            if self._found is None:
                self._found = self._given
            if self._found is None:
                self._found, self.project = google.auth.default(scopes=[SCOPE])
            if not self._found.valid:
                self._found.refresh(Request())
        except google.auth.exceptions.DefaultCredentialsError as exc:
            raise ConfigurationError(
                "there are no credentials of Google Cloud here: run `gcloud auth application-default login`, set "
                "GOOGLE_APPLICATION_CREDENTIALS, or pass credentials=",
                provider=PROVIDER,
            ) from exc
        except google.auth.exceptions.RefreshError as exc:
            raise ConfigurationError(
                f"Google Cloud did not accept the credentials ({type(exc).__name__}): sign in anew", provider=PROVIDER
            ) from None
        except google.auth.exceptions.GoogleAuthError as exc:
            raise ConnectFailed(f"Google Cloud gave no token ({type(exc).__name__})", provider=PROVIDER) from None
        self.quota_project = getattr(self._found, "quota_project_id", None)
        return str(self._found.token)

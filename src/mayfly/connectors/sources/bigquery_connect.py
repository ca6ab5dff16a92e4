"""Clients of BigQuery: who asks, and over what."""

from __future__ import annotations

import re
from typing import Any

from mayfly.connectors.drivers import optional_driver
from mayfly.connectors.google_keys import TOKENS, service_account_key
from mayfly.domain.errors import ConfigError
from mayfly.ports.source_spec import Revealed, SourceRequest

HOST = "bigquery.googleapis.com"
_DEFAULTS = frozenset(
    {
        "sts.googleapis.com",
        "iamcredentials.googleapis.com",
        "metadata.google.internal",
        "169.254.169.254",
    }
)
"""Where application default credentials may come from."""
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]):[0-9]{1,5}")
_SCOPES = ["https://www.googleapis.com/auth/bigquery"]
NOBODY = "PRINCIPAL"
"""In place of an account that is not known here."""


def endpoint_of(request: SourceRequest) -> str | None:
    """A server on this machine in place of BigQuery.

    Raises:
        ConfigError: `endpoint_refused`, it is another machine's.
    """
    endpoint = request.settings.options.get("endpoint")
    if endpoint is None:
        return None
    if not _LOOPBACK.fullmatch(str(endpoint)):
        raise ConfigError(
            "endpoint_refused",
            f"The endpoint of source {request.settings.name} is not on this machine.",
            hint='Leave it out; an emulator\'s is "http://127.0.0.1:PORT".',
        )
    return str(endpoint)


def hosts(request: SourceRequest) -> frozenset[str]:
    """See `SourceSpec.hosts`."""
    endpoint = endpoint_of(request)
    if endpoint is not None:
        return frozenset({"::1" if "[" in endpoint else "127.0.0.1"})
    named = {HOST, TOKENS}
    return frozenset(named if request.settings.options.get("credentials") else named | _DEFAULTS)


def member_of(source: str, credentials: Revealed | None) -> str:
    """The account as GRANT names it.

    Raises:
        ConfigError: `credentials_invalid`.
    """
    if credentials is None:
        return NOBODY
    key = service_account_key(f"source {source}", credentials)
    return f"serviceAccount:{key['client_email']}"


class Clients:
    """Makes clients that share their credentials.

    Args:
        source: its name.
        project: that is billed, and whose tables are read.
        location: where queries run.
        credentials: a service account's key; the application's own credentials without one.
        endpoint: an emulator on this machine, which wants none.
    """

    def __init__(
        self,
        source: str,
        *,
        project: str,
        location: str,
        credentials: Revealed | None,
        endpoint: str | None,
    ) -> None:
        self._source = source
        self._project = project
        self._location = location
        self._given = credentials
        self._endpoint = endpoint
        self._credentials: Any = None

    def open(self) -> Any:
        """A client, without proxies or redirects. It has asked nothing yet, but for the
        application's own credentials.

        Raises:
            ConfigError: `driver_missing`; `credentials_invalid`; `source_refused`.
        """
        bigquery = driver()
        import requests
        from google.auth.transport import requests as transport

        plain = requests.Session()
        plain.trust_env, plain.max_redirects = False, 0
        library: Any = transport
        request = library.Request(plain)
        if self._credentials is None:
            self._credentials = self._found(request)
        session = library.AuthorizedSession(self._credentials, auth_request=request)
        session.trust_env, session.max_redirects = False, 0
        return bigquery.Client(
            project=self._project,
            credentials=self._credentials,
            location=self._location,
            client_options={"api_endpoint": self._endpoint or f"https://{HOST}"},
            _http=session,
        )

    def _found(self, request: Any) -> Any:
        import google.auth
        from google.auth import credentials
        from google.auth.exceptions import GoogleAuthError
        from google.oauth2 import service_account

        anonymous: Any = credentials.AnonymousCredentials
        of_account: Any = service_account.Credentials
        if self._endpoint is not None:
            return anonymous()
        try:
            if self._given is not None:
                key = service_account_key(f"source {self._source}", self._given)
                return of_account.from_service_account_info(key, scopes=_SCOPES)
            found, _ = google.auth.default(scopes=_SCOPES, request=request)
        except (GoogleAuthError, ValueError):
            raise ConfigError(
                "source_refused",
                f"There are no credentials for source {self._source} that can be used.",
                hint="Give `credentials`, or log in with gcloud auth application-default login.",
            ) from None
        return found


def driver() -> Any:
    """See `optional_driver`."""
    names = ["google", "urllib3", "requests"]
    return optional_driver("google.cloud.bigquery", kind="bigquery", logs=names)

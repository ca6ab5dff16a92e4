"""Connecting a destination: a secret that is given, or a log-in in the browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.make import key_hosts
from mayfly.adapters.loopback import CallbackListener
from mayfly.bootstrap import App
from mayfly.domain.errors import ConfigError
from mayfly.services.credentials import Credential
from mayfly.services.oauth import Login, OAuthClient

SECRET_BYTES_MAX = 65_536
# One line of text: a stray paste of several lines, or of a file, is refused.
_SECRET = re.compile(r"[^\x00-\x1f\x7f]+")
_SURROGATE = re.compile("[\ud800-\udfff]")

Listen = Callable[[], CallbackListener]


def connect(
    app: App,
    name: str,
    *,
    ask: Callable[[], str],
    show: Callable[[str], None],
    listen: Listen | None = None,
) -> dict[str, Any]:
    """Store a new credential of a destination; the one before it stays for runs in flight.

    Args:
        app: of the project.
        name: of the destination.
        ask: gives its secret, where it does not log in; and the address that the browser ended at,
            where that is not one of ours.
        show: is told the address to open in a browser, where it does; must not block.
        listen: opens the listener that the browser comes back to; by default where the
            destination's log-in says.

    Raises:
        UsageError: `unknown_destination`, `no_connection`.
        ConfigError: `secret_empty`, `secret_malformed`; whatever the log-in raises.
        EngineError: whatever the key provider or the store raises.
    """
    place = app.connections.place(name)
    client = app.connections.client(app.project.destinations[name])
    with allow_hosts(key_hosts(app.project.keys)):
        # Before a person does anything: what could not be sealed is not asked for.
        app.keys.health()
        if client is None:
            credential = Credential(secret=_checked(ask()))
        else:
            callback = _visited(client, ask, show, listen)
            credential = _logged_in(app, client, *callback)
        version = app.connections.vault.put(place, credential)
    return _document("connected", app, name, version=version, login=client is not None)


def disconnect(app: App, name: str) -> dict[str, Any]:
    """Delete every version of a destination's credential here; the vendor is not told.

    Raises:
        UsageError: `unknown_destination`, `no_connection`.
    """
    place = app.connections.place(name)
    versions = app.connections.vault.forget(place.key)
    return _document("forgotten", app, name, version=None, login=False) | {"deleted": versions}


def _visited(
    client: OAuthClient,
    ask: Callable[[], str],
    show: Callable[[str], None],
    listen: Listen | None,
) -> tuple[Login, Mapping[str, str]]:
    """An attempt to log in, and what the browser came back with."""
    if client.redirect_uri is not None:
        login = Login(redirect_uri=client.redirect_uri)
        show(login.url(client))
        return login, dict(parse_qsl(urlsplit(_checked(ask()).strip()).query))
    spec = client.spec
    place = partial(CallbackListener, host=spec.redirect_host, port=spec.redirect_port)
    with (listen or place)() as listener:
        login = Login(redirect_uri=listener.redirect_uri)
        show(login.url(client))
        return login, listener.wait(lambda given: _is_code(login, given))


def _logged_in(
    app: App, client: OAuthClient, login: Login, callback: Mapping[str, str]
) -> Credential:
    code = login.code(callback)
    with allow_hosts({urlsplit(client.token_url).hostname or ""}):
        tokens = app.connections.exchange(client, login, code)
    # `exchange` gives none without.
    return Credential(secret=str(tokens.refresh_token), refreshes=True)


def _is_code(login: Login, callback: Mapping[str, str]) -> bool:
    try:
        login.code(callback)
    except ConfigError:
        return False
    return True


def _checked(secret: str) -> str:
    if not secret.strip():
        raise ConfigError(
            "secret_empty",
            "No secret was given.",
            hint="Type it where it is asked for, or pipe it: mayfly connect NAME < FILE.",
        )
    # What was no UTF-8 came as surrogates, which cannot be encoded.
    size = len(secret.encode("utf-8", "surrogatepass"))
    if not _SECRET.fullmatch(secret) or size > SECRET_BYTES_MAX or _SURROGATE.search(secret):
        raise ConfigError(
            "secret_malformed",
            f"A secret is one line of text of at most {SECRET_BYTES_MAX} bytes.",
            hint="Check that nothing else was piped in or pasted.",
        )
    return secret


def _document(act: str, app: App, name: str, *, version: int | None, login: bool) -> dict[str, Any]:
    return {
        "schema": "mayfly/connect/1",
        "ok": True,
        "act": act,
        "destination": name,
        "target": app.project.target,
        "login": login,
        "version": version,
        "deleted": 0,
    }

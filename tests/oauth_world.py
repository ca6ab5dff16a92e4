"""A Meta that people log in to: its sandbox behind the strict OAuth server, on one port."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from end_to_end.projects import FILES
from mayfly.bootstrap import SPECS
from mayfly.cli.entry import main
from mayfly.connectors.destinations import meta_ads
from mayfly.ports.oauth import OAuthSpec
from mayfly.sandbox.app import SandboxApp
from mayfly.sandbox.oauth import AUTHORISE_PATH, TOKEN_PATH, OAuthSandbox
from mayfly.sandbox.server import LoopbackServer

LOGIN = OAuthSpec(
    authorise_url=f"https://login.example.com{AUTHORISE_PATH}",
    token_url=f"https://login.example.com{TOKEN_PATH}",
    scopes=("write",),
    life_seconds=1800,
    client_id_option="account_id",
    client_secret_option="app_secret",
)
SPEC = replace(meta_ads.SPEC, oauth=LOGIN)
SECRET_NAME = "META_CLIENT_SECRET"
TWO_SYNCS = (
    FILES.replace('"env:META_TOKEN"', f'"connection:meta", app_secret: "env:{SECRET_NAME}"')
    + """  to_meta_too:
    id: to_meta_too
    model: people
    destination: meta
    mode: audience
    audience: Others
    purpose: ads
    mapping: {EMAIL: email}
"""
)
_TESTS = Path(__file__).parent


class Both:
    """One port for the log-in and for what it is for."""

    def __init__(self, oauth: OAuthSandbox, vendor: SandboxApp) -> None:
        self._oauth, self._vendor = oauth, vendor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        paths = (self._oauth.authorise_path, self._oauth.token_path)
        app = self._oauth if scope["path"] in paths else self._vendor
        await app(scope, receive, send)


class OAuthMeta(LoopbackServer):
    """Takes the access tokens that its own OAuth server gave, and no others."""

    def __init__(self, oauth: OAuthSandbox) -> None:
        self.oauth = oauth
        tokens: Any = oauth.access_tokens  # grows
        self.app = SandboxApp(tokens=tokens)
        super().__init__(Both(oauth, self.app))


def visit(url: str) -> int:
    """As a browser does: follow to the end; the status there."""
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            reply.read()
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


BROWSER = "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=30).read()"


def visit_beside(url: str) -> None:
    """The same as a browser, in a process of its own: this one's sockets are guarded."""

    def browse() -> None:
        command = [sys.executable, "-S", "-c", BROWSER, url]
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL, timeout=60)

    threading.Thread(target=browse, daemon=True).start()


STAY = """
import sys, urllib.error, urllib.request as u
class Stay(u.HTTPRedirectHandler):
    def redirect_request(self, *rest): pass
try: u.build_opener(Stay()).open(sys.argv[1], timeout=30)
except urllib.error.HTTPError as error: print(error.headers["location"])
"""


def ended_at(url: str) -> str:
    """The address that a browser ends at which was sent to one that nobody serves."""
    command = [sys.executable, "-S", "-c", STAY, url]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


def mayfly(*words: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """A command in a process of its own, whose Meta is one to log in to."""
    paths = [str(_TESTS), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", "import oauth_world; oauth_world.run()", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **(environment or {})},
    )


def run() -> None:
    """The command, in the other process; `DIES` ends it as it stores a credential."""
    SPECS["meta_ads"] = SPEC
    if os.environ.get("DIES"):
        from mayfly.adapters.stores.sql_credentials import SqlLockedConnection

        SqlLockedConnection.add = lambda self, credential: os._exit(9)  # type: ignore[method-assign]
    main(sys.argv[1:])

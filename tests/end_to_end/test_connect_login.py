"""`mayfly connect` in the browser, against the strict OAuth server, and refreshes in runs."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from end_to_end.projects import approved, make_project
from mayfly.adapters import clock
from mayfly.adapters.loopback import CallbackListener
from mayfly.api import connecting, load
from mayfly.bootstrap import SPECS
from mayfly.domain.errors import ConfigError, ContractError, EngineError
from mayfly.sandbox.oauth import OAuthSandbox
from mayfly.services.oauth import Login
from mayfly.services.scan_paths import scan_paths
from oauth_world import LOGIN, SECRET_NAME, SPEC, TWO_SYNCS, OAuthMeta, mayfly, visit, visit_beside

CLIENT_SECRET = "marked-7f3a-client"


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthMeta]:
    """A Meta that people log in to."""
    monkeypatch.setenv(SECRET_NAME, CLIENT_SECRET)
    monkeypatch.setitem(SPECS, "meta_ads", SPEC)
    with OAuthMeta(OAuthSandbox(client_id="123", client_secret=CLIENT_SECRET)) as server:
        yield server


@pytest.fixture
def root(tmp_path: Path, meta: OAuthMeta) -> Path:
    """A project of two syncs to it, approved."""
    made = make_project(tmp_path / "project", meta.url, text=TWO_SYNCS)
    approved(made)
    return made


def no_secret() -> str:
    """Nobody is asked for one."""
    raise AssertionError


def log_in(root: Path, show: Callable[[str], None] = visit_beside) -> int:
    """The version that a log-in stores."""
    return int(load(root).connect("meta", ask=no_secret, show=show)["version"])


def refused(root: Path, show: Callable[[str], None] = visit_beside) -> str:
    """Why a log-in stores nothing."""
    with pytest.raises(EngineError) as caught:
        log_in(root, show)
    assert load(root).app.store.credentials() == []
    return caught.value.code


def secret_of(root: Path) -> str:
    """The refresh token that is stored."""
    app = load(root).app
    return app.connections.vault.get(app.connections.place("meta")).secret


def finished(process: subprocess.Popen[str]) -> int:
    """Its exit code."""
    process.communicate(timeout=120)
    return process.returncode


def test_a_login_gives_runs_their_tokens(root: Path, meta: OAuthMeta) -> None:
    """Two runs of one process refresh once; what is stored is the newest refresh token."""
    assert log_in(root) == 1
    first = secret_of(root)
    assert meta.oauth.access_tokens
    assert load(root).run("to_meta", "to_meta_too").ok
    assert meta.oauth.token_requests == ["authorization_code", "refresh_token"]
    assert secret_of(root) != first
    assert load(root).run("to_meta").ok


def test_a_long_run_goes_on_with_a_new_token(
    root: Path, meta: OAuthMeta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At four fifths of its life the token is renewed, within one process."""
    log_in(root)
    project = load(root)
    assert project.run("to_meta").ok
    real = clock._system_ms
    monkeypatch.setattr(clock, "_system_ms", lambda: real() + 1_441_000)
    assert project.run("to_meta_too").ok
    assert meta.oauth.token_requests.count("refresh_token") == 2


def test_no_secret_is_in_a_file_log_or_text(
    root: Path,
    meta: OAuthMeta,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Neither tokens nor the client's secret, nor code, verifier or state of the log-in."""
    seen: list[str] = []

    def browser(url: str) -> None:
        seen.append(parse_qs(urlsplit(url).query)["state"][0])
        visit_beside(url)

    with caplog.at_level(logging.DEBUG):
        log_in(root, browser)
        secrets = [secret_of(root), CLIENT_SECRET, *seen]
        load(root).run()
        secrets += [secret_of(root), *meta.oauth.access_tokens]
        meta.oauth.revoke_all()
        load(root).run("to_meta")
    assert len(secrets) >= 6
    found = scan_paths([root / ".mayfly", root / "approvals.lock"], known_values=secrets)
    assert found == []
    told = caplog.text + str(capfd.readouterr())
    assert [s for s in secrets if s in told] == []


def test_a_wrong_state_is_refused_and_its_code_not_used(root: Path, meta: OAuthMeta) -> None:
    """A page that guesses the port cannot have its own account connected."""

    def browser(url: str) -> None:
        visit_beside(re.sub(r"state=[^&]+", "state=guessed", url))

    assert refused(root, browser) == "oauth_state"
    assert meta.oauth.token_requests == []


def test_a_second_callback_finds_nobody(root: Path) -> None:
    """The port is closed once the first one is answered."""
    uris: list[str] = []

    def browser(url: str) -> None:
        uris.append(parse_qs(urlsplit(url).query)["redirect_uri"][0])
        visit_beside(url)

    log_in(root, browser)
    with pytest.raises(OSError, match="refused"):
        visit(f"{uris[0]}?code=again&state=again")


def test_after_two_minutes_nothing_is_waited_for(root: Path) -> None:
    """By the clock that is given."""
    times = iter([0.0, 120.0])
    app = load(root).app

    def listen() -> CallbackListener:
        return CallbackListener(monotonic=lambda: next(times))

    with pytest.raises(ConfigError) as caught:
        connecting.connect(app, "meta", ask=no_secret, show=len, listen=listen)  # type: ignore[arg-type]
    assert caught.value.code == "callback_timeout"
    assert app.store.credentials() == []


def test_a_refusal_by_the_person_is_told(root: Path, meta: OAuthMeta) -> None:
    """No token is asked for."""
    meta.oauth.refuses = True
    assert refused(root) == "consent_refused"
    assert meta.oauth.token_requests == []


def test_a_wrong_verifier_is_refused(
    root: Path, meta: OAuthMeta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code that was caught is worth nothing without what only this process knows."""
    real = Login.url

    def other(self: Login, client: object) -> str:
        return real(replace(self, verifier="x" * 64), client)  # type: ignore[arg-type]

    monkeypatch.setattr(Login, "url", other)
    assert refused(root) == "oauth_code_refused"
    assert meta.oauth.token_requests == ["authorization_code"]


def test_an_unknown_client_is_told(
    root: Path, meta: OAuthMeta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint names its settings."""
    monkeypatch.setenv(SECRET_NAME, "wrong")
    assert refused(root) == "oauth_client"


def test_a_vendor_that_gives_no_refresh_token_is_told(
    root: Path, meta: OAuthMeta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An access token alone would end in an hour."""
    real = OAuthSandbox._given

    def given(self: OAuthSandbox, grant: object, *, rotate: bool) -> object:
        real(self, grant, rotate=True)  # type: ignore[arg-type]
        return real(self, grant, rotate=False)  # type: ignore[arg-type]

    monkeypatch.setattr(OAuthSandbox, "_given", given)
    with pytest.raises(ContractError) as caught:
        log_in(root)
    assert caught.value.code == "oauth_answer"


def test_a_vendor_that_is_away_changes_nothing(root: Path, meta: OAuthMeta) -> None:
    """The run is held, and the next one goes on with the same refresh token."""
    log_in(root)
    meta.oauth.fault = 503
    project = load(root)
    project.app.sleep = _no_sleep
    assert project.run("to_meta").exit_code == 4
    meta.oauth.fault = None
    assert load(root).run("to_meta").ok


def test_a_consent_that_was_withdrawn_asks_for_a_new_one(root: Path, meta: OAuthMeta) -> None:
    """It is asked once, not in a loop; a log-in mends it."""
    log_in(root)
    meta.oauth.revoke_all()
    for _ in range(2):
        [done] = load(root).run("to_meta").syncs
        assert done.error is not None
        assert done.error.code == "needs_consent"
        assert "mayfly connect meta" in done.error.hint
    assert meta.oauth.token_requests.count("refresh_token") == 1
    assert log_in(root) == 2
    assert load(root).run("to_meta").ok


def test_an_answer_that_was_lost_ends_in_consent_and_no_other_token(
    root: Path, meta: OAuthMeta
) -> None:
    """The vendor rotated, and we have the token before: using it again ends the grant there."""
    log_in(root)
    before = secret_of(root)
    meta.oauth.loses_answers = True
    project = load(root)
    project.app.sleep = _no_sleep
    project.run("to_meta")
    meta.oauth.loses_answers = False
    assert secret_of(root) == before
    [done] = load(root).run("to_meta").syncs
    assert done.error is not None
    assert done.error.code == "needs_consent"


@pytest.mark.slow
def test_a_process_that_dies_before_it_stored_a_token_never_used_it(
    root: Path, meta: OAuthMeta
) -> None:
    """The access token that came with it reached nobody."""
    log_in(root)
    before = secret_of(root)
    died = mayfly("run", "to_meta", "--project", str(root), environment={"DIES": "1"})
    assert finished(died) == 9
    assert meta.oauth.token_requests.count("refresh_token") == 1
    assert meta.app.recorder.total == 0
    assert secret_of(root) == before
    assert finished(mayfly("run", "to_meta", "--project", str(root))) == 1
    assert log_in(root) == 2
    assert load(root).run("to_meta").ok


@pytest.mark.slow
def test_two_processes_at_once_spend_no_refresh_token_twice(root: Path, meta: OAuthMeta) -> None:
    """Each asks once, one after the other, with the token that is then the newest."""
    log_in(root)
    both = [mayfly("run", sync, "--project", str(root)) for sync in ("to_meta", "to_meta_too")]
    assert [finished(process) for process in both] == [0, 0]
    assert meta.oauth.token_requests.count("refresh_token") == 2
    assert len(set(meta.oauth.used)) == 2
    assert load(root).run("to_meta").ok


@pytest.mark.slow
def test_the_command_prints_the_address_and_no_token(root: Path, meta: OAuthMeta) -> None:
    """With `--no-browser`, for whoever opens it; standard output has the result alone."""
    words = ("connect", "meta", "--no-browser", "--project", str(root), "--output", "json")
    with mayfly(*words) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        lines = iter(process.stderr)
        [url] = [next(lines).strip() for _ in range(2)][1:]
        assert url.startswith(f"{meta.url}/oauth/authorize?")
        assert visit(url) == 200
        said = process.stdout.read() + "".join(lines)
    assert process.returncode == 0, said
    assert '"login": true' in said
    assert secret_of(root) not in said


@pytest.mark.slow
def test_the_command_opens_the_browser(root: Path, tmp_path: Path) -> None:
    """The one that the system names; here a program that follows the address."""
    browser = tmp_path / "browser.py"
    browser.write_text("import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()\n", "utf-8")
    named = {"BROWSER": f"{sys.executable} {browser} %s"}
    connected = mayfly("connect", "meta", "--project", str(root), environment=named)
    assert finished(connected) == 0
    assert secret_of(root)


def test_a_wrong_declaration_is_refused() -> None:
    """A vendor's endpoint is reached over TLS and has no query."""
    for url in ("http://login.example.com/x", "https://login.example.com/x?y=1", "ftp://x/y", "x"):
        with pytest.raises(ValueError, match="https"):
            replace(LOGIN, token_url=url)
    with pytest.raises(ValueError, match="lives"):
        replace(LOGIN, life_seconds=0)


async def _no_sleep(seconds: float) -> None:
    """Retries follow at once."""

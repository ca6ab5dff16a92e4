"""What a process that runs syncs says of itself: metrics, that it lives, that it is ready."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.make import key_hosts
from mayfly.bootstrap import App
from mayfly.bootstrap.engine import own_store, require_region
from mayfly.bootstrap.keeping import open_ledger
from mayfly.domain.errors import ConfigError, EngineError, PolicyError
from mayfly.services.events import ignore
from mayfly.services.figures import NOTHING_KNOWN
from mayfly.services.measuring import Meter

if TYPE_CHECKING:
    from mayfly.adapters.listener import Answer, Listener

KEPT_SECONDS = 5.0
"""So long an answer holds: whoever asks more often costs no more."""
KEYS_SECONDS = 60.0
"""A key service may charge for each call."""
PATHS = ("/healthz", "/readyz", "/metrics")


@dataclass(kw_only=True)
class Probes:
    """What one worker is asked.

    Args:
        app: of the project as it is now.
        meter: what the process counted.
        draining: whether it was asked to stop.
        region: of the process; None where it has none of its own.
    """

    app: Callable[[], App]
    meter: Meter
    draining: Callable[[], bool]
    region: str | None
    _seen: App | None = field(default=None, init=False)
    _own: App | None = field(default=None, init=False)

    def ready(self) -> None:
        """Raise where a run could not begin now: store, clock, region; keys are for `keys`."""
        app = self._owned()
        if not app.store.exists():
            raise PolicyError("not_initialised", "There is no store.", hint="Run `mayfly init`.")
        app.store.workspace()
        app.require_clock()
        region = self.region or app.project.workspace.region
        if region is not None:
            require_region(app.project, region)

    def keys(self) -> None:
        """Raise where the keys could not be used now."""
        app = self.app()
        with allow_hosts(key_hosts(app.project.keys)):
            app.keys.health()

    def metrics(self) -> bytes:
        """The page. What the process counted is on it though the store is away."""
        from mayfly.adapters.metrics_page import metrics_page

        try:
            found = self._owned().figures()
        except EngineError:
            found = NOTHING_KNOWN
        return metrics_page(self.meter.sums(), found)

    def _owned(self) -> App:
        """The project with connections, and a ledger, that nothing else uses meanwhile."""
        app = self.app()
        if self._own is None or self._seen is not app:
            store = own_store(app.project)
            ledger = open_ledger(
                app.project, store, app.keyring, app.workspace_id, app.clock.now, ignore
            )
            self._seen, self._own = app, replace(app, store=store, ledger=ledger, tell=ignore)
        return self._own


class OpenListener:
    """Answers the probes while the `with` block runs; see `Listener`."""

    def __init__(self, listener: Listener, address: str) -> None:
        self._listener = listener
        self.address = address
        self.port = listener.port

    def __enter__(self) -> Self:
        self._listener.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.__exit__(kind, error, trace)


def open_listener(text: str, *, public: bool, probes: Probes) -> OpenListener:
    """Listen at `ADDRESS:PORT`; who connects waits until the `with` block begins.

    Raises:
        ConfigError: `listen_address`, `listen_public`, `port_taken`; `driver_missing`, the library
            was not installed.
    """
    try:
        from mayfly.adapters.listener import Listener, listen_address
        from mayfly.adapters.metrics_page import CONTENT_TYPE  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            "driver_missing",
            f"Probes and metrics need {error.name}, which is not installed.",
            hint='Install it: pip install "mayfly-data[telemetry]".',
        ) from None
    address = listen_address(text, public=public)
    listener = Listener(address, answers(probes))
    shown = f"[{address.host}]" if ":" in address.host else address.host
    return OpenListener(listener, f"http://{shown}:{listener.port}")


def answers(probes: Probes) -> Mapping[str, Callable[[], Answer]]:
    """By path; they block."""
    from mayfly.adapters.listener import Answer, Kept
    from mayfly.adapters.metrics_page import CONTENT_TYPE

    def not_ready(code: str) -> Answer:
        return Answer(status=503, body=f"{code}\n".encode())

    def said(check: Callable[[], None], then: Callable[[], Answer]) -> Callable[[], Answer]:
        def make() -> Answer:
            try:
                check()
            except EngineError as error:
                return not_ready(error.code)
            return then()

        return make

    turn = threading.Lock()

    def kept(make: Callable[[], Answer], seconds: float, turn: threading.Lock) -> Kept:
        return Kept(make=make, seconds=seconds, late=not_ready("slow"), turn=turn)

    def page() -> Answer:
        return Answer(body=probes.metrics(), content_type=CONTENT_TYPE)

    keys = kept(said(probes.keys, Answer), KEYS_SECONDS, threading.Lock())
    # One look at a time, whoever asks for which page: they share connections and a ledger.
    look = kept(said(probes.ready, keys), KEPT_SECONDS, turn)
    shown = kept(page, KEPT_SECONDS, turn)
    healthz, readyz, metrics = PATHS
    return {
        healthz: Answer,
        readyz: lambda: not_ready("draining") if probes.draining() else look(),
        metrics: shown,
    }

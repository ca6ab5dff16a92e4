"""What a project's processes tell of themselves, joined to its adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlsplit

from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.make import key_hosts
from mayfly.bootstrap.keeping import reveal, spool_hosts
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import Project, TelemetrySettings
from mayfly.domain.version import VERSION
from mayfly.ports.telemetry import TelemetryReceiver
from mayfly.services.events import Event, Tell
from mayfly.services.measuring import Meter, Names
from mayfly.services.telemetry import Telemetry


def names_of(project: Project) -> Names:
    """Names of the project's syncs, by id or name; None of any other."""
    known = {s.id: s.name for s in project.syncs.values()} | {n: n for n in project.syncs}
    return known.get


def counted(meter: Meter, project: Project, then: Tell) -> Tell:
    """Counts what is told, and tells `then`."""
    names = names_of(project)

    def tell(event: Event) -> None:
        meter.take(event, names)
        then(event)

    return tell


def open_telemetry(project: Project, now_ms: Callable[[], int], then: Tell) -> Telemetry | None:
    """What sends spans and metrics, and tells `then`; None where nobody is to be sent any.

    Only the project files switch it on: no variable of the environment does.

    Raises:
        ConfigError: `driver_missing`, the library was not installed.
    """
    settings = project.telemetry
    if settings is None:
        return None
    _require_library()
    return Telemetry(
        open=partial(opened_receiver, project, settings),
        signals=settings.signals,
        names=names_of(project),
        now_ns=lambda: now_ms() * 1_000_000,
        then=then,
    )


@contextmanager
def opened_receiver(project: Project, settings: TelemetrySettings) -> Iterator[TelemetryReceiver]:
    """Within, this process may connect to the receiver.

    And to what others of its threads use meanwhile without a list of their own: keys and spool.

    Raises:
        ConfigError: `driver_missing`; from its calls `secret_missing`, `telemetry_refused`.
    """
    _require_library()
    from mayfly.adapters.otlp import OtlpReceiver

    with allow_hosts({telemetry_host(settings)} | key_hosts(project.keys) | spool_hosts(project)):
        yield OtlpReceiver(
            settings.endpoint,
            headers=lambda: {name: reveal(ref) for name, ref in settings.headers.items()},
            resource=resource_of(project),
        )


def telemetry_host(settings: TelemetrySettings) -> str:
    """The host that the receiver is reached at."""
    return urlsplit(settings.endpoint).hostname or ""


def resource_of(project: Project) -> Mapping[str, str]:
    """Where it comes from: the target and the workspace's place, and nothing of the machine."""
    own = project.workspace
    return {
        "service.name": "mayfly",
        "service.version": VERSION,
        "deployment.environment.name": project.target,
        "cloud.provider": "" if own.provider in (None, "own") else str(own.provider),
        "cloud.region": own.region or "",
    }


def _require_library() -> None:
    try:
        import mayfly.adapters.otlp  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            "driver_missing",
            f"Telemetry needs {error.name}, which is not installed.",
            hint='Install it: pip install "mayfly-data[telemetry]".',
        ) from None

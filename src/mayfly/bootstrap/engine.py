"""The engine and the worker's own store, joined to their adapters."""

from __future__ import annotations

from collections.abc import Callable

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.bootstrap.keeping import store_of
from mayfly.config.secrets import resolve_store_url
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.domain.places import expected_region
from mayfly.domain.settings import Project
from mayfly.ports.engine import Engine


def open_engine(
    project: Project,
    *,
    region: str,
    executor: str,
    act: Callable[[str, str], str],
    env: dict[str, str],
) -> Engine:
    """The engine of a project, for one process.

    Raises:
        ConfigError: `driver_missing`, it was not installed.
    """
    try:
        from mayfly.adapters.engine.durable import DurableEngine
    except ModuleNotFoundError as error:
        raise ConfigError(
            "driver_missing",
            f"Scheduled runs need {error.name}, which is not installed.",
            hint='Install it: pip install "mayfly-data[serve]".',
        ) from None
    return DurableEngine(
        url=resolve_store_url(project.store.url, env),
        folder=project.root / ".mayfly",
        region=region,
        executor=executor,
        act=act,
    )


def own_store(project: Project) -> SqlStore:
    """The store through connections that nothing else uses."""
    return store_of(project)


def is_one_process(project: Project, env: dict[str, str]) -> bool:
    """Whether the store is one that a single worker may use."""
    return resolve_store_url(project.store.url, env) == "sqlite"


def require_shared(project: Project, env: dict[str, str]) -> None:
    """Refuse a store that only one process may keep a journal in.

    Raises:
        PolicyError: `worker_needs_postgres`.
    """
    if is_one_process(project, env):
        raise PolicyError(
            "worker_needs_postgres",
            "The store is a file of this machine, and workers share one with others.",
            hint="Use `mayfly serve --worker-only`, or `store: {url: postgresql+psycopg://…}`.",
        )


def require_region(project: Project, region: str) -> None:
    """Refuse to work in a region that is not the workspace's, or not that of its key.

    Raises:
        PolicyError: `worker_elsewhere`; the message names both.
    """
    own = project.workspace.region
    if own != region:
        raise PolicyError(
            "worker_elsewhere",
            f"This worker is of region {region}, and the workspace of {own or 'none'}.",
            hint="Start it with the region of workspace.residency.region, in that region.",
        )
    key = _key_region(project)
    if key and expected_region(key, geography=project.workspace.geography, own=region):
        raise PolicyError(
            "worker_elsewhere",
            f"This worker is of region {region}, and the workspace's key is in {key}.",
            hint="Use a key of the worker's region; keys: in mayfly.yml names it.",
        )


def _key_region(project: Project) -> str:
    """Where the key says that it is; empty where a provider does not tell by name."""
    options = project.keys.options
    if project.keys.provider == "aws_kms":
        return str(options["region"])
    if project.keys.provider == "gcp_kms":
        return str(options["key_name"]).split("/")[3]
    return ""

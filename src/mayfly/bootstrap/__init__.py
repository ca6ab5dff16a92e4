"""The one place that joins ports to adapters: plain calls, no globals."""

from mayfly.bootstrap.app import App
from mayfly.bootstrap.connectors import (
    name_of_dialect,
    open_source,
    source_hosts,
    source_request,
    source_spec,
)
from mayfly.bootstrap.keeping import (
    key_provider,
    open_store,
    reveal,
    spool_hosts,
    where_state_is,
)
from mayfly.bootstrap.opening import initialise, open_app
from mayfly.bootstrap.registry import CONNECTORS, SPECS
from mayfly.bootstrap.subjects import subjects_of

__all__ = [
    "CONNECTORS",
    "SPECS",
    "App",
    "initialise",
    "key_provider",
    "name_of_dialect",
    "open_app",
    "open_source",
    "open_store",
    "reveal",
    "source_hosts",
    "source_request",
    "source_spec",
    "spool_hosts",
    "subjects_of",
    "where_state_is",
]

"""The one registry of what Mayfly writes, and how long each of it may stay.

A table, file kind or log stream that is not listed here must not be written; tests compare this
list with the tables of the store, the tables of a warehouse and the files of a made project.
"""

from mayfly.domain.retention.registry import REGISTRY, retention_of
from mayfly.domain.retention.terms import LIMITS, Limit, Place, Retention, RetentionClass

__all__ = ["LIMITS", "REGISTRY", "Limit", "Place", "Retention", "RetentionClass", "retention_of"]

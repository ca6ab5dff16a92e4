"""Which sync that is not what was approved any more may still take out who withdrew.

What was delivered under an approval is taken back to the same place: nothing new leaves. Where more
than its columns is another, nobody can say that, and nothing goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mayfly.domain.approval import approval_document, differences
from mayfly.domain.errors import PolicyError
from mayfly.domain.settings import Project
from mayfly.planning.spec import PlanSpec
from mayfly.ports.store import Store
from mayfly.services.compiled_sync import CompiledSync


def may_withdraw(
    project: Project, store: Store, compiled: CompiledSync, refusal: PolicyError
) -> bool:
    """Whether a refused sync may take out who withdrew.

    Args:
        project: under one target.
        store: of acts.
        compiled: the sync as it is now.
        refusal: of its approval.
    """
    record = store.approval(compiled.sync.id, project.target)
    if refusal.code != "approval_changed" or record is None or compiled.spec is None:
        return False
    now = approval_document(project, compiled.sync.name, compiled.pinned)
    return takes_out_the_same(record.document, now, compiled.spec)


def takes_out_the_same(old: Mapping[str, Any], new: Mapping[str, Any], spec: PlanSpec) -> bool:
    """Whether source, model, consent and destination are as approved, and so is what a removal
    names: identifiers as they were delivered, or the primary key as it is mapped.
    """
    if any(not found.what.startswith("column ") for found in differences(old, new)):
        return False
    return (spec.by_identifier and spec.external) or _keys(old) == _keys(new)


def _keys(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """How the primary key is sent."""
    return [c for c in document["columns"] if c["column"] in document["primary_key"]]

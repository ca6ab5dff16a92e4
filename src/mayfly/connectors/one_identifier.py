"""Batches for lists that hold one kind of identifier, each of their rows by its digest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.errors import ConfigError, ContractError, IntegrityError
from mayfly.domain.outcomes import Reason
from mayfly.privacy.gate import Form, ProtectedBatch

# A scalar with its type: of a bare Python value Arrow finds the type out, at every call, by looking
# for a module on the disk.
_FALSE, _NO_BYTES = pa.scalar(False, pa.bool_()), pa.scalar(0, pa.int32())


@dataclass(frozen=True, kw_only=True, eq=False)
class Digests:
    """The digests of a batch.

    Args:
        distinct: as hex text, each once: a list takes none twice.
        known: how many rows have one.
        missing: the rows that have none, and are not sent.
    """

    distinct: pa.Array
    known: int
    missing: dict[int, Reason]


def digests_of(batch: ProtectedBatch, field: str) -> Digests:
    """The digests of the batch's one column.

    Raises:
        ContractError: `columns_mismatch`: it has other columns.
        IntegrityError: `wrong_form`: they are no digests.
    """
    if batch.rows.column_names != [field]:
        raise ContractError("columns_mismatch", "A batch has other columns than its list takes.")
    if batch.forms.get(field) is not Form.DIGEST:
        raise IntegrityError("wrong_form", f"{field} is not in the form that its list takes.")
    column = batch.rendered().column(field).combine_chunks()
    there = pc.fill_null(pc.greater(pc.binary_length(column), _NO_BYTES), _FALSE)
    known = pc.sum(there).as_py() or 0
    nameless = [] if known == len(batch) else pc.indices_nonzero(pc.invert(there)).to_pylist()
    reason = Reason(code="no_identifier")
    return Digests(
        distinct=pc.unique(column.filter(there)),
        known=known,
        missing=dict.fromkeys(nameless, reason),
    )


def mixed(fields: Collection[str], vendor: str) -> str:
    """What is said of several identifiers in one sync; empty where there is one."""
    if len(fields) == 1:
        return ""
    return (
        f"A list of {vendor} holds one kind of identifier, and {len(fields)} are mapped: map one, "
        "and another in a sync with an audience of its own."
    )


def the_field(fields: Collection[str], known: Collection[str], vendor: str) -> str:
    """The one field of a sync.

    Raises:
        ConfigError: `unknown_field`, `identifiers_mixed`.
    """
    for name in fields:
        if name not in known:
            raise ConfigError("unknown_field", f"{vendor} has no field {name}.")
    if said := mixed(fields, vendor):
        raise ConfigError("identifiers_mixed", said)
    return next(iter(fields))

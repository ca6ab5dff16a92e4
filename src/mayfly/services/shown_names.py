"""Names of a sync's columns, fields, tables and types as they may be printed.

What decides (fingerprints, statements, what goes out) has the names themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mayfly.domain.approval import Compiled, names_in
from mayfly.privacy.detect import ShownNames


def shown_names(
    compiled: Compiled,
    *documents: Mapping[str, Any],
    names: Iterable[str] = (),
    made: Iterable[str] = (),
) -> ShownNames:
    """Columns of the model first, in its order, so that a withheld name is the same everywhere.

    Args:
        compiled: of the sync as it is now.
        documents: of approvals, as they are or were.
        names: further ones.
        made: further ones that are made of names; see `ShownNames`.
    """
    pinned = [names_in(document) for document in documents]
    origins = [origin for made_of in compiled.lineage.values() for origin in made_of]
    return ShownNames(
        [*compiled.types, *names, *(name for plain, _ in pinned for name in plain)],
        [
            *(*origins, *made, *compiled.views, *compiled.types.values()),
            *(name for _, others in pinned for name in others),
        ],
    )

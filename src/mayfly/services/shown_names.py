"""Names of a sync's columns, fields, tables and types as they may be printed, and as they are kept.

What decides (fingerprints, statements, what goes out) has the names themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from mayfly.domain.approval import Compiled, names_in, renamed
from mayfly.privacy.detect import ShownNames, kept_made, kept_name


def within_of(document: Mapping[str, Any]) -> str:
    """What the names of an approval are names in."""
    return f"{document.get('workspace')}/{document.get('sync')}"


def kept_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """An approval's document as the store keeps it, and as it is compared with what is kept; one
    that is kept already stays as it is.
    """
    within = within_of(document)
    return renamed(document, partial(kept_name, within=within), partial(kept_made, within=within))


def shown_names(
    compiled: Compiled,
    *documents: Mapping[str, Any],
    names: Iterable[str] = (),
    made: Iterable[str] = (),
) -> ShownNames:
    """Columns of the model first, in its order, so that a withheld name is the same everywhere.

    Args:
        compiled: of the sync as it is now.
        documents: of one sync's approvals, as they are or were, or are kept.
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
        next(map(within_of, documents), None),
    )

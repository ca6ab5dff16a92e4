"""All that Mayfly writes, in its store, in warehouses, at destinations, in files and outputs."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from mayfly.domain.retention.store import STORE
from mayfly.domain.retention.terms import Place, Retention, RetentionClass, entries

_WAREHOUSE = (
    *entries(
        Place.WAREHOUSE,
        RetentionClass.TEMPORARY,
        starts="creation, at the plan",
        ends="drop at the end of the run, or when the next run closes the open plan",
        scan="keys, fingerprints and digests of the model's rows",
        plan="keys and digests of rows to send, and fields that a platform takes in clear",
        drop="removals: digests of identifiers, or keys",
        gone="keys and digests that a row delivered and does not want any more",
        batches="numbers and row counts of batches",
        intents="numbers of batches about to be sent, and a vendor's job ids",
        acks="numbers of batches that were answered",
        codes="codes of rows that were not plainly accepted",
        before="keys of delivered rows and when they were first delivered, inside a close",
    ),
    *entries(
        Place.WAREHOUSE,
        RetentionClass.KEPT_BY_NEED,
        starts="first delivery of the row",
        ends="erasure of the person; mayfly state drop",
        state="keys, fingerprints and digests of delivered rows",
        pairs="keys and delivered identifiers, as digests",
    ),
    *entries(
        Place.WAREHOUSE,
        RetentionClass.KEPT_BY_NEED,
        starts="the rejection",
        ends="acceptance of the row; erasure of the person; mayfly state drop",
        rejected="keys, fingerprints and codes of rows that were refused; the view of the same "
        "name shows the keys and codes of all syncs",
    ),
    *entries(
        Place.WAREHOUSE,
        RetentionClass.METADATA,
        starts="the act that it was signed after",
        ends="the warehouse's owner drops it",
        checkpoints="signed heads of the ledger, where the warehouse is an anchor",
    ),
    *entries(
        Place.WAREHOUSE,
        RetentionClass.METADATA,
        starts="first run of the sync",
        ends="mayfly state drop",
        states="ids, versions and leases of states, ids of audiences",
    ),
)

_DESTINATION = (
    Retention(
        place=Place.DESTINATION,
        name="mayfly_stage",
        cls=RetentionClass.CUSTOMER_DATA,
        holds="rows of one batch, in a temporary table of the session",
        clock_starts="read from the source",
        ends_when="end of the batch's transaction",
    ),
    Retention(
        place=Place.DESTINATION,
        name="_mayfly_batches",
        cls=RetentionClass.METADATA,
        holds="ids of syncs and runs, numbers of delivered batches",
        clock_starts="delivery of the batch",
        ends_when="the destination's owner drops it",
    ),
    Retention(
        place=Place.DESTINATION,
        name=".mayfly-*/*.arrow",
        cls=RetentionClass.CUSTOMER_DATA,
        holds="rows of one batch of a run whose file is not whole yet",
        clock_starts="read from the source",
        ends_when="the run's file is whole, or the sync's next run begins to write",
    ),
    Retention(
        place=Place.DESTINATION,
        name="*.part",
        cls=RetentionClass.CUSTOMER_DATA,
        holds="a file that is being written",
        clock_starts="read from the source",
        ends_when="it takes its name, or its writing fails",
    ),
)


_WAITS = "its batch is purged: delivered, given up or erased, at the latest at its deadline"
_SPOOL = (
    *entries(
        Place.SPOOL,
        RetentionClass.CUSTOMER_DATA,
        starts="read from the source",
        ends=_WAITS,
        keys="wrapped data keys of sealed batches, destroyed before what they seal",
        batches="ids, counts, times and deadlines of batches that wait",
    ),
    *entries(
        Place.SPOOL,
        RetentionClass.METADATA,
        starts="the first batch that is held",
        ends="deletion of the workspace",
        spool="id of the spool and the place of its sealed batches",
    ),
    *entries(
        Place.PROJECT,
        RetentionClass.CUSTOMER_DATA,
        starts="read from the source",
        ends=_WAITS,
        **{
            ".mayfly/spool/*.spool": "rows of one batch that waits, sealed under a key of its own",
            ".mayfly/spool.sqlite": "the tables of the spool, which name what ends each",
            ".mayfly/spool.sqlite-*": "changes of that file; a purge empties it",
        },
    ),
    *entries(
        Place.PROJECT,
        RetentionClass.CUSTOMER_DATA,
        starts="read from the source",
        ends="it takes its name, or its writing fails; the next sweep after a crash",
        **{".mayfly/spool/.*.spool.part": "a sealed batch that is being written"},
    ),
    *entries(
        Place.PROJECT,
        RetentionClass.METADATA,
        starts="creation",
        ends="deletion of the workspace",
        **{".mayfly/spool.lock": "nothing"},
    ),
    *entries(
        Place.BUCKET,
        RetentionClass.CUSTOMER_DATA,
        starts="read from the source",
        ends=_WAITS,
        **{"*.spool": "rows of one batch that waits, sealed under a key of its own"},
    ),
)


def _file(
    name: str,
    cls: RetentionClass,
    holds: str,
    ends_when: str,
    *,
    place: Place = Place.PROJECT,
) -> Retention:
    return Retention(
        place=place,
        name=name,
        cls=cls,
        holds=holds,
        clock_starts="creation",
        ends_when=ends_when,
    )


_WITH_WORKSPACE = "deletion of the workspace"
_WRITTEN = "it takes its name, or its writing fails"
_FILES = (
    *(
        _file(
            name, RetentionClass.METADATA, "settings, first written by a template", _WITH_WORKSPACE
        )
        for name in (
            ".gitignore",
            "mayfly.yml",
            "sources/*.yml",
            "models/*.yml",
            "destinations/*.yml",
            "syncs/*.yml",
        )
    ),
    _file(
        "approvals.lock",
        RetentionClass.METADATA,
        "fingerprints of approvals, ids of who approved; names, keys, signatures of people",
        _WITH_WORKSPACE,
    ),
    _file(".approvals.lock.part", RetentionClass.TEMPORARY, "the same, being written", _WRITTEN),
    _file(
        ".mayfly/project.schema.json",
        RetentionClass.METADATA,
        "JSON Schema of the project files",
        _WITH_WORKSPACE,
    ),
    _file(
        ".mayfly/store.sqlite",
        RetentionClass.KEPT_BY_NEED,
        "the tables of the store, which name what ends each",
        _WITH_WORKSPACE,
    ),
    _file(
        ".mayfly/store.sqlite-*",
        RetentionClass.KEPT_BY_NEED,
        "changes of the store that SQLite has yet to write into it",
        "SQLite's checkpoint, at the latest when the last connection closes",
    ),
    _file(
        ".mayfly/state/*.duckdb",
        RetentionClass.KEPT_BY_NEED,
        "keyed digests of delivered rows, sealed digests of delivered identifiers, sealed primary "
        "keys of rows that a mirror has delivered, while a plan is open sealed digests of what the "
        "suppression list is compared with, of a sync whose source is not written; ids, versions "
        "and lease of its state",
        "erasure of the person; mayfly state drop; a primary key: the removal of its row",
    ),
    _file(
        ".mayfly/state/*.duckdb.wal*",
        RetentionClass.KEPT_BY_NEED,
        "changes of a local state that DuckDB has yet to write into it",
        "the end of the statements that made them, or the next run after a crash",
    ),
    _file(
        ".mayfly/state/*.adopting",
        RetentionClass.KEPT_BY_NEED,
        "a local state that is being adopted",
        "it takes its name; the next adoption by the sync",
    ),
    _file(
        ".mayfly/state/*.rows/*",
        RetentionClass.TEMPORARY,
        "planned rows of one batch, sealed under a key that stays in the memory of the run",
        "the answer to the batch; the end of the run; the sync's next run after a crash",
    ),
    _file(
        ".mayfly/ledger/entries.jsonl",
        RetentionClass.METADATA,
        "ids, counts and times of what was made, delivered and dropped",
        _WITH_WORKSPACE,
    ),
    _file(
        ".mayfly/ledger/checkpoint",
        RetentionClass.METADATA,
        "signed root of the ledger",
        "the next checkpoint",
    ),
    _file(
        ".mayfly/ledger/key.pub",
        RetentionClass.METADATA,
        "public key of the ledger",
        _WITH_WORKSPACE,
    ),
    _file(".mayfly/ledger/lock", RetentionClass.METADATA, "nothing", _WITH_WORKSPACE),
    _file(
        ".mayfly/journal.sqlite*",
        RetentionClass.METADATA,
        "ids of runs that were asked for, and of who does them",
        "the end of the run; it may be deleted at any time",
    ),
    _file(".mayfly/keys.lock", RetentionClass.METADATA, "nothing", _WITH_WORKSPACE),
    _file(
        ".mayfly/ledger/.*.new",
        RetentionClass.TEMPORARY,
        "a checkpoint or key, being written",
        _WRITTEN,
    ),
    _file(
        "kek",
        RetentionClass.ACCESS_KEYS,
        "key encryption key of this machine",
        "its destruction by the operator",
        place=Place.KEYS,
    ),
    _file(
        "kek.[1-9]*",
        RetentionClass.ACCESS_KEYS,
        "a later version of it; beside `.destroyed`, the name of a version that is gone",
        "its destruction by the operator",
        place=Place.KEYS,
    ),
    _file(
        "kek.destroyed",
        RetentionClass.METADATA,
        "the name of the first version, which is gone",
        _WITH_WORKSPACE,
        place=Place.KEYS,
    ),
    _file(
        "*.key",
        RetentionClass.ACCESS_KEYS,
        "one key of the workspace, wrapped",
        "its destruction by the operator",
        place=Place.KEYS,
    ),
    _file(
        "complete",
        RetentionClass.METADATA,
        "the mark that every key was made",
        _WITH_WORKSPACE,
        place=Place.KEYS,
    ),
    _file(
        ".*",
        RetentionClass.ACCESS_KEYS,
        "a key file, being written",
        _WRITTEN,
        place=Place.KEYS,
    ),
)

_STREAMS = entries(
    Place.STREAM,
    RetentionClass.TEMPORARY,
    starts="output",
    ends="output: Mayfly keeps no copy, and what receives it decides",
    stdout="results of a command: names, counts, codes",
    stderr="progress, warnings and errors: names, counts, codes",
)

REGISTRY: Final[tuple[Retention, ...]] = (
    *STORE,
    *_WAREHOUSE,
    *_DESTINATION,
    *_SPOOL,
    *_FILES,
    *_STREAMS,
)
"""Everything that Mayfly writes."""


def retention_of(place: Place, name: str) -> Retention | None:
    """The entry of a table, file or stream; None where it has none and must not be written.

    Args:
        place: where it is.
        name: of the table without its state's id, or of the file relative to its place with `/`.
    """
    exact = (e for e in REGISTRY if e.place is place and e.name == name)
    pattern = (
        e
        for e in REGISTRY
        if e.place is place and e.name.count("/") == name.count("/") and fnmatchcase(name, e.name)
    )
    return next(exact, None) or next(pattern, None)

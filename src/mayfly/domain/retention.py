"""The one registry of what Mayfly writes, and how long each of it may stay.

A table, file kind or log stream that is not listed here must not be written; tests compare this
list with the tables of the store, the tables of a warehouse and the files of a made project.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR


class RetentionClass(StrEnum):
    """Why something is there, which decides how long it may be.

    `KEPT_BY_NEED` is personal data without which a removal, an erasure or a suppression could
    not be carried out: digests in the customer's own warehouse, and keyed digests. It has no
    date on which it ends by itself, so that every entry names the act that ends it.
    """

    CUSTOMER_DATA = "customer_data"
    TEMPORARY = "temporary"
    KEPT_BY_NEED = "kept_by_need"
    ACCESS_KEYS = "access_keys"
    METADATA = "metadata"


class Place(StrEnum):
    """Where it is written."""

    STORE = "store"  # a table of our store
    WAREHOUSE = "warehouse"  # a table of our schema in the customer's warehouse
    DESTINATION = "destination"  # a table or file beside what a destination receives
    PROJECT = "project"  # a file of the project's folder
    KEYS = "keys"  # a file of the key directory
    SPOOL = "spool"  # a table of the spool's file of keys
    BUCKET = "bucket"  # an object of the bucket that a spool may have
    STREAM = "stream"  # an output of the process


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Both in seconds from the start of the clock; None is no limit in time.

    Args:
        target_seconds: `report retention` counts what ended past it.
        cap_seconds: past it nothing of it may be there.
    """

    target_seconds: int | None
    cap_seconds: int | None


LIMITS: Final = MappingProxyType(
    {
        RetentionClass.CUSTOMER_DATA: Limit(target_seconds=8 * _HOUR, cap_seconds=30 * _DAY),
        RetentionClass.TEMPORARY: Limit(target_seconds=24 * _HOUR, cap_seconds=30 * _DAY),
        RetentionClass.KEPT_BY_NEED: Limit(target_seconds=None, cap_seconds=None),
        RetentionClass.ACCESS_KEYS: Limit(target_seconds=None, cap_seconds=None),
        RetentionClass.METADATA: Limit(target_seconds=None, cap_seconds=None),
    }
)


@dataclass(frozen=True, kw_only=True)
class Retention:
    """One thing that Mayfly writes.

    Args:
        place: where.
        name: of the table, the file (a pattern with `*`, relative to its place) or the stream.
            Tables in a warehouse have the id of their state after it.
        cls: its class.
        holds: what stands in it.
        clock_starts: the moment from which its limits count.
        ends_when: what takes it away, or ends its use.
    """

    place: Place
    name: str
    cls: RetentionClass
    holds: str
    clock_starts: str
    ends_when: str

    @property
    def target_seconds(self) -> int | None:
        """What ended past it is counted by `report retention`; None is no target."""
        return LIMITS[self.cls].target_seconds

    @property
    def cap_seconds(self) -> int | None:
        """Past it nothing of it may be there; None is no cap."""
        return LIMITS[self.cls].cap_seconds


def _entries(
    place: Place, cls: RetentionClass, *, starts: str, ends: str, **holds: str
) -> tuple[Retention, ...]:
    return tuple(
        Retention(place=place, name=name, cls=cls, holds=text, clock_starts=starts, ends_when=ends)
        for name, text in holds.items()
    )


_STORE = (
    *_entries(
        Place.STORE,
        RetentionClass.TEMPORARY,
        starts="first run that found the sync not to be what was approved",
        ends="approval, or the next sweep after 30 days (`schema_pending_approval`)",
        pending_approvals="ids of syncs that wait for approval, fingerprints, since when",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="creation of the workspace",
        ends="deletion of the workspace",
        schema_version="number of the store's form",
        workspace="ids and name of the workspace",
        suppression_list="number of changes of the suppression list",
        clock="the latest time that was seen",
        anchors="names of anchors, how many entries each covers, when, codes",
        outages="names of destinations that are away, since when, counts, codes",
        limits="digests of destinations' accounts, how much of their limits is free, when",
        ledger_entries="ids, counts and times of what was made, delivered and dropped, where the "
        "store is PostgreSQL",
        ledger_head="signed root of the ledger, and its public key",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="beginning of a request",
        ends="its end; the next request to the account, two minutes after a process died",
        limit_places="digests of destinations' accounts, random ids of requests, until when",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="mayfly classify, or an approval where the source says `classify`",
        ends="the next look at the model; deletion of the workspace",
        verdicts="names of models and columns, classes, counts, when",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="start of the run",
        ends="deletion of the workspace",
        runs="ids, counts, times and codes of runs, host and number of their processes",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="mayfly connect",
        ends="mayfly connect --forget; deletion of the workspace",
        connections="names of destinations, numbers and states of their credentials",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.ACCESS_KEYS,
        starts="mayfly connect, or a refresh",
        ends="7 days after a later version, by the next sweep; mayfly connect --forget",
        credentials="secrets and refresh tokens of destinations, each sealed under a key of its "
        "own, with that key, wrapped",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="approval",
        ends="the next approval of the sync and target; deletion of the workspace",
        approvals="names of what may leave, its fingerprint, name of the operator",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="rejection",
        ends="an approval of the sync and target; deletion of the workspace",
        rejections="ids of syncs that were rejected, fingerprints, ids of who did, when",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="mayfly pause",
        ends="mayfly resume; deletion of the workspace",
        pauses="ids of syncs that are paused, ids of who did, when",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="a worker's first look at a schedule",
        ends="end of the schedule; deletion of the workspace",
        ticks="ids of scheduled syncs, their next runs, counts",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="start of a worker",
        ends="the start of another one, a day after it ended",
        workers="names of workers' processes, their region, when they last told of themselves",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="a run that lets other workers send batches",
        ends="its last batch; after a crash, the next such run of the sync",
        run_offers="ids of runs and syncs, digests of what they go by",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="mayfly cancel",
        ends="end of the run; after a crash, deletion of the workspace",
        cancellations="ids of runs that are to end, ids of who asked, when",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="the event",
        ends="the next run, 30 days after its own began or once 1,000 later ones have",
        run_events="events of runs: ids, codes, counts and times",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="the first act of somebody",
        ends="mayfly audit forget; deletion of the workspace",
        actors="names of who acted, and the random ids that the ledger has of them",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="an administrative act",
        ends="its record on the ledger; after a crash, the next act",
        open_acts="names of acts and of what they are about, fingerprints, the process",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="a security event",
        ends="deletion of the workspace",
        incidents="kinds, codes, counts and times of incidents, measures, the operator's note",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="the alert",
        ends="a run that clears it; deletion of the workspace",
        alerts="names of channels, kinds and subjects of alerts, when each was told, codes",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="mayfly approve --people",
        ends="another list of people; deletion of the workspace",
        approving_people="digest of the list of people who approve",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="mayfly processors",
        ends="mayfly processors unsubscribe, object --withdraw; deletion of the workspace",
        register_subscribers="names of who is told of changed sub-processors, and since when",
        register_objections="names of sub-processors that are objected to, ids of who did, when",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="mayfly processors notify, subscribe",
        ends="deletion of the workspace",
        register_versions="the register of sub-processors, as it was",
        register_notices="names of who was told, digests of what, when, codes",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="the first use of a key",
        ends="deletion of the workspace",
        key_marks="purposes and destinations of keys, and a mark that tells one key from another",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="mayfly erase",
        ends="deletion of the workspace",
        erasures="ids, kinds and time limits of requests for a person, and when they ended",
        erasure_steps="ids of syncs, names of destinations, how far each is with a request",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.KEPT_BY_NEED,
        starts="mayfly erase",
        ends="the end of the request",
        erasure_identifiers="keyed digests of the person of an open request",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.METADATA,
        starts="mayfly workspace delete",
        ends="its owner removes the store, once the workspace is deleted",
        deletion="names of steps of the workspace's deletion, and when each was done",
    ),
    *_entries(
        Place.STORE,
        RetentionClass.KEPT_BY_NEED,
        starts="mayfly suppress add",
        ends="mayfly suppress remove; deletion of the workspace",
        suppressions="keyed digests of identifiers that may not leave",
    ),
)

_WAREHOUSE = (
    *_entries(
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
    *_entries(
        Place.WAREHOUSE,
        RetentionClass.KEPT_BY_NEED,
        starts="first delivery of the row",
        ends="erasure of the person; mayfly state drop",
        state="keys, fingerprints and digests of delivered rows",
        pairs="keys and delivered identifiers, as digests",
    ),
    *_entries(
        Place.WAREHOUSE,
        RetentionClass.KEPT_BY_NEED,
        starts="the rejection",
        ends="acceptance of the row; erasure of the person; mayfly state drop",
        rejected="keys, fingerprints and codes of rows that were refused; the view of the same "
        "name shows the keys and codes of all syncs",
    ),
    *_entries(
        Place.WAREHOUSE,
        RetentionClass.METADATA,
        starts="the act that it was signed after",
        ends="the warehouse's owner drops it",
        checkpoints="signed heads of the ledger, where the warehouse is an anchor",
    ),
    *_entries(
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
    *_entries(
        Place.SPOOL,
        RetentionClass.CUSTOMER_DATA,
        starts="read from the source",
        ends=_WAITS,
        keys="wrapped data keys of sealed batches, destroyed before what they seal",
        batches="ids, counts, times and deadlines of batches that wait",
    ),
    *_entries(
        Place.SPOOL,
        RetentionClass.METADATA,
        starts="the first batch that is held",
        ends="deletion of the workspace",
        spool="id of the spool and the place of its sealed batches",
    ),
    *_entries(
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
    *_entries(
        Place.PROJECT,
        RetentionClass.CUSTOMER_DATA,
        starts="read from the source",
        ends="it takes its name, or its writing fails; the next sweep after a crash",
        **{".mayfly/spool/.*.spool.part": "a sealed batch that is being written"},
    ),
    *_entries(
        Place.PROJECT,
        RetentionClass.METADATA,
        starts="creation",
        ends="deletion of the workspace",
        **{".mayfly/spool.lock": "nothing"},
    ),
    *_entries(
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

_STREAMS = _entries(
    Place.STREAM,
    RetentionClass.TEMPORARY,
    starts="output",
    ends="output: Mayfly keeps no copy, and what receives it decides",
    stdout="results of a command: names, counts, codes",
    stderr="progress, warnings and errors: names, counts, codes",
)

REGISTRY: Final[tuple[Retention, ...]] = (
    *_STORE,
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

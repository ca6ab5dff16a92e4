"""What the spool's bucket keeps of what is purged: findings of `doctor`.

A purge destroys the key of a batch, and asks for its bytes to be deleted. A bucket that keeps
them all the same keeps noise; that it does is said nevertheless.
"""

from __future__ import annotations

from mayfly.adapters.bucket_facts import BucketFacts, read_bucket
from mayfly.adapters.buckets import open_bucket
from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.spools.objects import ObjectBlobs
from mayfly.api.findings import Finding, finding
from mayfly.bootstrap import reveal, spool_hosts
from mayfly.domain.errors import EngineError
from mayfly.domain.settings import BucketSettings, Project

BUCKET_CODES = ("bucket_versioned", "bucket_soft_delete", "bucket_unknown")
"""Codes of findings that keep no run from succeeding."""
_DAY_SECONDS = 86_400


def bucket_findings(project: Project) -> list[Finding]:
    """Whether it can be reached, then what it keeps; nothing where the spool is a folder."""
    settings = project.spool
    if settings is None:
        return []
    try:
        with allow_hosts(spool_hosts(project)):
            list(ObjectBlobs(open_bucket(settings, reveal)).names(""))
            facts = read_bucket(settings, reveal)
    except EngineError as error:
        return [finding(error.code, f"spool: {error.message}", error.hint)]
    return [
        *_locked(facts),
        *_elsewhere(settings, facts),
        *_versioned(settings, facts),
        *_soft_deleted(settings, facts),
    ]


def _locked(facts: BucketFacts) -> list[Finding]:
    if facts.lock_seconds == 0:
        return []
    long = "until somebody releases them"
    if facts.lock_seconds is not None:
        long = f"for {_days(facts.lock_seconds)} days"
    return [
        finding(
            "bucket_locked",
            f"spool: the bucket locks objects {long}: what is purged could not be deleted.",
            "Use a bucket without a default retention, retention policy or hold.",
        )
    ]


def _elsewhere(settings: BucketSettings, facts: BucketFacts) -> list[Finding]:
    if facts.location in ("", settings.region):
        return []
    return [
        finding(
            "bucket_elsewhere",
            f"spool: the bucket lies in another location than {settings.region}.",
            "Make one there: a bucket's location never changes.",
        )
    ]


def _versioned(settings: BucketSettings, facts: BucketFacts) -> list[Finding]:
    if not facts.versioned:
        return []
    name = settings.bucket
    way = (
        f"gcloud storage buckets update gs://{name} --no-versioning"
        if settings.type == "gcs"
        else f"aws s3api put-bucket-versioning --bucket {name} "
        "--versioning-configuration Status=Suspended"
    )
    return [
        finding(
            "bucket_versioned",
            "spool: the bucket keeps versions: what is purged stays there, sealed and without its "
            "key.",
            f"{way}; and let a lifecycle rule remove the versions that are there.",
        )
    ]


def _soft_deleted(settings: BucketSettings, facts: BucketFacts) -> list[Finding]:
    if not facts.soft_delete_seconds:
        return []
    return [
        finding(
            "bucket_soft_delete",
            f"spool: the bucket keeps what is purged for {_days(facts.soft_delete_seconds)} days "
            "more, sealed, without its key.",
            f"gcloud storage buckets update gs://{settings.bucket} --clear-soft-delete",
        )
    ]


def _days(seconds: int) -> int:
    return -(-seconds // _DAY_SECONDS)

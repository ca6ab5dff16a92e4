"""Checkpoints in a bucket that others keep."""

from __future__ import annotations

from datetime import datetime

from mayfly.adapters.buckets import Bucket, BucketError
from mayfly.domain.errors import ConfigError, EngineError, IntegrityError, TransientError

_BYTES_MAX = 1 << 16


class BucketAnchor:
    """One object for each checkpoint, `<workspace id>-<entries>.checkpoint`.

    The service itself refuses to put one where one is, so that two of us cannot overwrite it.

    Args:
        bucket: which must be there.
        workspace_id: names the objects.
    """

    def __init__(self, bucket: Bucket, *, workspace_id: str) -> None:
        self._bucket = bucket
        self._workspace_id = workspace_id

    def publish(self, note: str, *, size: int, at: datetime) -> None:
        """See `Anchor.publish`.

        Raises:
            IntegrityError: `anchor_conflict`, there is another checkpoint of as many entries.
            ConfigError: what `Bucket` says of its settings, too.
        """
        del at
        name, content = f"{self._workspace_id}-{size}.checkpoint", note.encode()
        try:
            if not self._is_put(name, content) and self._kept(name) != content:
                raise IntegrityError(
                    "anchor_conflict",
                    "The bucket for checkpoints has another one of as many entries.",
                    hint="Verify the ledger against it: one of the two was written anew.",
                )
        except BucketError as error:
            raise _translate(error) from None

    def _is_put(self, name: str, content: bytes) -> bool:
        try:
            self._bucket.put(name, content, new=True)
        except BucketError as error:
            if error.kind != "taken":
                raise
            return False
        return True

    def _kept(self, name: str) -> bytes | None:
        try:
            return self._bucket.get(name, _BYTES_MAX)
        except BucketError as error:
            if error.kind != "absent":
                raise
            # The service told us of another write that was under way, and came to nothing.
            raise BucketError("away", "ConflictError") from None


def _translate(error: BucketError) -> EngineError:
    if error.kind == "away":
        return TransientError(
            "anchor_away", f"The bucket for checkpoints does not answer ({error.what})."
        )
    why = "is not there" if error.kind == "absent" else "refuses this worker's credentials"
    return ConfigError(
        "anchor_refused",
        f"The bucket for checkpoints {why}.",
        hint="Make it, and give the right to create and read objects there, and no other.",
    )

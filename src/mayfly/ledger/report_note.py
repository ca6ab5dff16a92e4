"""Signed notes that go with files of reports: what is signed, and by the ledger's own key.

The note's first line is no ledger's origin, so that none is ever taken for a checkpoint.
"""

from __future__ import annotations

import base64
import hashlib
import re

from mayfly.ledger.checkpoint import ORIGIN_PREFIX, Signer, parse_checkpoint

PREFIX = "mayfly/report/1/"
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def sign_report(
    signer: Signer, *, kind: str, file: bytes, content_sha256: str, checkpoint: str
) -> str:
    """The note over one file of a report; see docs/specs/report.md.

    Args:
        signer: the ledger's.
        kind: of report.
        file: its bytes.
        content_sha256: of what it says, the same for each of its forms.
        checkpoint: the ledger's, as it was when the report was made.

    Raises:
        ValueError: the kind or the digest has another form.
        IntegrityError: `checkpoint_malformed`.
    """
    if not _KIND.fullmatch(kind) or not _DIGEST.fullmatch(content_sha256):
        raise ValueError("a report has a kind of small letters and a digest in hex")
    head = parse_checkpoint(checkpoint)
    text = "\n".join(
        (
            PREFIX + signer.origin.removeprefix(ORIGIN_PREFIX),
            kind,
            hashlib.sha256(file).hexdigest(),
            content_sha256,
            str(head.size),
            base64.b64encode(head.root).decode(),
            "",
        )
    )
    signature = signer.private_key.sign(text.encode())
    encoded = base64.b64encode(signer.verifier_key.key_id + signature).decode()
    return f"{text}\n\u2014 {signer.origin} {encoded}\n"

"""Finds personal values written in clear in any bytes, whatever their encoding."""

from mayfly.privacy.scan.detect import BOMB, KNOWN, Hit, hits_in
from mayfly.privacy.scan.stream import (
    DEPTH_MAX,
    BombError,
    scan_bytes,
    scan_chunks,
    snappy_block,
    stream_kind,
    unpacked,
    unpacked_hits,
    unsnapped,
)

__all__ = [
    "BOMB",
    "DEPTH_MAX",
    "KNOWN",
    "BombError",
    "Hit",
    "hits_in",
    "scan_bytes",
    "scan_chunks",
    "snappy_block",
    "stream_kind",
    "unpacked",
    "unpacked_hits",
    "unsnapped",
]

"""Finds personal values written in clear in any bytes, whatever their encoding."""

from mayfly.privacy.scan.detect import KNOWN, Hit, hits_in
from mayfly.privacy.scan.stream import scan_bytes, scan_chunks

__all__ = ["KNOWN", "Hit", "hits_in", "scan_bytes", "scan_chunks"]

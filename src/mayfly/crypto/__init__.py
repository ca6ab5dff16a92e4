"""Sealing and keyed digests. Bytes in, bytes out; the only place of randomness."""

"""The ledger: an append-only Merkle tree of what was created, delivered and dropped. Pure."""

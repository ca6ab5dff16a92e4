"""Places that keep checkpoints of the ledger, out of our hands."""

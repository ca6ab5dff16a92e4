"""The gate: everything that leaves passes here, whatever started it."""

from mayfly.privacy.gate.protected import Form, ProtectedBatch

__all__ = ["Form", "ProtectedBatch"]

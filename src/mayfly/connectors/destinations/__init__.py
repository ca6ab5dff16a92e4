"""Destinations: one module each, with its `SPEC` and its class. They do not know each other."""

from mayfly.ports.checks import require_protected

__all__ = ["require_protected"]

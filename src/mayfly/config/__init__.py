"""Project files: read once at the edge, checked, and handed on as plain values."""

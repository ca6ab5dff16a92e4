"""Marks for tests that show once more, at another place, what a test that CI plays shows."""

from __future__ import annotations

import pytest

IN_A_SOAK = (pytest.mark.slow, pytest.mark.soak)
"""Of a parameter; before a test the two stand by themselves."""

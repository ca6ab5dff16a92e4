"""A model of spaCy that knows some names and nothing else, for Presidio to be run with."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest


def person_model(folder: Path, *names: str) -> str:
    """Its folder; the test is skipped where Presidio is not installed."""
    if importlib.util.find_spec("presidio_analyzer") is None:
        pytest.skip("needs Presidio (make engines)")
    made = importlib.import_module("spacy").blank("en")
    made.add_pipe("entity_ruler").add_patterns(
        [
            {"label": "PERSON", "pattern": [{"LOWER": word.lower()} for word in name.split()]}
            for name in names
        ]
    )
    made.to_disk(folder)
    return str(folder)

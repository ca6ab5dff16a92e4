"""Every published vector, through the same function that `mayfly hash` uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mayfly.privacy.rules import hash_value

VECTORS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "vectors.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['platform']}-{v['field']}")
def test_a_vector_gives_its_digest_or_is_refused(vector: dict[str, object]) -> None:
    """Digest, normalised value and refusal are what the platform documents."""
    made = hash_value(
        str(vector["platform"]), str(vector["field"]), str(vector["input"]), vector["context"]
    )
    if vector["expect"] == "reject":
        assert made.digest is None
        assert made.reject
        return
    assert made.reject is None
    assert made.digest == vector["digest"]
    assert made.encoding == vector["encoding"]
    if not vector["context"].get("prehashed"):
        assert made.normalised == vector["normalised"]

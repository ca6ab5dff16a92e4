"""Distributions with a source of their own, installed into a folder on the path."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs/howto/add-a-source.md"


def example() -> str:
    """The file that the page on adding a source shows."""
    found = re.search(r"```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    assert found is not None
    return found[1]


def install(
    folder: Path,
    text: str,
    *,
    distribution: str = "mayfly-jsonl",
    version: str = "1.0.0",
    entries: Mapping[str, str] | None = None,
    record: bool = True,
) -> None:
    """As an installer would: the module, and what is said of it."""
    folder.mkdir(exist_ok=True)
    (folder / "mayfly_jsonl.py").write_text(text, "utf-8")
    name = distribution.replace("-", "_")
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
    )
    lines = [f"{k} = {v}" for k, v in (entries or {"jsonl": "mayfly_jsonl:PLUGIN"}).items()]
    (info / "entry_points.txt").write_text("\n".join(["[mayfly.sources]", *lines, ""]))
    files = ["mayfly_jsonl.py,,"] if record else []
    (info / "RECORD").write_text("\n".join([*files, f"{info.name}/METADATA,,", ""]))


@contextmanager
def on_the_path(*folders: Path) -> Iterator[None]:
    """Folders that imports look into; what was imported from them is forgotten."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in reversed(folders):
            patch.syspath_prepend(str(folder))
        try:
            yield
        finally:
            sys.modules.pop("mayfly_jsonl", None)

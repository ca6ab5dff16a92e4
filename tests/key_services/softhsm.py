"""SoftHSM: a token in a folder, one for the whole process, since a module is."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

TOKEN = "mayfly-tests"
PIN = "canary-pin"
OTHER_TOKEN = "mayfly-others"
_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


def module() -> str:
    """Path of the module, with a token made; skips where SoftHSM is not installed."""
    found = [path for path in _MODULES if Path(path).exists()]
    if not found:
        pytest.skip("needs SoftHSM (apt-get install softhsm2)")
    _make_token()
    return found[0]


@cache
def _make_token() -> tempfile.TemporaryDirectory[str]:
    """The folder goes with the process; the module holds no file of it open."""
    folder = tempfile.TemporaryDirectory(prefix="mayfly-softhsm-")
    settings = Path(folder.name) / "softhsm2.conf"
    settings.write_text(
        f"directories.tokendir = {folder.name}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(settings)
    # All at once: the module looks for tokens when it is loaded.
    for token in (TOKEN, OTHER_TOKEN):
        words = f"softhsm2-util --init-token --free --label {token} --so-pin so-pin --pin {PIN}"
        subprocess.run(words.split(), check=True, capture_output=True)
    return folder


def session(path: str) -> Any:
    """A session of our own that may write; the process must be logged in already."""
    import pkcs11

    return pkcs11.lib(path).get_token(token_label=TOKEN).open(rw=True)

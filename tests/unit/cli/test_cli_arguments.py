"""What may stand in a shell's history and in the list of processes: names, paths and numbers."""

from __future__ import annotations

import enum
import re
from datetime import datetime
from pathlib import Path

from mayfly.cli.reference import walk_commands

NAMES = {
    "actor",
    "channels",
    "destination",
    "incident",
    "name",
    "request",
    "run",
    "syncs",
    "sync",
    "source",
    "state",
    "target",
    "version",
}
"""Of things in the project files, of a run, of a request, of an incident, of who acted, or of a
version of a key.
"""
OTHERS = {
    "accept": "removals=N",
    "confirmed": "the name of the workspace",
    "grants": "the name of a source",
    "listen": "an address and a port of this machine",
    "known": "a digest of a list of people",
    "paths": "files, folders, or tables of a source",
    "measure": "one of a list of measures",
    "marker": "a text that was planted to be found",
    "wait": "a duration",
    "region": "a region of the machine",
}
PLAIN = (bool, int, datetime, Path, list[Path])
SECRET = re.compile(r"token|secret|password|dsn|pin|credential|email|phone|identifier")


def test_no_argument_takes_a_value_or_a_secret() -> None:
    """Free text is a name, or one of few known ones; everything else is a path, a number, a day,
    a choice or a switch.
    """
    texts = set()
    for _, command in walk_commands():
        for parameter in command.params:
            assert parameter.name is not None
            assert not SECRET.search(parameter.name), parameter.name
            kind = parameter.type_descriptor.annotation
            if kind in PLAIN or (isinstance(kind, type) and issubclass(kind, enum.Enum)):
                continue
            texts.add(parameter.name)
    assert texts <= NAMES | set(OTHERS)
    assert {"syncs", "marker"} <= texts

"""Which commands are administrative acts, and why the others are none.

A command that is in neither list is refused by a test: whoever adds one decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RECORDED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "mayfly approve": (
            *("approve", "approve.request", "approve.ai", "approve.ai_request"),
            *("reject", "people"),
        ),
        "mayfly pause": ("pause",),
        "mayfly resume": ("resume",),
        "mayfly cancel": ("cancel",),
        "mayfly run": ("run.accept_removals", "run.resend", "run.skip"),
        "mayfly retry": ("retry",),
        "mayfly connect": ("connect", "disconnect"),
        "mayfly test": ("test",),
        "mayfly purge": ("purge",),
        "mayfly uninstall": ("uninstall",),
        "mayfly suppress add": ("suppress.add",),
        "mayfly suppress remove": ("suppress.remove",),
        "mayfly erase": ("erase", "erase.resume"),
        "mayfly erase cancel": ("erase.cancel",),
        "mayfly erase extend": ("erase.extend",),
        "mayfly access": ("access",),
        "mayfly audit forget": ("audit.forget",),
        "mayfly incidents close": ("incidents.close",),
        "mayfly state drop": ("state.drop",),
        "mayfly state adopt": ("state.adopt", "state.as_delivered"),
        "mayfly state move": ("state.move",),
        "mayfly processors notify": ("processors.notify",),
        "mayfly processors subscribe": ("processors.subscribe",),
        "mayfly processors unsubscribe": ("processors.unsubscribe",),
        "mayfly processors object": ("processors.object",),
        "mayfly keys rotate": ("keys.rotate",),
        "mayfly keys rewrap": ("keys.rewrap",),
        "mayfly keys destroy": ("keys.destroy",),
    }
)
"""Each command with the acts that it records."""
_READS = "changes nothing"
_FILES = "writes files of the person who asks, and nothing of the workspace"
_OWN = "has entries of its own on the ledger, by run or deadline; nobody decides anything"
UNRECORDED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mayfly init": "makes the ledger: before it there is nowhere to record",
        "mayfly upgrade": "brings what is stored into the form of the release, and changes no act",
        "mayfly classify": "notes what columns look like; what may leave is decided by an approval",
        "mayfly alerts test": "sends a test to a channel of the project files",
        "mayfly processors check": "tells of late reviews, and changes nothing",
        "mayfly workspace delete": "has an entry for each step, and ends what knows who acted",
        "mayfly serve": _OWN,
        "mayfly worker": _OWN,
        "mayfly sweep": _OWN,
        "mayfly report record": "a version that it issues has an entry of its own on the ledger",
        **dict.fromkeys(
            (
                *("mayfly validate", "mayfly doctor", "mayfly discover", "mayfly plan"),
                *("mayfly status", "mayfly runs", "mayfly rejected", "mayfly map", "mayfly logs"),
                *("mayfly residency", "mayfly prove", "mayfly hash", "mayfly scan"),
                *("mayfly verify", "mayfly suppress list", "mayfly alerts list"),
                *("mayfly erase list", "mayfly erase show", "mayfly audit", "mayfly state list"),
                *("mayfly incidents list", "mayfly incidents show", "mayfly incidents notice"),
                *("mayfly keys versions", "mayfly report retention", "mayfly report erasure"),
                *("mayfly processors list", "mayfly processors show"),
            ),
            _READS,
        ),
        **dict.fromkeys(
            (
                *("mayfly schema", "mayfly dbt exposures", "mayfly import drt"),
                *("mayfly new destination", "mayfly ledger export", "mayfly sandbox"),
                *("mayfly bench", "mayfly demo", "mayfly network-policy"),
                *("mayfly report security", "mayfly report privacy-page"),
            ),
            _FILES,
        ),
    }
)
"""Every other command, with why it records none."""

"""Fields of events that no vendor has of its own: in clear, and of a closed shape.

Shapes are read by the SQL of every engine, too.
"""

from __future__ import annotations

from mayfly.ports.destination import FieldSpec
from mayfly.privacy.gate import Form

_PATH = r"[A-Za-z0-9._~%!$&'()*+,;=:-]"
_AGENT = "[A-Za-z0-9 ();:,./_+=-]{1,250}"
AMOUNT = r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,18})?"
AGENT = f"{_AGENT}({_AGENT})?"
"""Of a browser's name."""
NETWORK_ADDRESS = "[0-9A-Fa-f:.]{3,45}"
PAGE_ADDRESS = rf"https?://[A-Za-z0-9.-]{{1,253}}(:[0-9]{{1,5}})?(/({_PATH}|/){{0,1000}})?"
"""Of a page's address, without a query: it may hold anything."""


def plain(name: str, shape: str, *, kind: str = "none", sample: str = "") -> FieldSpec:
    """What tells nobody."""
    return FieldSpec(name=name, kind=kind, form=Form.CLEAR, shape=shape, sample=sample)


def matched(name: str, kind: str, shape: str, *, keeps_case: bool = True) -> FieldSpec:
    """What tells a person or a device, and must not be hashed."""
    return FieldSpec(
        name=name,
        kind=kind,
        form=Form.CLEAR,
        identifier=True,
        shape=shape,
        keeps_case=keeps_case,
    )

"""What the engine's journal may hold: ids, numbers and codes. Anything else never reaches it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from dbos import Serializer

_ID = re.compile(r"[A-Za-z0-9_.:/+=-]{0,128}")
_FAILED = "failed"


class JournalError(Exception):
    """What a step ended with, as the journal has it: a type and a code.

    Args:
        kind: name of the type.
        code: of the error; empty where it had none.
    """

    def __init__(self, kind: str, code: str = "") -> None:
        super().__init__(code or kind)
        self.kind = kind
        self.code = code


class StrictSerializer(Serializer):
    """JSON of scalars, and of lists and mappings of them; of an error its type and code."""

    def name(self) -> str:
        """The format's name, which stands in every row."""
        return "mayfly_strict"

    def serialize(self, data: object) -> str:
        """The text of a value.

        Raises:
            JournalError: `not_an_id`; the value is not part of it.
        """
        if isinstance(data, BaseException):
            code = getattr(data, "code", "")
            plain: object = {_FAILED: [type(data).__name__, code if isinstance(code, str) else ""]}
        else:
            plain = data
        return json.dumps(_checked(plain), separators=(",", ":"), allow_nan=False)

    def deserialize(self, serialized_data: str) -> object:
        """The value of a text.

        Raises:
            JournalError: `not_an_id`, it is none that was written here.
        """
        try:
            found = _checked(json.loads(serialized_data))
        except ValueError:
            raise JournalError("ValueError", "not_an_id") from None
        if isinstance(found, dict) and found.keys() == {_FAILED}:
            kind, code = found[_FAILED]
            return JournalError(kind, code)
        return found


def _checked(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    if isinstance(value, list | tuple):
        return [_checked(item) for item in value]
    if isinstance(value, Mapping):
        return {str(_checked(key)): _checked(item) for key, item in value.items()}
    raise JournalError(type(value).__name__, "not_an_id")

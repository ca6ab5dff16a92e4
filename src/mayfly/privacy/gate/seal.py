"""The seal that only the gate holds. Nothing outside `mayfly.privacy.gate` may import it."""

from __future__ import annotations

from typing import final


@final
class Seal:
    """Proof that a batch passed the gate. There is one instance, and it cannot be copied."""

    __slots__ = ()

    def __copy__(self) -> Seal:
        return self

    def __deepcopy__(self, memo: object) -> Seal:
        return self

    def __reduce__(self) -> str:
        raise TypeError("the gate's seal cannot be pickled")


THE_SEAL = Seal()

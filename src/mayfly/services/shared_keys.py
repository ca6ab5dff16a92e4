"""Keys that are made at their first use: all machines of a workspace have the same."""

from __future__ import annotations

from mayfly.crypto.keyed import derived_key
from mayfly.domain.errors import PolicyError
from mayfly.ports.keys import KeyPurpose, Keyring
from mayfly.ports.store import Store

_LABEL = "mayfly/key-mark/1"


def shared_key(keyring: Keyring, store: Store, purpose: KeyPurpose, scope: str) -> bytes:
    """The workspace's key for a purpose and scope, which is made where no machine has made it.

    The store keeps a mark that follows from the key and tells nothing of it.

    Raises:
        PolicyError: `key_missing`, another machine has made it, not this one; `key_differs`,
            this machine has another one: what was made with one is unknown under the other.
        EngineError: of keyring and store.
    """
    if store.key_mark(purpose, scope) is None:
        keyring.ensure(purpose, scope)
    key = keyring.key(purpose, scope)
    mark = derived_key(key, _LABEL).hex()
    if store.note_key_mark(purpose, scope, mark) != mark:
        raise PolicyError(
            "key_differs",
            f"The key for {purpose} of {scope} on this machine is not the workspace's: another "
            "machine has made one before.",
            hint="Copy the key directory from that machine, over the one here.",
        )
    return key

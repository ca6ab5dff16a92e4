"""What `Project` does with states, and with what of Mayfly lies in a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mayfly.api import acts, adopting
from mayfly.api.acting import Acting
from mayfly.api.uninstalling import uninstalling
from mayfly.services.states import KnownState


class StateActs(Acting):
    """A part of `Project`."""

    def states(self) -> dict[str, Any]:
        """What the warehouses remember of each sync, in ids and counts."""
        return _states("list", self.app.states().all())

    def state(self, name: str) -> dict[str, Any]:
        """One state, by its own name or by the sync that uses it."""
        return _states("show", [self.app.states().find(name)])

    def drop_state(self, name: str) -> dict[str, Any]:
        """Forget what was delivered, of a state or the sync that uses it.

        What is at the destination stays there and is never taken back; the sync's next run begins
        with an empty state and sends everything.
        """
        with self._act(), self._recorded("state.drop", acts.of_state(self.app, name)):
            dropped = self.app.states().drop(name)
        return _states("drop", [dropped])

    def installed(self, source: str, *, force: bool = False) -> dict[str, Any]:
        """What there is of Mayfly's in a source. What `uninstall` would refuse is refused."""
        return uninstalling(self.app, source, force=force)

    def uninstall(self, source: str, *, force: bool = False) -> dict[str, Any]:
        """Take everything of Mayfly's out of a source; with `force` also what waits there."""
        with self._act(), self._recorded("uninstall", acts.of_source(self.app, source)):
            return uninstalling(self.app, source, force=force, act=True)

    def adopt_state(self, name: str, *, state: str | None = None) -> dict[str, Any]:
        """Let a sync go on from a state: its own of another installation, or the one named.

        Say so only where what the state remembers is at the sync's destination: the next run
        sends nothing but what changed.
        """
        with self._act():
            [sync] = self.select([name])
            with self._recorded("state.adopt", acts.of_state(self.app, name)):
                adopted = adopting.adopt(self.app, sync, state)
        return _states("adopt", [adopted])

    def move_state(self, name: str, *, state: str) -> dict[str, Any]:
        """Let a state of this installation follow its sync, which has another id or destination.

        Refused where the sync has a state of its own that holds rows.
        """
        with self._act():
            [sync] = self.select([name])
            with self._recorded("state.move", acts.of_state(self.app, name)):
                moved = adopting.move(self.app, sync, state)
        return _states("move", [moved])

    def count_as_delivered(self, name: str) -> dict[str, int]:
        """Rows by what `take_as_delivered` would make of them. Writes nothing."""
        [sync] = self.select([name])
        return adopting.countable(self.app, sync).to_dict()

    def take_as_delivered(self, name: str) -> dict[str, Any]:
        """Take what a sync would send as delivered, because another tool sent it before.

        Nothing leaves. The sync must be approved and its state empty; who has not consented, or is
        suppressed, is not taken. The next run sends nothing but what changed, and takes back what
        left.
        """
        with self._act():
            [sync] = self.select([name])
            with self._recorded("state.as_delivered", acts.of_state(self.app, name)):
                taken = adopting.as_delivered(self.app, sync)
        return _states("adopt", [taken])


def _states(act: str, found: Sequence[KnownState]) -> dict[str, Any]:
    states = [state.to_dict() for state in found]
    return {"schema": "mayfly/state/1", "ok": True, "act": act, "states": states}

"""What `Project` does with the register of sub-processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mayfly.api import acts, network, processor_notices, processors
from mayfly.bootstrap import App


class ProcessorActs:
    """A part of `Project`."""

    app: App

    def processors(self) -> dict[str, Any]:
        """The register of sub-processors, and the recipients that the customer chose."""
        return processors.listed(self.app)

    def processor(self, name: str) -> dict[str, Any]:
        """One entry of the register."""
        return processors.shown(self.app, name)

    def check_processors(self) -> dict[str, Any]:
        """Whether somebody engaged answers for each host that is the operator's affair."""
        return processors.checked(self.app)

    def network_policy(
        self, form: network.Format, *, addresses: Path | None = None, resolve: bool = False
    ) -> dict[str, Any]:
        """The hosts of the project as rules for the network around the process.

        Args:
            form: `kubernetes` or `nftables`.
            addresses: a file with lines `HOST ADDRESS`, and `resolver ADDRESS` for name servers.
            resolve: look up the others now. Without it nothing is looked up.
        """
        return network.network_policy(self.app, form, addresses=addresses, resolve=resolve)

    def ai_transfer(
        self,
        *,
        accept: bool = False,
        request: bool = False,
        signature: str | None = None,
        actor: str | None = None,
    ) -> dict[str, Any]:
        """What an approver signs where AI is at global in the EU; and sign it.

        Args:
            accept: approve it, or take over what two people have signed.
            request: the signature is its author's, who asks for it.
            signature: over `ai_to_sign`, where two people approve.
            actor: id of who approves; by default $MAYFLY_ACTOR, else the system's user.
        """
        if not accept and signature is None:
            return processors.ai_transfer(self.app)
        act = "approve.ai_request" if request else "approve.ai"
        with acts.recording(self.app, act, acts.of_ai(self.app), actor=actor):
            if signature is not None:
                return processors.ai_signed(self.app, signature, request=request)
            return processors.ai_approved(self.app, actor)

    def ai_to_sign(self, *, request: bool = False) -> bytes:
        """What one of two people signs, with `ssh-keygen -Y sign`, of the transfer of AI.

        Args:
            request: as its author, who asks for it.
        """
        return processors.ai_to_sign(self.app, request=request)

    def notify_processors(self, *, atom: Path | None = None, again: bool = False) -> dict[str, Any]:
        """Tell each subscriber of what changed in the register, once.

        Args:
            atom: where to write a feed of all changes.
            again: send once more what a process died over, which may have arrived.
        """
        with acts.recording(self.app, "processors.notify", acts.of_register(self.app)):
            return processor_notices.notified(self.app, atom, again=again)

    def subscribe_to_processors(self, name: str, text: str) -> dict[str, Any]:
        """Have somebody told of changes in the register.

        Args:
            name: to call the subscriber by.
            text: a mail address; or a webhook's address, and its secret on the next line.
        """
        with acts.recording(self.app, "processors.subscribe", acts.of_register(self.app)):
            return processor_notices.subscribed(self.app, name, text)

    def unsubscribe_from_processors(self, name: str) -> dict[str, Any]:
        """Have somebody told no more; the address is destroyed."""
        with acts.recording(self.app, "processors.unsubscribe", acts.of_register(self.app)):
            return processor_notices.unsubscribed(self.app, name)

    def object_to_processor(
        self, name: str, *, actor: str | None = None, withdraw: bool = False
    ) -> dict[str, Any]:
        """Let this workspace engage a sub-processor no more, or take that back."""
        objects = acts.of_register(self.app)
        with acts.recording(self.app, "processors.object", objects, actor=actor):
            return processor_notices.objected(self.app, name, actor, withdraw=withdraw)

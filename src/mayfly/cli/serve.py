"""`mayfly serve` and `mayfly worker`: processes that run syncs when they are due."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from mayfly.cli.options import HERE, ProjectOption, TargetOption

if TYPE_CHECKING:
    from mayfly.api.serving import Worker

ListenOption = Annotated[
    str | None,
    typer.Option(
        "--listen",
        help="ADDRESS:PORT for /metrics, /healthz and /readyz, such as 127.0.0.1:9464.",
    ),
]
PublicOption = Annotated[
    bool, typer.Option("--listen-public", help="Listen where other machines reach it, too.")
]


def serve(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    *,
    worker_only: Annotated[
        bool, typer.Option("--worker-only", help="Schedules and runs, without pages.")
    ] = False,
    listen: ListenOption = None,
    listen_public: PublicOption = False,
) -> None:
    """Run each sync when its `schedule` says so, in this one process, until it is stopped."""
    from mayfly.api.serving import Worker

    if not worker_only:
        raise typer.BadParameter("this release has no pages to serve: add --worker-only.")
    _work(Worker(root=project, target=target, listen=listen, public=listen_public))


def worker(
    region: Annotated[str, typer.Option("--region", help="Where this process runs.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    *,
    listen: ListenOption = None,
    listen_public: PublicOption = False,
) -> None:
    """Run syncs when they are due, beside any number of workers of the same region."""
    from mayfly.api.serving import Worker

    _work(Worker(root=project, target=target, region=region, listen=listen, public=listen_public))


def _work(worker: Worker) -> None:
    """The first SIGTERM or SIGINT ends it after the batch in hand."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        # Not here: what is interrupted may hold the lock that stopping takes.
        threading.Thread(target=worker.stop).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    typer.echo(worker.says())
    worker.serve()

"""The metadata services of the clouds, on loopback: what this machine is told of its region."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mayfly.adapters.metadata import Cloud, machine_region, metadata_cloud
from mayfly.domain.errors import ConfigError, TransientError

TOKEN = "AQAEAtoken=="


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        right = self.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "60"
        self._say(200 if right and self.path == "/latest/api/token" else 400, TOKEN)

    def do_GET(self) -> None:
        world = self.server.world  # type: ignore[attr-defined]
        world["paths"].append(self.path)
        if self.path == "/latest/meta-data/placement/region":
            given = self.headers["X-aws-ec2-metadata-token"] == TOKEN
            self._say(world["status"] if given else 401, world["aws"])
        elif self.headers["Metadata-Flavor"] == "Google":
            self._say(world["status"], world["gcp"], world["flavor"])
        else:
            self._say(403, "")

    def _say(self, status: int, text: str, flavor: str = "") -> None:
        self.send_response(status)
        if flavor:
            self.send_header("Metadata-Flavor", flavor)
        if status == 302:
            self.send_header("Location", "http://169.254.169.254/other")
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def service(**changed: Any) -> Iterator[tuple[dict[str, Any], tuple[str, int]]]:
    """Both services at one address."""
    world = {"aws": "eu-west-1", "gcp": "projects/7/zones/europe-west1-b", "flavor": "Google"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.world = {**world, "status": 200, "paths": [], **changed}  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.world, ("127.0.0.1", server.server_address[1])  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(("cloud", "region"), [("aws", "eu-west-1"), ("gcp", "europe-west1")])
def test_the_service_tells_the_region(cloud: Cloud, region: str) -> None:
    """With a token on AWS, with Google's header there."""
    with service() as (world, address):
        assert machine_region(cloud, address=address) == region
        assert len(world["paths"]) == 1


@pytest.mark.parametrize(
    ("cloud", "changed"),
    [
        ("aws", {"aws": "moon-1"}),
        ("aws", {"aws": "europe-west1"}),
        ("aws", {"status": 500}),
        ("aws", {"status": 302}),
        ("gcp", {"flavor": ""}),
        ("gcp", {"gcp": "eu-west-1"}),
        ("gcp", {"gcp": "\u00e9"}),
    ],
)
def test_any_other_answer_is_none(cloud: Cloud, changed: dict[str, Any]) -> None:
    """Nobody's word stands in for it, and no redirect is followed."""
    with (
        service(**changed) as (_, address),
        pytest.raises(TransientError, match="does not say") as told,
    ):
        machine_region(cloud, address=address)
    assert told.value.code == "metadata_unknown"


def test_nobody_there_is_no_answer() -> None:
    """Nobody listens."""
    with pytest.raises(TransientError) as told:
        machine_region("aws", address=("127.0.0.1", 1))
    assert told.value.code == "metadata_unknown"


def test_it_is_asked_only_where_the_operator_says_so() -> None:
    """Nothing looks anything up by itself."""
    assert metadata_cloud({}) is None
    assert metadata_cloud({"MAYFLY_METADATA": "gcp"}) == "gcp"
    with pytest.raises(ConfigError) as told:
        metadata_cloud({"MAYFLY_METADATA": "azure"})
    assert told.value.code == "bad_metadata"

"""The bench's server counts what it really parsed."""

from __future__ import annotations

import httpx
import pytest

from mayfly.bench.server import AUDIENCE_ID, ServerProcess


def test_the_counting_server_confirms_rows() -> None:
    """It answers with the number of rows parsed, over one kept-alive connection."""
    with ServerProcess() as url, httpx.Client(trust_env=False) as client:
        found = client.get(f"{url}/v26.0/act_1/customaudiences", params={"fields": "id"})
        assert found.json() == {"data": []}
        made = client.post(f"{url}/v26.0/act_1/customaudiences", json={"name": "People"})
        assert made.json()["id"] == AUDIENCE_ID
        found = client.get(f"{url}/v26.0/act_1/customaudiences", params={"fields": "id"})
        assert found.json() == {"data": [{"id": AUDIENCE_ID, "name": "People"}]}
        for rows in (2, 3):
            body = {"payload": {"schema": ["EMAIL"], "data": [["x"]] * rows}}
            reply = client.post(f"{url}/v26.0/{AUDIENCE_ID}/users", json=body)
            assert reply.json()["num_received"] == rows


def test_it_tells_what_rows_came() -> None:
    """In lists, alone and as messages of the webhook, each address by itself; a ping has none."""
    rows = [{"id": n, "points": n * 7} for n in range(4)]
    ping = {"type": "mayfly.ping", "data": {}}
    message = {"type": "mayfly.rows", "data": {"rows": rows[3:]}}
    with ServerProcess() as url, httpx.Client(trust_env=False) as client:
        for body in (rows[:2], rows[2], ping, message):
            assert client.post(f"{url}/take/one", json=body).json() == {}
        came = client.get(f"{url}/take/one").json()
        assert came == {"requests": 4, "rows": 4, "ids": 6, "points": 42}
        assert client.get(f"{url}/take/other").json()["rows"] == 0


def test_a_body_that_is_no_json_is_not_confirmed() -> None:
    """What cannot be parsed gets no answer."""
    with (
        ServerProcess() as url,
        httpx.Client(trust_env=False) as client,
        pytest.raises(httpx.HTTPError),
    ):
        client.post(f"{url}/v26.0/1/users", content=b"nonsense")

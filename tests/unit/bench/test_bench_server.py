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


def test_a_body_that_is_no_json_is_not_confirmed() -> None:
    """What cannot be parsed gets no answer."""
    with (
        ServerProcess() as url,
        httpx.Client(trust_env=False) as client,
        pytest.raises(httpx.HTTPError),
    ):
        client.post(f"{url}/v26.0/1/users", content=b"nonsense")

"""What the sandbox of Meta's API takes and refuses."""

import hashlib

import pytest

from mayfly.sandbox.faults import Faults
from mayfly.sandbox.meta import Meta
from mayfly.sandbox.meta_rows import GraphError, read_people
from mayfly.sandbox.recording import Recorder

A, B, C = (hashlib.sha256(text).hexdigest() for text in (b"a", b"b", b"c"))


def made(meta, account="1", name="people"):
    """The id of a new audience."""
    given = {"name": name, "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    return meta.create(account, given)["id"]


def rows(schema, *data, session=None):
    """A request's parameters."""
    given = {"payload": {"schema": schema, "data": list(data)}}
    return given if session is None else given | {"session": session}


def test_adding_is_a_union_and_removing_goes_by_key():
    """A repeat changes nothing; a removal by EMAIL leaves the other fields."""
    meta = Meta()
    audience = made(meta)
    for _ in range(2):
        meta.users(audience, "add", rows(["EMAIL", "PHONE"], [A, B], [C, ""]), refuse_first=False)
    meta.users(audience, "remove", rows(["EMAIL"], [A]), refuse_first=False)
    assert meta.members(audience)["fields"] == {"EMAIL": [C], "PHONE": [B]}


@pytest.mark.parametrize(
    "payload",
    [
        {"schema": ["EMAIL"], "data": [[A]] * 10_001},
        {"schema": ["EMAIL", "PHONE"], "data": [[A, B], [A]]},
        {"schema": ["EMAIL", "NICK"], "data": [[A, B]]},
        {"schema": ["EMAIL", "EMAIL"], "data": [[A, B]]},
        {"schema": ["EMAIL"], "data": []},
        {"schema": [], "data": [[]]},
        {"schema": ["EMAIL"], "data": [[A]], "is_raw": True},
        [],
    ],
)
def test_wrong_shapes_are_refused_whole(payload):
    """Too many rows, wrong widths and unknown keys are bad parameters."""
    with pytest.raises(GraphError) as caught:
        read_people(payload)
    assert caught.value.code == 100


@pytest.mark.parametrize("cell", ["ann@example.com", A.upper(), A[:-1], A + "\n" + B, 5, None])
def test_a_cell_that_is_no_digest_is_counted_and_not_a_member(cell):
    """Rows with a wrong digest are counted with a sample that does not repeat the value."""
    people = read_people({"schema": ["EMAIL", "PHONE"], "data": [[A, B], [cell, C]]})
    assert people.invalid == {1}
    assert people.samples == {"1": "Invalid EMAIL"}
    assert people.values == {"EMAIL": {A}, "PHONE": {B}}


def test_a_row_without_any_key_and_an_address_as_extern_id_are_invalid():
    """An empty row names nobody; an external id must not be an address."""
    data = [["", ""], ["x@example.com", A], ["crm-1", ""]]
    assert read_people({"schema": ["EXTERN_ID", "EMAIL"], "data": data}).invalid == {0, 1}


def test_session_rules():
    """A batch after the last is refused, a batch sent again is not and counts once."""
    meta = Meta()
    audience = made(meta)

    def send(sequence, last=False, number=7):
        session = {"session_id": number, "batch_seq": sequence, "last_batch_flag": last}
        meta.users(audience, "add", rows(["EMAIL"], [A], session=session), refuse_first=False)

    send(1)
    send(2, last=True)
    send(2, last=True)
    with pytest.raises(GraphError):
        send(3)
    with pytest.raises(GraphError):
        send(0)
    with pytest.raises(GraphError):
        send(1, last="yes")
    shown = meta.audience(audience).sessions[7].to_dict()
    assert (shown["stage"], shown["num_received"]) == ("completed", "2")


def test_replace_takes_effect_with_the_last_batch():
    """Members change once the session is complete, and only one may be open."""
    meta = Meta()
    audience = made(meta)
    meta.users(audience, "add", rows(["EMAIL"], [A]), refuse_first=False)

    def send(number, sequence, last, value):
        session = {"session_id": number, "batch_seq": sequence, "last_batch_flag": last}
        given = rows(["EMAIL"], [value], session=session)
        meta.users(audience, "replace", given, refuse_first=False)

    send(1, 1, False, B)
    assert meta.members(audience)["fields"] == {"EMAIL": [A]}
    with pytest.raises(GraphError) as caught:
        send(2, 1, True, C)
    assert caught.value.code == 2650
    send(1, 2, True, C)
    assert meta.members(audience)["fields"] == {"EMAIL": sorted([B, C])}


def test_proof_is_checked_where_a_secret_is_set():
    """A token without the right proof is refused."""
    meta = Meta(app_secret="s")
    with pytest.raises(GraphError):
        meta.authorise("token", None)
    with pytest.raises(GraphError):
        meta.authorise("token", "0" * 64)


def test_pages_end_and_hold_each_audience_once():
    """Following the cursor gives every audience of the account and no other."""
    meta = Meta()
    mine = [made(meta) for _ in range(5)]
    made(meta, account="2")
    seen, after = [], ""
    for _ in range(4):
        page = meta.listing("1", {"limit": "2", "after": after, "fields": "id,name"}, "link")
        seen += [item["id"] for item in page["data"]]
        if "next" not in page["paging"]:
            break
        after = page["paging"]["cursors"]["after"]
    assert seen == mine


def test_faults_are_counted_down_and_checked():
    """A fault hits its path as often as asked; nonsense is named."""
    faults = Faults()
    assert faults.add({"path": "/v26.0/*/users", "kind": "503", "count": 2}) is None
    assert faults.take("/v26.0/1") is None
    assert [bool(faults.take("/v26.0/1/users")) for _ in range(3)] == [True, True, False]
    assert faults.add({"path": "/", "kind": "odd"}) == "kind"
    assert faults.add({"path": "/", "kind": "503", "count": 0}) == "count"


def test_recordings_hold_no_credential_and_end_at_the_limit():
    """Tokens are redacted in query and form; a body past the limit is null."""
    recorder = Recorder(body_bytes_max=40)
    form = {"content-type": "application/x-www-form-urlencoded", "authorization": "Bearer tok"}
    recorder.add("POST", "/x", "access_token=tok&a=1", form, b"access_token=tok&b=2")
    recorder.add("POST", "/x", "", {}, b"x" * 40)
    first, second = recorder.requests()
    assert "tok" not in repr(first).replace("token", "")
    assert first["body"] == "access_token=redacted&b=2"
    assert second["body"] is None

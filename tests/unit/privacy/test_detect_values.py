"""What values say of their column, whatever it is called."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mayfly.domain.classes import CLASSES
from mayfly.privacy.detect import classify_names, classify_table, nested, shown_name
from mayfly.privacy.guard import classes_in

EMAILS = [f"person{n}@example.com" for n in range(40)]
DIGESTS = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(2_000)]


def cls_of(values: object, name: str = "c1", table: str = "t") -> str:
    """The class of one column."""
    column = values if isinstance(values, pa.Array) else pa.array(values)
    return classify_table({name: column}, table=table)[name].cls


@pytest.mark.parametrize(
    "clear",
    ["a@example.com", "+33 6 12 34 56 78", "4539 1488 0343 6467", "Zoë Martin", "N/A",
     base64.b64encode(b"anna@example.com").decode()],
)  # fmt: skip
@pytest.mark.parametrize("name", ["email_sha256", "c1", "status"])
def test_one_clear_value_among_digests_is_told(clear: str, name: str) -> None:
    """One in two thousand: the share of the others averages nothing away."""
    assert cls_of([*DIGESTS[:777], clear, *DIGESTS[777:]], name) == "dirty_hashed"
    assert cls_of(DIGESTS, name) == "hashed"


def test_digests_of_two_forms_are_not_one() -> None:
    """Somebody hashed twice, or not as agreed."""
    other = [hashlib.md5(d.encode()).hexdigest() for d in DIGESTS[:100]]
    assert cls_of([*DIGESTS, *other]) == "dirty_hashed"
    assert cls_of(other) == "hashed"
    assert cls_of([bytes.fromhex(d) for d in DIGESTS]) == "hashed"


@pytest.mark.parametrize("share", [1, 200])
def test_one_address_makes_a_column_personal(share: int) -> None:
    """In a status, a note or a link: one row in that many, and twelve hundred."""
    states = ["active", "cancelled"] * 600
    states[::share] = [f"p{n}@example.com" for n in range(len(states[::share]))]
    assert cls_of(states, "status") == "email"
    notes = [f"the order {n} came on time, thank you very much" for n in range(1_200)]
    assert cls_of(notes, "note") == "none"
    notes[7] += " (anna@example.com)"
    assert cls_of(notes, "note") == "free_text_pii"
    links = [f"https://example.com/p/{n}" for n in range(100)]
    assert cls_of(links) == "none"
    links[3] = "https://example.com/?email=anna%40example.com"
    assert cls_of(links) == "url_pii"


@pytest.mark.parametrize("name", ["email", "c1", "order_status", "product_name"])
def test_a_misleading_name_is_not_believed(name: str) -> None:
    """Neither for a value nor against one."""
    assert cls_of(EMAILS, name) == "email"
    assert cls_of([f"template_{n % 5}" for n in range(50)], "email") in ("none", "opaque_id")
    assert cls_of(["mobile", "home"] * 20, "phone") == "none"


def test_whole_numbers_are_telephones_where_they_are_valid_ones() -> None:
    """And neither times nor counters are."""
    rng = random.Random(1)
    assert cls_of([33_600_000_000 + rng.randrange(10**8) for _ in range(99)]) == "phone"
    assert cls_of([4915_000_000_00 + rng.randrange(10**8) for _ in range(99)]) != "email"
    assert cls_of([1_700_000_000 + rng.randrange(10**7) for _ in range(99)]) == "none"
    assert cls_of([1_700_000_000_000 + rng.randrange(10**9) for _ in range(99)]) == "none"
    assert cls_of(list(range(10_000_000, 10_000_200))) == "none"
    assert cls_of([f"{n:010d}" for n in range(200)]) != "phone"
    assert cls_of([612345678 + n * 997 for n in range(99)], "mobile") == "phone"


def test_what_stands_for_no_value_is_passed_over_but_among_digests() -> None:
    """It has no digit, and is no telephone."""
    rng = random.Random(3)
    calls = [f"06{rng.randrange(10**8):08d}" for _ in range(95)]
    assert cls_of([*calls, "N/A", "ext."]) == "phone"
    assert cls_of(["Unknown", *["Anna Schmidt", "Jean Martin", "Zoe Keller"] * 9]) != "email"
    assert cls_of([*DIGESTS[:50], "-"]) == "dirty_hashed"


def test_check_digits_tell_cards_and_accounts_from_numbers() -> None:
    """A tenth of any long numbers pass by chance; that is not enough."""
    rng = random.Random(2)
    numbers = [f"4{rng.randrange(10**14, 10**15)}" for _ in range(500)]
    assert cls_of(numbers) not in ("credit_card", "phone")
    good = [n for n in numbers if _luhn(n)]
    assert len(good) > 20
    assert cls_of(good) == "credit_card"


def _luhn(digits: str) -> bool:
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def test_what_stands_within_a_column_is_told_by_its_path() -> None:
    """Structs, lists, JSON texts, and keys that are personal themselves."""
    rows = [{"user": {"email": e, "tags": ["a"]}, "n": 1} for e in EMAILS]
    verdict = classify_table({"doc": pa.array(rows)})["doc"]
    assert verdict.cls == "email"
    assert verdict.nested["user.email"] == "email"
    assert verdict.nested["user.tags[]"] == "none"
    texts = [f'{{"{e}": {{"plan": "free"}}}}' for e in EMAILS]
    verdict = classify_table({"doc": pa.array(texts)})["doc"]
    assert verdict.cls == "email"
    assert not any("@" in path for path in verdict.nested)
    assert verdict.evidence["withheld"] == len(EMAILS)


@pytest.mark.parametrize(
    "encode",
    [lambda t: base64.b64encode(t.encode()).decode(), lambda t: t.encode().hex(),
     lambda t: t.replace("@", "%40").replace(".", "%2E")],
    ids=["base64", "hex", "percent"],
)  # fmt: skip
def test_an_encoding_hides_nothing(encode: object) -> None:
    """Whatever the column is called."""
    assert callable(encode)
    assert cls_of([encode(e) for e in EMAILS]) == "email"


def test_days_of_birth_lie_decades_back_and_others_do_not() -> None:
    """As texts of several forms and as dates."""
    days = [dt.date(1940, 1, 1) + dt.timedelta(days=300 * n) for n in range(80)]
    recent = [dt.date(2022, 1, 1) + dt.timedelta(days=n) for n in range(80)]
    for made in (
        list,
        lambda d: [x.isoformat() for x in d],
        lambda d: [f"{x:%d.%m.%Y}" for x in d],
    ):
        assert cls_of(made(days)) == "date_of_birth"
        assert cls_of(made(recent)) == "none"
    assert cls_of(recent, "dob") == "date_of_birth"


def test_an_empty_column_is_known_by_its_name_alone() -> None:
    """With little confidence; and so is a table of which no row is read."""
    verdict = classify_table({"email": pa.nulls(5, pa.string())})["email"]
    assert (verdict.cls, verdict.evidence["values"]) == ("email", 0)
    assert verdict.confidence < 0.5
    named = classify_names({"email": pa.string(), "email_ok": pa.bool_(), "tel": pa.int64()})
    assert {n: v.cls for n, v in named.items()} == {
        "email": "email",
        "email_ok": "none",
        "tel": "phone",
    }


def test_a_name_in_a_table_of_things_is_one_of_a_thing() -> None:
    """Unless its values are those of people, or others in the table are."""
    titles = [f"{a} {b}" for a in ("Trail", "Oak", "Copper") for b in ("Runner", "Lamp", "Kettle")]
    assert cls_of(titles, "name", "products") == "none"
    assert cls_of(titles, "name", "customers") == "full_name"
    people = {"name": pa.array(titles), "email": pa.array(EMAILS[:9])}
    assert classify_table(people, table="products")["name"].cls == "full_name"
    names = [f"{a} {b}" for a in ("Anna", "Jean", "Paul") for b in ("Schmidt", "Martin", "Keller")]
    assert cls_of(names, "name", "products") == "full_name"


def test_two_neighbours_of_many_decimals_are_a_place() -> None:
    """Called x and y, or nothing; a price and a weight are none, nor is what lies off the earth."""
    rng = random.Random(4)
    north = pa.array([rng.uniform(43, 51) for _ in range(50)])
    east = pa.array([rng.uniform(-4, 8) for _ in range(50)])
    far = pa.array([rng.uniform(200, 900) for _ in range(50)])

    def pair(first: str, second: str, values: pa.Array) -> list[str]:
        found = classify_table({first: north, second: values}, table="t")
        return [found[first].cls, found[second].cls]

    assert pair("x", "y", east) == ["geo", "geo"]
    assert pair("x", "y", far) == ["none", "none"]
    assert pair("price", "weight", east) == ["none", "none"]


def test_a_name_that_is_personal_is_withheld() -> None:
    """Of a column, a key or a table."""
    assert shown_name("anna@example.com") == "(withheld)"
    assert shown_name("email") == "email"


COLUMN = st.one_of(
    st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=30),
    st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62)), max_size=30),
    st.lists(st.one_of(st.none(), st.floats()), max_size=30),
    st.lists(st.one_of(st.none(), st.binary(max_size=40)), max_size=30),
    st.lists(st.one_of(st.none(), st.booleans()), max_size=30),
    st.lists(st.dates(), max_size=30),
    st.lists(st.lists(st.text(max_size=9), max_size=3), max_size=30),
)


@settings(deadline=None, max_examples=60)
@given(COLUMN, st.text(max_size=20), st.text(max_size=12))
def test_any_column_has_a_class_and_no_value_in_its_verdict(
    values: list[object], name: str, table: str
) -> None:
    """Whatever stands in it; evidence is counts."""
    verdict = classify_table({name: pa.array(values)}, table=table)[name]
    assert verdict.cls in CLASSES
    assert 0 <= verdict.confidence <= 1
    assert all(isinstance(count, int) and count >= 0 for count in verdict.evidence.values())


@pytest.mark.parametrize(
    ("name", "values", "cls"),
    [
        # Names that no list has, told by how people are spoken of.
        (
            "c1",
            [f"Rozmowa z panią Zagł{chr(97 + n)}bą o fakturze" for n in range(20)],
            "free_text_pii",
        ),
        (
            "c1",
            [f"配達前に和久井様へお電話ください、番号{n}" for n in range(20)],
            "free_text_pii",
        ),
        ("c1", [f"Veuillez rappeler demain, dossier {n} ouvert" for n in range(20)], "none"),
        # A script without capitals shows no names: what is called a remark may hold some.
        ("ملاحظات", [f"تم ترك الطرد عند البواب اليوم {n}" for n in range(20)], "free_text_pii"),
        (
            "rmks",
            [f"Graag Fenna Naut{chr(97 + n)} bellen voor bezorging" for n in range(20)],
            "free_text_pii",
        ),
        ("lnm", [f"Ostrowidz{chr(97 + n)}ki" for n in range(20)], "last_name"),
        # A long token is no text, and money is no telephone.
        (
            "x",
            [f"person.with.a.long.name.{n}@example.com".encode().hex() for n in range(20)],
            "email",
        ),
        ("mobile_revenue", [4_000_000 + n * 7919 for n in range(40)], "none"),
        ("state", [f"{word}ed" for word in "ship wait clos open paus".split()] * 5, "none"),
    ],
)
def test_first_contact_with_other_lists(name: str, values: list[object], cls: str) -> None:
    """What a blind test of tables in thirteen languages found missing."""
    assert cls_of(values, name) == cls


def test_what_a_key_is_is_asked_once_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """On that rests the speed of nested values: rows of one column have the same few keys."""
    texts = [
        json.dumps(
            {"id": n, "mail": f"p{n}@example.com", "at": {"city": "Paris", "zip": 75000 + n % 99},
             "tags": [f"a{n % 7}", f"b{n % 9}"], "sum": n / 7, "ip": f"192.0.2.{n % 250}"}
        )
        for n in range(500)
    ]  # fmt: skip
    asked: list[str] = []
    real = nested.classes_in

    def counted(name: str) -> Any:
        asked.append(name)
        return real(name)

    monkeypatch.setattr(nested, "classes_in", counted)
    verdict = classify_table({"doc": pa.array(texts)})["doc"]
    assert (verdict.nested["mail"], verdict.nested["ip"]) == ("email", "ip_address")
    assert sorted(asked) == ["at", "city", "id", "ip", "mail", "sum", "tags", "zip"]


def test_a_key_is_looked_at_once_for_each_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a personal one is withheld each time it is met."""
    asked = []

    def counted(name: str) -> frozenset[str]:
        asked.append(name)
        return classes_in(name)

    monkeypatch.setattr(nested, "classes_in", counted)
    one = {"a": {"b": 1}, "b": 2, "p@example.com": 3}
    found, withheld = nested.paths_of(iter([one, one, one]))
    assert (sorted(asked), withheld) == (["a", "b", "b", "p@example.com"], 3)
    assert {path: texts.to_list() for path, texts in found.items()} == {
        "a.b": ["1"] * 3, "b": ["2"] * 3, "(withheld)": ["p@example.com", "3"] * 3,
    }  # fmt: skip


_HINDI = "प्रिया राहुल अंजलि अमित सुनीता विजय पूजा संजय नेहा रवि अनिल कविता मोहन सीता".split()
_HINDI_FAMILIES = "शर्मा वर्मा गुप्ता कुमार सिंह पटेल यादव मिश्रा जोशी".split()


@pytest.mark.parametrize(
    ("values", "cls"),
    [
        (_HINDI, "first_name"),
        (_HINDI_FAMILIES, "last_name"),
        ([f"{a} {b}" for a in _HINDI for b in _HINDI_FAMILIES], "full_name"),
        (
            [f"{a} {b}" for a in "लाल नीला हरा सफेद काला".split() for b in "कुर्सी मेज़ किताब".split()],
            "none",
        ),
    ],
)
def test_names_in_hindi_are_told_from_things(values: list[object], cls: str) -> None:
    """Under a name of the column that says nothing."""
    assert cls_of(values * 3, "x1") == cls

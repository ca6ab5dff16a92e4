"""Names that are themselves personal: withheld, and told apart."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mayfly.privacy.detect import ShownNames, kept_made, kept_name, shown_name
from mayfly.privacy.guard import classes_in

ANNA, BO, PHONE = "anna@example.com", "bo@example.com", "+33 6 39 98 12 34"


def test_withheld_names_are_told_apart_by_their_order() -> None:
    """The first has no number, one that comes again has the same, and others stay as they are."""
    names = ShownNames(["id", ANNA, "email", BO, ANNA, PHONE])
    assert [names.name(n) for n in ("id", ANNA, "email", BO, PHONE)] == [
        "id", "(withheld)", "email", "(withheld 2)", "(withheld 3)",
    ]  # fmt: skip
    assert names.name("cy@example.com") == "(withheld)"


def test_a_sentence_has_them_as_they_are_shown() -> None:
    """Also where one name stands within another, and none of its signs means anything."""
    names = ShownNames(["a.b+c@example.com", "mary.a.b+c@example.com", "plain"])
    said = names.text("Columns mary.a.b+c@example.com, a.b+c@example.com and plain.")
    assert said == "Columns (withheld 2), (withheld) and plain."
    assert ShownNames(["plain"]).text(f"{ANNA} is nobody's column") == f"{ANNA} is nobody's column"


def test_of_a_dotted_name_the_column_is_withheld_where_it_is_known() -> None:
    """Of another all of it is: nobody knows where its table ends. A number after a digit and a dot
    is one all the same.
    """
    card = "t1.4111111111111111"
    names = ShownNames([ANNA], [f"people.{ANNA}", f"people.{BO}", "people.city", card])
    assert names.name(f"people.{ANNA}") == "people.(withheld)"
    assert names.name(f"people.{BO}") == "(withheld 2)"
    assert names.name("people.city") == "people.city"
    assert names.text(f"made of people.{ANNA} and {card}") == (
        "made of people.(withheld) and (withheld 3)"
    )


def test_what_is_kept_of_a_name_is_a_digest() -> None:
    """It stays itself, differs by what it is a name in, and is shown as the name is."""
    kept = kept_name(ANNA, "shop")
    assert "anna" not in kept
    assert kept_name(kept, "shop") == kept_made(kept, "shop") == kept
    assert kept not in (kept_name(ANNA, "other"), kept_name(BO, "shop"))
    assert (kept_name("email", "shop"), kept_made("people.email", "shop")) == (
        "email",
        "people.email",
    )
    names = ShownNames([BO, ANNA, kept_name("cy@example.com", "shop")], [], "shop")
    assert names.text(f"{kept}, {ANNA}, {kept_name('cy@example.com', 'shop')}") == (
        "(withheld 2), (withheld 2), (withheld 3)"
    )
    assert shown_name(kept) == "(withheld)"


LETTERS = st.text("ab.@+3 ", max_size=9)


@settings(max_examples=40)
@given(st.lists(st.one_of(LETTERS, LETTERS.map("{}a@example.com".format)), max_size=6))
def test_what_is_shown_is_never_personal(texts: list[str]) -> None:
    """And different names are shown differently, as far as they are withheld."""
    names = ShownNames(texts)
    shown = {text: names.name(text) for text in texts}
    assert not any(map(classes_in, shown.values()))
    assert all((s == t) == (shown_name(t) == t) for t, s in shown.items())
    withheld = [s for t, s in shown.items() if s != t]
    assert len(set(withheld)) == len(withheld)

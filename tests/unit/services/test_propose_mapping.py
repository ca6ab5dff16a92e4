"""A mapping proposed from classes and names."""

from __future__ import annotations

import pytest

from mayfly.services.propose_mapping import Field, class_of_name, propose

META = [
    Field(name="EMAIL", kind="email"),
    Field(name="PHONE", kind="phone"),
    Field(name="FN", kind="first_name"),
    Field(name="FI", kind="first_name"),
    Field(name="EXTERN_ID", kind="opaque_id"),
]


def _lines(
    fields: list[Field], columns: dict[str, str | None], mapped: dict[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    found = propose(fields, columns, mapped or {})
    return {line.field: (line.column, line.why) for line in found.lines}


def test_a_declared_class_says_what_a_column_is_for() -> None:
    """Whatever its name; one first name serves its initial, too."""
    columns = {"x1": "email", "vorname": "first_name", "note": None}
    assert _lines(META, columns) == {
        "EMAIL": ("x1", "class"),
        "FN": ("vorname", "class"),
        "FI": ("vorname", "class"),
    }


def test_of_several_columns_of_a_class_the_name_decides() -> None:
    """The one that is named most like the field."""
    columns = {"work_mail": "email", "email": "email"}
    assert _lines(META, columns)["EMAIL"] == ("email", "class")


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("EMAIL", "e_mail"),
        ("EMAIL", "Courriel"),
        ("PHONE", "Téléphone"),
        ("FN", "prénom"),
        ("EXTERN_ID", "customer_id"),
    ],
)
def test_names_that_mean_a_class_are_known_in_several_languages(field: str, column: str) -> None:
    """With accents and without, whatever stands between words."""
    assert _lines(META, {column: None, "other": None}) == {field: (column, "name")}


def test_a_column_of_another_class_is_not_taken_for_its_name() -> None:
    """`tel` that is declared an e-mail is one."""
    lines = _lines(META, {"tel": "email"})
    assert lines == {"EMAIL": ("tel", "class")}


def test_two_columns_that_mean_the_same_are_left_to_a_person() -> None:
    """Nothing is guessed."""
    found = propose(META, {"mobile": None, "cell": None}, {})
    assert found.lines == ()
    assert found.columns == ("mobile", "cell")


def test_a_customers_own_fields_go_by_their_names() -> None:
    """What must be mapped and is not comes first of what is left."""
    fields = [
        Field(name="lifetime_value"),
        Field(name="email"),
        Field(name="plan", is_required=True),
    ]
    found = propose(fields, {"LifetimeValue": None, "mail": "email", "id": None}, {})
    assert [(p.field, p.column, p.why) for p in found.lines] == [
        ("lifetime_value", "LifetimeValue", "name"),
        ("email", "mail", "class"),
    ]
    assert [f.name for f in found.fields] == ["plan"]
    assert found.columns == ("id",)


def test_what_is_mapped_stays() -> None:
    """Even where a better column is there."""
    lines = _lines(META, {"email": "email", "old": "email"}, {"EMAIL": "old"})
    assert lines["EMAIL"] == ("old", "mapped")


def test_a_name_alone_speaks_of_a_class_or_of_none() -> None:
    """As whole words only: a name that holds one is no such name."""
    assert class_of_name("Post-Code") == "postal_code"
    assert class_of_name("email_opt_in") is None

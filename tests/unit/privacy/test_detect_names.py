"""What names of columns say, in many languages, and what they do not."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mayfly.privacy.detect.names import name_vote
from mayfly.privacy.detect.words import folded, words_of
from mayfly.privacy.guard.phones import WORDS, says_phone

SAID = {
    "email": (
        "email",
        "E-Mail_Adresse",
        "custEmail",
        "correo_electronico",
        "メールアドレス",
        "ईमेल",
    ),
    "phone": ("homePhone", "TEL2", "movil", "電話番号", "رقم_الهاتف", "mobile_nr"),
    "first_name": ("first_name", "Vorname", "prénom", "imię", "förnamn", "nombre"),
    "last_name": ("surname", "nachname", "apellidos", "nazwisko", "familyName"),
    "full_name": ("name", "nombre_completo", "customer_name", "氏名", "पूरा_नाम"),
    "street_address": ("shipping_address_line1", "Straße", "indirizzo", "住所"),
    "postal_code": ("plz", "codePostal", "ZIP", "kod_pocztowy", "郵便番号"),
    "date_of_birth": ("dob", "GebDatum", "fecha_nacimiento", "birth_dt", "生年月日"),
    "national_id": ("ssn", "codice_fiscale", "pesel", "passport_no"),
    "ip_address": ("ip", "IPAddress", "client_ip"),
    "geo": ("lat", "LNG", "longitude"),
    "special": ("religion", "diagnosis", "blood_type", "sexual_orientation"),
    "opaque_id": ("id", "user_id", "order_ref"),
}


@pytest.mark.parametrize(("cls", "name"), [(c, n) for c, names in SAID.items() for n in names])
def test_a_name_says_its_class(cls: str, name: str) -> None:
    """Whatever its case, accents, script and separators."""
    vote = name_vote(name)
    assert vote.cls == cls
    assert not vote.qualified


@pytest.mark.parametrize(
    "name", ["email_verified", "phone_type", "email_template", "product_name", "city_tax"]
)
def test_a_name_about_something_else_is_qualified(name: str) -> None:
    """It speaks of a value of the class, or of the name of a thing."""
    assert name_vote(name).qualified


@pytest.mark.parametrize("word", sorted(WORDS))
def test_what_the_guard_takes_for_a_telephone_s_name_is_one(word: str) -> None:
    """One list of words serves both."""
    assert name_vote(word).cls == "phone"
    assert says_phone(f"home_{word}")


@pytest.mark.parametrize("name", ["c1", "attr_7", "xyz", "amount", "quantity", ""])
def test_a_name_without_meaning_says_nothing(name: str) -> None:
    """The values alone decide."""
    assert name_vote(name).cls is None


@given(st.text(max_size=40))
@example("㍱")
def test_any_name_is_cut_into_words(name: str) -> None:
    """Folded, none of them empty, and folding twice changes nothing."""
    words = words_of(name)
    assert all(words)
    assert folded(folded(name)) == folded(name)
    name_vote(name)

"""Columns of known classes, made of other lists than those that the detection has: of mimesis."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pyarrow as pa
from mimesis import (
    Address,
    Code,
    Cryptographic,
    Datetime,
    Finance,
    Food,
    Hardware,
    Internet,
    Payment,
    Person,
    Science,
    Text,
)
from mimesis.enums import CardType
from mimesis.locales import Locale

LOCALES = ("en", "en-gb", "fr", "de", "es", "it", "pt", "pt-br", "nl", "pl", "sv", "ar-eg", "ja")
ROWS = 300
_CARDS = (CardType.VISA, CardType.MASTER_CARD, CardType.AMERICAN_EXPRESS)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One column and what it is.

    Args:
        table: its name.
        name: of the column.
        cls: what it is.
        values: in it.
        also: other classes that are right, too.
    """

    table: str
    name: str
    cls: str
    values: pa.Array
    also: tuple[str, ...] = ()


@cache
def person(locale: str) -> Person:
    """Of a locale, always the same."""
    return Person(Locale(locale), seed=7)


@cache
def address(locale: str) -> Address:
    """Of a locale, always the same."""
    return Address(Locale(locale), seed=7)


def some(make: Callable[[], object], rows: int = ROWS, nulls: float = 0.05) -> pa.Array:
    """Values that a function makes, and some nulls."""
    rng = random.Random(5)
    return pa.array([None if rng.random() < nulls else str(make()) for _ in range(rows)])


def _national(locale: str, rng: random.Random) -> Callable[[], str] | None:
    if locale == "en":
        return lambda: f"{rng.randint(100, 665)}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"
    if locale == "pl":
        return lambda: _with_digit(rng, 10, (1, 3, 7, 9) * 2 + (1, 3), 10)
    if locale == "es":
        return lambda: (lambda n: f"{n:08d}{'TRWAGMYFPDXBNJZSQVHLCKE'[n % 23]}")(
            rng.randint(1, 99999999)
        )
    return None


def _with_digit(rng: random.Random, size: int, weights: tuple[int, ...], mod: int) -> str:
    # A PESEL begins with a day of birth.
    digits = [
        int(d) for d in f"{rng.randint(50, 99)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}"
    ]
    digits += [rng.randint(0, 9) for _ in range(size - len(digits))]
    check = -sum(w * d for w, d in zip(weights, digits, strict=True)) % mod
    return "".join(map(str, [*digits, check]))


NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "email": {
        "honest": ("email", "courriel", "correo_electronico", "e_mail", "E-Mail-Adresse", "メール"),
        "odd": ("eml", "kontakt", "contact", "c7", "col_3", "field12", "user_name", "zz"),
    },
    "phone": {
        "honest": ("phone", "telefon", "telephone", "movil", "cellulare", "電話番号", "هاتف"),
        "odd": ("contact_1", "c9", "nr", "attr4", "tn"),
    },
    "first_name": {
        "honest": ("first_name", "vorname", "prenom", "nombre", "voornaam", "imie", "fornamn"),
        "odd": ("fnm", "c1", "x2", "val_a"),
    },
    "last_name": {
        "honest": ("last_name", "nachname", "nom", "apellido", "cognome", "achternaam", "nazwisko"),
        "odd": ("lnm", "c2", "x3", "val_b"),
    },
    "full_name": {
        "honest": ("full_name", "name", "nombre_completo", "nom_complet", "氏名", "customer_name"),
        "odd": ("c3", "x4", "holder", "val_c"),
    },
    "street_address": {
        "honest": ("address", "strasse", "adresse", "direccion", "indirizzo", "endereco", "住所"),
        "odd": ("c4", "x5", "line_a"),
    },
    "city": {
        "honest": ("city", "stadt", "ville", "ciudad", "citta", "miasto", "cidade"),
        "odd": (),
    },
    "postal_code": {
        "honest": ("zip", "plz", "code_postal", "codigo_postal", "cap", "postcode", "kod_pocztowy"),
        "odd": (),
    },
    "country": {"honest": ("country", "land", "pays", "pais"), "odd": ("c5", "x6")},
    "username": {"honest": ("username", "login", "benutzername", "pseudo"), "odd": ()},
}


def _personal(locale: str) -> Iterator[tuple[str, pa.Array]]:
    who, where = person(locale), address(locale)
    yield "email", some(who.email)
    yield "phone", some(who.phone_number)
    yield "first_name", some(who.first_name)
    yield "last_name", some(who.last_name)
    yield "full_name", some(who.full_name)
    yield "street_address", some(where.address)
    yield "city", some(where.city)
    yield "postal_code", some(where.postal_code)
    yield "country", some(where.country)
    yield "username", some(lambda: who.username("l.d"))


def _of_locales(locales: Sequence[str]) -> Iterator[Case]:
    rng = random.Random(11)
    for locale in locales:
        for cls, values in _personal(locale):
            names = NAMES[cls]
            yield Case(table="customers", name=rng.choice(names["honest"]), cls=cls, values=values)
            if names["odd"]:
                yield Case(
                    table=f"t{rng.randint(1, 99)}",
                    name=rng.choice(names["odd"]),
                    cls=cls,
                    values=values,
                )
        numbers = _national(locale, rng)
        if numbers:
            for name in ("national_id", "c8"):
                yield Case(table="people", name=name, cls="national_id", values=some(numbers))


def _everywhere() -> Iterator[Case]:
    rng = random.Random(3)
    net, pay, day = Internet(seed=1), Payment(seed=1), Datetime(seed=1)
    for name in ("ip", "client_ip", "c1"):
        yield Case(table="events", name=name, cls="ip_address", values=some(net.ip_v4))
        yield Case(table="events", name=name, cls="ip_address", values=some(net.ip_v6))
    for name in ("user_agent", "ua", "c2"):
        yield Case(table="events", name=name, cls="user_agent", values=some(net.user_agent))
    for name in ("mac", "c3"):
        yield Case(table="devices", name=name, cls="device_id", values=some(net.mac_address))
    yield Case(
        table="devices",
        name="idfa",
        cls="device_id",
        values=some(lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4)).upper()),
    )
    for name in ("card", "pan", "c4", "reference"):
        yield Case(
            table="payments",
            name=name,
            cls="credit_card",
            values=some(lambda: pay.credit_card_number(rng.choice(_CARDS))),
        )
    for name in ("iban", "konto", "c5"):
        yield Case(table="payments", name=name, cls="iban", values=some(lambda: _iban(rng)))
    for name in ("dob", "geburtsdatum", "fecha_nacimiento", "c6"):
        yield Case(
            table="people",
            name=name,
            cls="date_of_birth",
            values=some(lambda: day.date(start=1940, end=2004).isoformat()),
        )
        yield Case(
            table="people",
            name=name,
            cls="date_of_birth",
            values=some(lambda: day.date(start=1940, end=2004).strftime("%d.%m.%Y")),
        )
        yield Case(
            table="people",
            name=name,
            cls="date_of_birth",
            values=pa.array([day.date(start=1940, end=2004) for _ in range(ROWS)]),
        )
    for names, choices in (
        (("gender", "c7", "sexe"), ("M", "F")),
        (("geschlecht", "c7"), ("männlich", "weiblich", "divers")),
        (("sex", "c8"), ("male", "female", "unknown")),
        (("genero",), ("hombre", "mujer")),
    ):
        for name in names:
            yield Case(
                table="people",
                name=name,
                cls="gender",
                values=some(lambda c=choices: rng.choice(c)),
            )
    yield Case(
        table="people",
        name="religion",
        cls="special",
        values=some(lambda: rng.choice(("Catholic", "Muslim", "Jewish", "None"))),
    )
    yield Case(
        table="people",
        name="c9",
        cls="special",
        values=some(lambda: rng.choice(("katholisch", "evangelisch", "muslimisch", "jüdisch"))),
    )
    yield Case(
        table="patients",
        name="diagnosis",
        cls="special",
        values=some(lambda: f"{rng.choice('EFIJK')}{rng.randint(10, 99)}.{rng.randint(0, 9)}"),
    )
    yield Case(
        table="patients",
        name="c1",
        cls="special",
        values=some(lambda: f"{rng.choice('EFIJK')}{rng.randint(10, 99)}.{rng.randint(0, 9)}"),
    )
    yield Case(
        table="patients",
        name="blood",
        cls="special",
        values=some(lambda: rng.choice(("A+", "A-", "B+", "O+", "AB-"))),
    )
    yield Case(
        table="places",
        name="coords",
        cls="geo",
        values=some(lambda: f"{rng.uniform(-90, 90):.5f},{rng.uniform(-180, 180):.5f}"),
    )
    yield Case(
        table="places",
        name="lat",
        cls="geo",
        values=pa.array([rng.uniform(-60, 60) for _ in range(ROWS)]),
    )
    yield Case(
        table="web",
        name="url",
        cls="url_pii",
        values=some(lambda: f"https://shop.example.com/a?email={person('en').email()}"),
    )
    yield Case(
        table="people",
        name="phone_int",
        cls="phone",
        values=pa.array([33600000000 + rng.randint(10**7, 10**8 - 1) for _ in range(ROWS)]),
    )
    yield Case(
        table="people",
        name="c10",
        cls="phone",
        values=pa.array([33600000000 + rng.randint(10**7, 10**8 - 1) for _ in range(ROWS)]),
    )


def _iban(rng: random.Random) -> str:
    body = f"{rng.randint(0, 10**18 - 1):018d}"
    check = 98 - int(body + "131400") % 97
    return f"DE{check:02d}{body}"


def _encoded() -> Iterator[Case]:
    who = person("en")
    yield Case(
        table="t",
        name="payload",
        cls="email",
        values=some(lambda: base64.b64encode(who.email().encode()).decode()),
    )
    yield Case(table="t", name="h", cls="email", values=some(lambda: who.email().encode().hex()))
    yield Case(
        table="t", name="q", cls="email", values=some(lambda: who.email().replace("@", "%40"))
    )
    rows = [
        json.dumps({"contact": {"email": who.email(), "tags": ["a", "b"]}, "n": n})
        for n in range(ROWS)
    ]
    yield Case(table="t", name="doc", cls="email", values=pa.array(rows))
    yield Case(
        table="t",
        name="doc2",
        cls="full_name",
        also=("last_name", "first_name"),
        values=pa.array([{"name": who.full_name(), "size": 4} for _ in range(ROWS)]),
    )
    yield Case(
        table="t", name="tags", cls="none", values=pa.array([["red", "blue"] for _ in range(ROWS)])
    )
    text = Text(Locale.EN, seed=1)
    yield Case(
        table="tickets",
        name="body",
        cls="free_text_pii",
        values=pa.array(
            [
                f"{text.sentence()} Write to {who.email()} please."
                if n % 50 == 0
                else text.sentence()
                for n in range(ROWS)
            ]
        ),
    )
    yield Case(
        table="tickets",
        name="c3",
        cls="free_text_pii",
        values=pa.array(
            [f"{text.sentence()} Call {who.first_name()} {who.last_name()}." for n in range(ROWS)]
        ),
    )


def digests(name: str, rows: int = ROWS) -> list[str]:
    """Of a form, all different."""
    make: dict[str, Callable[[bytes], str]] = {
        "sha256": lambda b: hashlib.sha256(b).hexdigest(),
        "SHA256": lambda b: hashlib.sha256(b).hexdigest().upper(),
        "md5": lambda b: hashlib.md5(b).hexdigest(),
        "sha1": lambda b: hashlib.sha1(b).hexdigest(),
        "sha512": lambda b: hashlib.sha512(b).hexdigest(),
        "base64": lambda b: base64.b64encode(hashlib.sha256(b).digest()).decode(),
    }
    return [make[name](f"{name}{n}".encode()) for n in range(rows)]


FORMS = ("sha256", "SHA256", "md5", "sha1", "sha512", "base64")


def _hashed() -> Iterator[Case]:
    who = person("en")
    dirty = {
        "email": who.email,
        "phone": lambda: "+33 6 12 34 56 78",
        "name": who.full_name,
        "card": lambda: "4539 1488 0343 6467",
        "na": lambda: "N/A",
    }
    for form in FORMS:
        for name in ("email_hash", "email", "h1"):
            yield Case(table="t", name=name, cls="hashed", values=pa.array(digests(form)))
        for make in dirty.values():
            clear = digests(form, 2_000)
            clear[777] = str(make())
            yield Case(table="t", name="email_sha", cls="dirty_hashed", values=pa.array(clear))


def _not_personal() -> Iterator[Case]:
    rng = random.Random(9)
    code, food, hard, science = Code(seed=1), Food(seed=1), Hardware(seed=1), Science(seed=1)
    text, crypto, finance = Text(Locale.EN, seed=2), Cryptographic(seed=1), Finance(seed=1)
    pairs: list[tuple[str, pa.Array]] = [
        ("quantity", pa.array([rng.randint(1, 99) for _ in range(ROWS)])),
        ("amount", pa.array([round(rng.uniform(1, 900), 2) for _ in range(ROWS)])),
        ("price", some(lambda: f"{rng.uniform(1, 9999):.2f}")),
        ("status", some(lambda: rng.choice(("active", "cancelled", "pending")))),
        ("email_verified", some(lambda: rng.choice(("true", "false")))),
        ("phone_type", some(lambda: rng.choice(("mobile", "home", "work")))),
        ("email_template", some(lambda: rng.choice(("welcome_1", "reminder_2", "bye")))),
        (
            "created_at",
            some(
                lambda: f"2024-{rng.randint(10, 12)}-{rng.randint(10, 28)} 10:{rng.randint(10, 59)}"
            ),
        ),
        (
            "order_date",
            some(
                lambda: (
                    f"{rng.randint(2019, 2025)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
                )
            ),
        ),
        ("colour", some(text.color)),
        ("c1", some(text.color)),
        ("product_name", some(food.dish)),
        ("name", some(food.fruit)),
        ("c2", some(food.vegetable)),
        ("device", some(hard.phone_model)),
        ("c3", some(hard.cpu)),
        ("ean", some(code.ean)),
        ("isbn", some(code.isbn)),
        ("locale", some(code.locale_code)),
        (
            "version",
            some(lambda: ".".join(str(rng.randint(0, 9)) for _ in range(4))),
        ),
        ("company", some(finance.company)),
        ("c4", some(finance.company)),
        ("currency", some(finance.currency_iso_code)),
        ("notes", some(text.sentence)),
        ("c5", some(text.word)),
        ("element", some(science.rna_sequence)),
        ("url", some(lambda: f"https://www.example.com/products/{rng.randint(1, 999)}.html")),
        ("timestamp", pa.array([1700000000 + rng.randint(0, 10**7) for _ in range(ROWS)])),
        ("ts_ms", pa.array([1700000000000 + rng.randint(0, 10**10) for _ in range(ROWS)])),
        ("score", pa.array([rng.random() for _ in range(ROWS)])),
        ("lang", some(lambda: rng.choice(("en", "fr", "de", "es")))),
        ("discount_pct", some(lambda: f"{rng.randint(1, 80)}%")),
        ("campaign", some(lambda: rng.choice(("Summer Sale", "Black Friday", "Spring 24")))),
        ("plan", some(lambda: rng.choice(("Free", "Starter", "Business")))),
        ("is_active", pa.array([rng.random() < 0.5 for _ in range(ROWS)])),
        ("size", some(lambda: rng.choice(("S", "M", "L", "XL")))),
        ("weekday", some(lambda: rng.choice(("Monday", "Tuesday", "Sunday")))),
        ("month", some(lambda: rng.choice(("January", "April", "May", "June", "August")))),
        ("job", some(lambda: person("en").occupation())),
        ("card_brand", some(lambda: rng.choice(("visa", "mastercard")))),
        ("zip_size", pa.array([rng.randint(100, 99999) for _ in range(ROWS)])),
        ("serial", pa.array([4 * 10**15 + rng.randint(0, 10**15) for _ in range(2000)])),
    ]
    for name, values in pairs:
        yield Case(table="orders", name=name, cls="none", also=("opaque_id",), values=values)
    ids: list[tuple[str, pa.Array]] = [
        ("id", pa.array(list(range(1, ROWS)))),
        ("order_id", some(lambda: f"ORD-{rng.randint(10**5, 10**6)}")),
        ("customer_id", pa.array([rng.randint(10**8, 10**9) for _ in range(ROWS)])),
        ("c9", some(lambda: f"cus_{crypto.token_hex(8)}")),
        ("sku", some(lambda: f"SKU{rng.randint(1000, 9999)}")),
        ("token", some(lambda: crypto.token_urlsafe(16))),
        ("numero_pedido", pa.array([10_000_000 + n for n in range(ROWS)])),
    ]
    for name, values in ids:
        yield Case(table="orders", name=name, cls="opaque_id", also=("none",), values=values)
    for name in ("uuid", "id", "c1"):
        yield Case(
            table="orders",
            name=name,
            cls="uuid",
            values=some(lambda: uuid.UUID(int=rng.getrandbits(128), version=4)),
        )


def cases(locales: Sequence[str] = LOCALES, *, rows: int = ROWS) -> tuple[Case, ...]:
    """Columns of some languages, and those that have none.

    Args:
        locales: as mimesis names them.
        rows: the first so many of each; all of a dirty mixture.
    """
    made = (*_of_locales(locales), *_everywhere(), *_encoded(), *_not_personal())
    return (*(replace(c, values=c.values[:rows]) for c in made), *_hashed())

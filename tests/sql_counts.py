"""Values that are hard to tell, and what the detection in Python finds in each."""

from __future__ import annotations

import base64
import hashlib
import random
import uuid
from functools import cache
from urllib.parse import quote

import polars as pl

from mayfly.privacy.detect import forms
from mayfly.privacy.detect.checks import is_iban
from mayfly.privacy.detect.column import hit_masks
from mayfly.privacy.detect.values import Values

MAILS = [
    "anna@example.com",
    "Bo.Li+x@mail.example.org",
    "a_b@sub-1.example.co",
    "müller@example.de",
]
CARDS = ["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"]
IBANS = ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "fr1420041010050500013m02606"]
IBANS += ["NO9386011117947", "MT84MALT011000012345MTLCAST001S"]
PHONES = ["+44 7700 900123", "+447700900123", "(212) 555-0100", "212-555-0100", "01 99 00 12 34"]
PHONES += ["0044 20 7946 0958", "tel:+33199001234", "+1 (212) 555-0199 x12", "020 7946 0958"]
MANY = [
    "4111111111111112, 4111 1111 1111 1113; 4111111111111114",
    "DE89370400440532013001,DE89370400440532013002/DE89370400440532013003",
]
"""Texts with more numbers than are worked out, of which none is one: they count all the same."""
OTHERS = [
    *(
        "192.0.2.17",
        "10.0.0.1",
        "::1",
        "2001:db8::ff00:42:8329",
        "999.1.1.1",
        "192.0.2.1, 10.0.0.2",
    ),
    *("00:1B:44:11:3A:B7", "https://example.com/u/anna", "https://example.com/?email=x", "/a?b=c"),
    *("http://example.com/p/7", "www.example.com", "123-45-6789", "RSSMRA85T10A562S", "AB123456C"),
    *("529.982.247-25", "2024-01-02", "02-03-2024", "2024-01-02T10:00:00Z", "12.5", "0", "-1"),
    *(
        "@",
        "a@",
        "@b.de",
        "a@b",
        "a@b.c",
        "a@-b.de",
        "a@b..de",
        "a@b.c0m",
        "logo@2x.png",
        "a b@c.de",
    ),
    *("<20240101.1234567@mail.example.com>", "x@y.de.", "x@y.de,z@y.de", "Anna <anna@example.com>"),
    *("4111111111111112", "4111-1111 11111111", "1234567890123456", "6011", "+4111111111111111"),
    *("DE89370400440532013001", "XX89370400440532013000", "DE00", "GB82WEST1234569876543"),
    *(
        "+",
        "+12",
        "+1234567",
        "+12345678",
        "1-2-3",
        "(212)",
        "12345-212-555-0100",
        "2023-212-555-0100",
    ),
    *(
        "hello world",
        "Ünïcödé",
        "日本語",
        "a\nb@example.com",
        "line\nanna@example.com\n",
        "\t",
        "n/a",
    ),
    *('{"mail": "anna@example.com"}', "[1, 2]", "{}", "x'y\\z", "%40", "a%40b", "%2B447700900123"),
    *(
        "$2b$12$" + "a" * 53,
        "$argon2id$v=19$m=1$c2FsdA$aGFzaA",
        "{SSHA}" + "A" * 28,
        "*" + "A" * 40,
    ),
    *("sha256:" + "a" * 64, "a" * 8 + ":" + "b" * 32, "$6$salt$" + "x" * 86, "0x" + "a" * 40),
    # Numbers of cards and accounts among others: the first two of a text are worked out.
    *(
        "order 4111111111111112, then 4111111111111111.",
        *MANY,
        "x 4111111111111112 y 5500000000000005 z",
        "(5500 0000 0000 0004) and 9792000000000001",
        "ref:30569309025904/6011000990139424",
        "card_4111111111111111_x",
        "4111111111111111-17",
        "1 4111111111111111",
        "$4111111111111111",
        "4111.1111.1111.1111 x",
        "DE12 foo bar baz DE89370400440532013000",
        "pay DE89 3704 0044 0532 0130 00 to us",
        "pay de89370400440532013000, or NO9386011117948",
        "DE89370400440532013001 NO9386011117947",
        "DE89370400440532013001,DE89370400440532013002",
        "IBAN:MT84MALT011000012345MTLCAST001S;BIC:X",
        "aDE89370400440532013000",
        "DE89370400440532013000a",
        "no 86 people of 12 towns in 2024",
        '{"iban": "LT121000011101001000", "card": 4111111111111111}',
    ),
    "a\u200b@example.com",
    "x" * 500,
    "1" * 40,
    "a" * 64,
    "A" * 32,
    "2" * 32,
    "ab" * 20,
]
AROUND = [
    "{}",
    " {} ",
    "call {} now",
    "<{}>",
    "a{}",
    "{}z",
    "{}.",
    "x={}",
    "{}9",
    "9 {}",
    "é{}",
    "{}é",
]
PAIRS = {
    "email": ("email", "email_within", "encoded_hex", "encoded_base64", "encoded_percent"),
    "phone": ("phone_plus", "phone_set", "phone_within"),
    "credit_card": ("credit_card", "card_within"),
    "iban": ("iban", "iban_within"),
}
"""What the detection finds anywhere in a value, and the counts that stand for it."""
EXACT = ("ip_address", "mac", "uuid", "uuid_bare")


def corpus() -> list[str]:
    """Values of each kind as they are, in other texts, encoded and damaged."""
    rng = random.Random(11)
    plain = [*MAILS, *CARDS, *IBANS, *PHONES]
    values = [*OTHERS, *(a.format(v) for v in plain for a in AROUND)]
    for mail in MAILS:
        raw = mail.encode()
        values += [
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
        ]
        values += [
            raw.hex(),
            raw.hex().upper(),
            quote(mail, safe=""),
            "https://e.example/?m=" + quote(mail, safe=""),
        ]
    for n in range(60):
        raw = hashlib.sha256(str(n).encode()).digest()
        values += [raw.hex(), base64.b64encode(raw).decode(), hashlib.md5(raw).hexdigest()]
        values += [hashlib.sha1(raw).hexdigest().upper(), base64.b64encode(raw[:16]).decode()]
        values += [
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
            base64.b32encode(raw).decode(),
        ]
        values += [
            str(uuid.UUID(bytes=raw[:16], version=4)),
            uuid.UUID(bytes=raw[:16], version=4).hex,
        ]
        values += [str(rng.randrange(10 ** rng.randint(8, 19)))]
    for value in (rng.choice(plain) for _ in range(300)):
        at = rng.randrange(len(value))
        values.append(value[:at] + rng.choice("0a-. @+é") + value[at + rng.randint(0, 1) :])
    return list(dict.fromkeys(values))


@cache
def found_in_python() -> dict[str, set[str]]:
    """The kinds that the detection in Python counts, by value of the corpus without its blanks."""
    values = Values(pl.Series(corpus(), dtype=pl.String))
    masks, _ = hit_masks(values)
    masks = {name: mask for name, mask in masks.items() if name in PAIRS}
    masks |= {f"hash_{name}": values.mask(pattern) for name, pattern in forms.HASHES.items()}
    masks |= {
        "ip_address": values.mask(forms.IPV4) | values.mask(forms.IPV6),
        "mac": values.mask(forms.MAC),
        "uuid": values.mask(forms.UUID),
        "uuid_bare": values.mask(forms.UUID_BARE),
        "url": values.mask(forms.URL),
        "url_person": values.mask(forms.URL) & values.mask(forms.URL_PERSON),
    }
    texts = values.distinct.to_list()
    masks["iban"] = pl.Series([is_iban(text) for text in texts])
    found: dict[str, set[str]] = {text: set() for text in texts}
    for name, mask in masks.items():
        for place in mask.arg_true():
            found[texts[place]].add(name)
    return found


UNSEEN: dict[str, frozenset[str]] = {
    value: frozenset({"credit_card", "iban", "phone", "email"})
    for value in (
        "%2B447700900123",
        "4111.1111.1111.1111 x",
        "bcO8bGxlckBleGFtcGxlLmRl",
    )
}
"""What the counts do not see: numbers of cards within a text that are set with dots, other values
than addresses in an encoding, and letters beyond ASCII in base64.
"""

"""Which names say that a column or table holds telephone numbers."""

from __future__ import annotations

import re

# Words of the languages our users name columns in; a name is cut into its words first.
WORDS = frozenset(
    "phone phones telephone telephones tel tels mobile mobiles mob cell cellphone cellular msisdn "
    "sms fax whatsapp landline telefon telefone telefono teléfono telefoon telefonnummer handy "
    "handynummer mobil mobiltelefon movil móvil celular portable gsm telefonu komorka".split()
)
_WORD = re.compile(r"[A-ZÀ-Þ]?[a-zà-ÿ]+|[A-ZÀ-Þ]+(?![a-zà-ÿ])")
_STEMS = ("phone", "telefon", "telephon", "téléphon", "msisdn")


def says_phone(name: str) -> bool:
    """Whether a name speaks of telephones: `home_phone`, `mobileNumber`, `TEL2`."""
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(words & WORDS) or any(stem in name.lower() for stem in _STEMS)

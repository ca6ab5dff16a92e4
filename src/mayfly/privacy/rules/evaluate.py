"""The rules in Python: for values SQL may not hash, for `mayfly hash`, and as the SQL's oracle."""

from __future__ import annotations

import unicodedata

from mayfly.privacy.rules import expression as e


def text_of(node: e.Text, value: str) -> str | None:
    """The text a node gives for one value; None where it is absent."""
    match node:
        case e.Value():
            return value
        case e.Case(condition, then, other):
            return text_of(then if holds(condition, value) else other, value)
        case e.Join(parts):
            made = [p if isinstance(p, str) else text_of(p, value) for p in parts]
            return None if None in made else "".join(str(m) for m in made)
    inner = text_of(node.text, value)
    return None if inner is None else _apply(node, inner)


def _apply(node: e.Text, text: str) -> str | None:
    match node:
        case e.Strip(characters=characters):
            return text.strip(characters)
        case e.StripWide():
            return text.strip()
        case e.Remove(characters=characters):
            return text.translate(str.maketrans("", "", characters))
        case e.LettersOnly(digits=digits):
            return letters_only(text, digits=digits)
        case e.Lower(ascii_only=ascii_only):
            return _lower_ascii(text) if ascii_only else text.lower()
        case e.Upper():
            return text.translate(str.maketrans(e.LOWER, e.UPPER))
        case e.Left(length=length):
            return text[:length]
        case e.Before(mark=mark):
            return text.partition(mark)[0]
        case e.After(mark=mark):
            return text.partition(mark)[2]
        case e.Pad(length=length):
            return text.rjust(length, "0")
        case e.Lookup(table=table, keep=keep):
            return table.get(text, text if keep else None)
    raise TypeError("not a text node")


def holds(node: e.Condition, value: str) -> bool:
    """Whether a condition holds for one value; absent text fulfils none."""
    match node:
        case e.All(conditions):
            return all(holds(c, value) for c in conditions)
        case e.Not(condition):
            return not holds(condition, value)
    text = text_of(node.text, value)
    if text is None:
        return False
    match node:
        case e.Only(characters=characters):
            return set(text) <= set(characters)
        case e.Length(least=least, most=most):
            return least <= len(text) <= most
        case e.Count(mark=mark, number=number):
            return text.count(mark) == number
        case e.Has(part=part):
            return part in text
        case e.In(values=values):
            return text in values
        case e.EmailShape(labels=labels):
            return _is_email(text, labels=labels)
        case e.Between(least=least, most=most):
            return 0 < len(text) <= 4 and set(text) <= set(e.DIGITS) and least <= int(text) <= most
    raise TypeError("not a condition")


def _is_email(text: str, *, labels: bool) -> bool:
    local, _, domain = text.partition("@")
    if not local or not domain or "@" in domain or any(_invisible(c) for c in text):
        return False
    return not labels or ("." in domain and all(domain.split(".")))


def _invisible(character: str) -> bool:
    return (
        character.isspace()
        or unicodedata.category(character) == "Cc"
        or character in "\u00ad\u200b\u2060\ufeff"
    )


def letters_only(text: str, *, digits: bool) -> str:
    """Letters, marks and perhaps digits of any script, composed (NFC)."""
    kept = "LMN" if digits else "LM"
    composed = unicodedata.normalize("NFC", text)
    return "".join(c for c in composed if unicodedata.category(c)[0] in kept)


def _lower_ascii(text: str) -> str:
    return text.translate(str.maketrans(e.UPPER, e.LOWER))

"""A marked value, and all the ways by which a failure could tell it."""

from __future__ import annotations

import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field

import pytest

from mayfly.privacy.closed_logs import LIBRARIES, close_logs
from mayfly.privacy.scan import scan_bytes

# Put together here: a traceback that quotes a line of a test does not quote the mark.
MARK = "-".join(("marked", "7f3a9c", "value"))


@dataclass
class Told:
    """Every text that came out, by the way it took."""

    texts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, way: str, *texts: str) -> None:
        """Keep some."""
        self.texts.setdefault(way, []).extend(texts)

    def add_error(self, error: BaseException) -> None:
        """All that a program prints of an error: itself, its notes, what it was raised for."""
        for one in chain(error):
            self.add("error", str(one), repr(one), repr(one.args))
            self.add("error", *getattr(one, "__notes__", ()))
            attributes = {k: v for k, v in vars(one).items() if k != "__notes__"}
            self.add("error", repr(attributes))
        shown = traceback.TracebackException.from_exception(error, capture_locals=False)
        self.add("traceback", "".join(shown.format(chain=True)))

    def ways(self, mark: str = MARK) -> list[str]:
        """By which the mark came out, in clear or in any encoding that `mayfly scan` reads."""
        return [way for way, texts in self.texts.items() if _holds("\n".join(texts), mark)]


def _holds(text: str, mark: str) -> bool:
    hits = scan_bytes(text.encode("utf-8", "replace"), [mark.encode()])
    return any(hit.class_name == "known_value" for hit in hits)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those before it that Python shows with it."""
    one: BaseException | None = error
    while one is not None:
        yield one
        if isinstance(one, BaseExceptionGroup):
            for part in one.exceptions:
                yield from chain(part)
        shown = None if one.__suppress_context__ else one.__context__
        one = one.__cause__ or shown


class _Kept(logging.Handler):
    def __init__(self, told: Told) -> None:
        super().__init__(logging.DEBUG)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        """Message, arguments and error of one record."""
        self._told.add("log", f"{record.getMessage()} {record.args!r}")
        if record.exc_info and record.exc_info[1]:
            self._told.add_error(record.exc_info[1])


@contextmanager
def watched(capfd: pytest.CaptureFixture[str]) -> Iterator[Told]:
    """What comes out within, with every logger there is at DEBUG, by each way but an error."""
    told = Told()
    handler = _Kept(told)
    # As `load` and every command do first.
    close_logs(*LIBRARIES)
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    levels = {each: each.level for each in known if isinstance(each, logging.Logger)}
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    logging.root.addHandler(handler)
    capfd.readouterr()
    try:
        with warnings.catch_warnings(record=True) as warned, _streams(told):
            warnings.simplefilter("always")
            yield told
    finally:
        logging.root.removeHandler(handler)
        for logger, level in levels.items():
            logger.setLevel(level)
    told.add("warning", *(str(w.message) for w in warned))
    said = capfd.readouterr()
    told.add("stdout", said.out)
    told.add("stderr", said.err)


@contextmanager
def _streams(told: Told) -> Iterator[None]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        yield
    told.add("stdout", out.getvalue())
    told.add("stderr", err.getvalue())

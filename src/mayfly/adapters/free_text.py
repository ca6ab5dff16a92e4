"""Names of persons in free text, as Presidio finds them with models of spaCy on this machine.

Nothing is fetched: a model that is not here is refused before the library could look for it, and of
Presidio's recognisers only that of the model's own persons is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from mayfly.domain.errors import ConfigError
from mayfly.privacy.closed_logs import close_logs

_LOGS = ("presidio-analyzer", "presidio_analyzer", "spacy", "thinc", "tldextract")
_PERSON = "PERSON"
_SURE = 0.5
_CHARACTERS_MAX = 2_000


class PresidioFreeText:
    """See `FreeText`.

    Args:
        models: by language, the name of an installed package of spaCy or the folder of a model.

    Raises:
        ConfigError: `driver_missing`; `model_missing`, a model is not on this machine.
    """

    def __init__(self, models: Mapping[str, str]) -> None:
        close_logs(*_LOGS)
        presidio, nlp_engine, recognizers, spacy = map(_driver, _MODULES)
        for language, model in models.items():
            if not (spacy.util.is_package(model) or Path(model).is_dir()):
                raise ConfigError(
                    "model_missing",
                    f"The model for texts in {language} is not on this machine.",
                    hint="Install its package from a source that you trust; none is downloaded.",
                )
        named = [{"lang_code": code, "model_name": model} for code, model in models.items()]
        only = [
            recognizers.SpacyRecognizer(supported_language=code, supported_entities=[_PERSON])
            for code in models
        ]
        self._languages = list(models)
        registry = presidio.RecognizerRegistry(
            recognizers=only, supported_languages=self._languages
        )
        try:
            self._analyzer: Any = presidio.AnalyzerEngine(
                registry=registry,
                nlp_engine=nlp_engine.SpacyNlpEngine(models=named),
                supported_languages=self._languages,
            )
        except (OSError, ValueError, ImportError, KeyError):
            raise ConfigError(
                "model_unreadable",
                "A model for free text cannot be read, or is of another release of spaCy.",
                hint="Install a model that belongs to the spaCy that is here.",
            ) from None
        close_logs(*_LOGS)

    def persons(self, texts: Sequence[str]) -> int:
        """See `FreeText.persons`."""
        return sum(map(self._names_one, texts))

    def _names_one(self, text: str) -> bool:
        beginning = text[:_CHARACTERS_MAX]
        for language in self._languages:
            try:
                found = self._analyzer.analyze(
                    beginning, language, entities=[_PERSON], score_threshold=_SURE
                )
            except Exception:
                raise ConfigError(
                    "free_text_failed", "Presidio could not read a text of the sample."
                ) from None
            if found:
                return True
        return False


_MODULES = (
    "presidio_analyzer",
    "presidio_analyzer.nlp_engine",
    "presidio_analyzer.predefined_recognizers",
    "spacy",
)


def _driver(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise ConfigError(
            "driver_missing",
            "`free_text: presidio` needs a library that is not installed.",
            hint='pip install "mayfly-data[presidio]"',
        ) from None

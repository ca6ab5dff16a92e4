"""What reads free text for a source, where its `classify` says so."""

from __future__ import annotations

from mayfly.adapters.free_text import PresidioFreeText
from mayfly.domain.settings import Project
from mayfly.ports.free_text import FreeText
from mayfly.services.classify_table import free_text_models


def free_text_of(project: Project, source: str) -> FreeText | None:
    """The reader; a folder of a model is taken from the project's folder.

    Raises:
        ConfigError: `driver_missing`, `model_missing`, `model_unreadable`.
    """
    models = free_text_models(project.sources[source].classify)
    if not models:
        return None
    here = {code: project.root / model for code, model in models.items()}
    return PresidioFreeText(
        {code: str(here[code]) if here[code].is_dir() else model for code, model in models.items()}
    )

"""Keys of Google service accounts, as sources and destinations are given them."""

from __future__ import annotations

import json
import re
from typing import Any

from mayfly.domain.errors import ConfigError
from mayfly.ports.source_spec import Revealed

TOKENS = "oauth2.googleapis.com"
"""The one host that gives tokens for a key, whatever the key's file says."""
_WANTED = ("client_email", "private_key")


def service_account_key(of: str, credentials: Revealed) -> dict[str, Any]:
    """A service account's key, as `google-auth` takes it.

    Args:
        of: what it belongs to, for messages: `source shop`.
        credentials: the text of its file.

    Raises:
        ConfigError: `credentials_invalid`.
    """
    try:
        key = json.loads(credentials.reveal())
    except (ValueError, RecursionError):
        key = None
    if (
        not isinstance(key, dict)
        or key.get("type") != "service_account"
        or not all(isinstance(key.get(k), str) for k in _WANTED)
        or not re.fullmatch(r"[A-Za-z0-9@._-]+", key["client_email"])
    ):
        raise ConfigError(
            "credentials_invalid",
            f"The credentials of {of} are not the JSON key of a service account.",
            hint="Put the whole text of the key's file there.",
        )
    return {**key, "token_uri": f"https://{TOKENS}/token"}

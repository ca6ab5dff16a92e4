"""How Google's APIs say that a request is refused."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

DOMAIN = "datamanager.googleapis.com"
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_TYPE = "type.googleapis.com/google.rpc."


class ApiError(Exception):
    """A refusal.

    Args:
        reason: of the whole request.
        violations: path and reason of each field that is to blame.
        quota: name of the limit that was reached.
    """

    def __init__(
        self,
        reason: str = "INVALID_ARGUMENT",
        *,
        status: int = 400,
        violations: Sequence[tuple[str, str]] = (),
        quota: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.violations = violations
        self.quota = quota

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """In Google's error model."""
        request_id = f"t-{_uuid()}"
        quota = {"quota_limit": self.quota} if self.quota else {}
        details: list[dict[str, Any]] = [
            {
                "@type": f"{_TYPE}ErrorInfo",
                "reason": self.reason,
                "domain": DOMAIN,
                "metadata": {"requestId": request_id, **quota},
            },
            {"@type": f"{_TYPE}RequestInfo", "requestId": request_id},
        ]
        if self.violations:
            fields = [
                {"field": path, "description": "This field is refused.", "reason": reason}
                for path, reason in self.violations
            ]
            details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": fields})
        error = {
            "code": self.status,
            "message": "There was a problem with the request.",
            "status": _STATUS[self.status],
            "details": details,
        }
        return as_json({"error": error}, status=self.status, headers=headers)


def of_field(path: str, reason: str) -> ApiError:
    """A refusal for one field."""
    return ApiError(violations=[(path, reason)])


def new_request_id() -> str:
    """As the answers to requests name them."""
    return _uuid()


def _uuid() -> str:
    text = secrets.token_hex(16)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

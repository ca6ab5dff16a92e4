"""Salesforce's own paths: how calls are read, routed and answered."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.salesforce import Salesforce
from mayfly.sandbox.salesforce_jobs import Jobs
from mayfly.sandbox.salesforce_records import RowError, SalesforceError, typed
from mayfly.sandbox.vendor import as_json

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PARTS_MAX, HEAVY_MAX, ADDRESS_CHARACTERS_MAX = 25, 5, 16_000
_TOKEN = "/services/oauth2/token"  # noqa: S105, the path of an address
_AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
_API = re.compile(r"/services/data/v[0-9]{2,3}\.0/(.*?)/?")
_Answer = tuple[int, Any]


class SalesforceVendor:
    """Salesforce as one of the sandbox's platforms.

    Args:
        salesforce: the organisation behind it.
        tokens: those that work, beside the ones that it gave itself; None takes any.

    Attributes:
        secrets: of apps, by consumer key; where there is none, any secret is taken.
        keys: public keys of apps, by consumer key; where there is none, no signature is checked.
        instance: that a token is for; where the call came from by default.
        given: the tokens that it gave.
    """

    name = "salesforce"

    def __init__(self, salesforce: Salesforce, tokens: frozenset[str] | None) -> None:
        self.salesforce = salesforce
        self.jobs = Jobs(salesforce)
        self._tokens = tokens
        self.reset()

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path.startswith("/services/")

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`."""
        try:
            if request.url.path == _TOKEN:
                status, found = self._token(request, body)
                return as_json(found, status=status)
            self._authorise(request)
            whole = f"{request.url.path}?{request.url.query}"
            kind = request.headers.get("content-type", "").partition(";")[0].strip()
            status, found = self.routed(request.method, whole, kind, body, partial=partial)
        except SalesforceError as error:
            return as_json(error.body(), status=error.status, headers=self._limits())
        if status == 204:
            return Response(status_code=204, headers=self._limits())
        if isinstance(found, str):
            return Response(found, media_type="text/csv", headers=self._limits())
        return as_json(found, status=status, headers=self._limits())

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        match kind:
            case "503":
                error = SalesforceError("SERVER_UNAVAILABLE", "busy", status=503)
            case "429":
                error = SalesforceError(
                    "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded.", status=403
                )
            case "401":
                error = _no_session()
            case _:
                error = SalesforceError("JSON_PARSER_ERROR", "no JSON")
        return as_json(error.body(), status=error.status, headers={**headers, **self._limits()})

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`: records of an object by its name."""
        objects = self.salesforce.objects.get(query.get("audience", "Contact"))
        if objects is None:
            return None
        there = (r for r in objects.records.values() if not r.deleted)
        return [{"Id": r.record_id, **r.values} for r in there]

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        found = self.salesforce.objects.items()
        return [
            {
                "id": name,
                "name": name,
                "count": sum(not r.deleted for r in objects.records.values()),
            }
            for name, objects in found
        ]

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.salesforce.reset()
        self.jobs.reset()
        self.secrets: dict[str, str] = {}
        self.keys: dict[str, rsa.RSAPublicKey] = {}
        self.instance = ""
        self.given: set[str] = set()

    def routed(
        self, method: str, whole: str, kind: str, body: bytes, *, partial: bool = False
    ) -> _Answer:
        """The answer to a call, or to a part of a composite one.

        Raises:
            SalesforceError: it is refused.
        """
        address = urlsplit(whole)
        found = _API.fullmatch(address.path)
        if found is None:
            raise _nowhere()
        api, _, rest = found[1].partition("/")
        query = dict(parse_qsl(address.query))
        match api:
            case "query" | "queryAll" if method == "GET":
                asked = query.get("q", "")
                return 200, self.salesforce.query(asked, with_deleted=api == "queryAll")
            case "sobjects":
                return self._sobjects(method, rest, kind, body)
            case "composite" if not rest and method == "POST":
                return 200, self._composite(_json(kind, body))
            case "composite" if rest.startswith("sobjects"):
                return self._collection(method, rest, query, kind, body, partial)
            case "jobs" if rest.startswith("ingest"):
                path = rest.removeprefix("ingest").strip("/")
                return self._ingest(method, path, kind, body, partial)
        raise _nowhere()

    def _collection(
        self,
        method: str,
        rest: str,
        query: Mapping[str, str],
        kind: str,
        body: bytes,
        partial: bool,
    ) -> _Answer:
        parts = [unquote(part) for part in rest.split("/")[1:]]
        match method, parts:
            case "PATCH", [name, key]:
                entries = _json(kind, body)
                return 200, self.salesforce.upsert_all(name, key, entries, refuse_first=partial)
            case "PATCH" | "POST", []:
                entries = _json(kind, body)
                return 200, self.salesforce.change_all(entries, create=method == "POST")
            case "POST", [name]:
                return 200, self.salesforce.retrieve(name, _json(kind, body))
            case "DELETE", []:
                return 200, self.salesforce.delete_all(query.get("ids", "").split(","))
        raise _nowhere()

    def _composite(self, body: Any) -> dict[str, Any]:
        given = body.get("compositeRequest") if isinstance(body, dict) else None
        if not isinstance(given, list) or not 1 <= len(given) <= PARTS_MAX:
            raise SalesforceError("JSON_PARSER_ERROR", "compositeRequest has 1 to 25 parts")
        names = [str(part.get("referenceId")) for part in given]
        heavy = [p for p in given if re.search(r"/(query(All)?|composite/sobjects)\b", p["url"])]
        if len(set(names)) != len(names) or len(heavy) > HEAVY_MAX:
            raise SalesforceError("PROCESSING_HALTED", "names are unique, and 5 parts are heavy")
        return {"compositeResponse": [self._one(part) for part in given]}

    def _one(self, part: Mapping[str, Any]) -> dict[str, Any]:
        url = str(part.get("url"))
        content = part.get("body")
        try:
            if "@{" in url or len(url) > ADDRESS_CHARACTERS_MAX:
                raise SalesforceError("PROCESSING_HALTED", f"no such reference: {url}")
            given = b"" if content is None else orjson.dumps(content)
            status, found = self.routed(str(part.get("method")), url, "application/json", given)
        except SalesforceError as error:
            status, found = error.status, error.body()
        return {
            "body": found,
            "httpHeaders": {},
            "httpStatusCode": status,
            "referenceId": part["referenceId"],
        }

    def _ingest(self, method: str, path: str, kind: str, body: bytes, partial: bool) -> _Answer:
        job, _, what = path.partition("/")
        match method, job, what:
            case "POST", "", "":
                return 200, self.jobs.create(_json(kind, body))
            case "GET", "", "":
                return 200, {
                    "done": True,
                    "records": [j.to_dict() for j in self.jobs.jobs.values()],
                }
            case "GET", _, "":
                return 200, self.jobs.asked(job)
            case "PATCH", _, "":
                return 200, self.jobs.change(job, _json(kind, body), refuse_first=partial)
            case "DELETE", _, "":
                self.jobs.delete(job)
                return 204, None
            case "PUT", _, "batches":
                if kind != "text/csv":
                    raise SalesforceError("CLIENTINPUTERROR", "text/csv is taken", status=415)
                self.jobs.upload(job, body)
                return 201, None
            case "GET", _, name:
                return 200, self.jobs.results(job, name)
        raise _nowhere()

    def _sobjects(self, method: str, rest: str, kind: str, body: bytes) -> _Answer:
        name, *more = [unquote(part) for part in rest.split("/")]
        organisation = self.salesforce
        objects = organisation.of(name)
        try:
            match method, more:
                case "GET", ["describe"]:
                    return 200, organisation.describe(name)
                case "POST", []:
                    [done] = organisation.change_all(
                        {"records": [{"attributes": {"type": name}, **_json(kind, body)}]},
                        create=True,
                    )
                    return (201, done) if done["success"] else (400, _plain(done))
                case "GET", [record_id]:
                    record = objects.there(record_id)
                    return 200, {"Id": record.record_id, **record.values}
                case "DELETE", [record_id]:
                    objects.delete(objects.there(record_id))
                    return 204, None
                case "PATCH", [key, value]:
                    organisation.require_key(name, key)
                    given = typed(
                        objects, _json(kind, body), lambda f, v: f.of_json(v), organisation.resolve
                    )
                    made, is_new = organisation.upsert(name, key, {**given, key: value})
                    whole = {"id": made.record_id, "success": True, "errors": []}
                    return (201 if is_new else 200), whole | {"created": is_new}
        except RowError as error:
            status = 404 if error.code in ("ENTITY_IS_DELETED", "MALFORMED_ID") else 400
            return status, _plain(error.entry())
        raise _nowhere()

    def _authorise(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        known = self._tokens is None or token in self._tokens or token in self.given
        if scheme != "Bearer" or not token or not known:
            raise _no_session()

    def _token(self, request: Request, body: bytes) -> _Answer:
        """A token for a secret, or for a signed statement."""
        form = dict(parse_qsl(body.decode()))
        if request.headers.get("authorization", "").startswith("Basic "):
            encoded = request.headers["authorization"].removeprefix("Basic ")
            key, _, secret = base64.b64decode(encoded).decode().partition(":")
            form |= {"client_id": key, "client_secret": secret}
        match form.get("grant_type"):
            case "client_credentials":
                key, secret = form.get("client_id", ""), form.get("client_secret", "")
                if not key or not secret or self.secrets.get(key, secret) != secret:
                    return 400, _oauth("invalid_client", "invalid client credentials")
            case grant if grant == GRANT:
                if not self._is_signed(form.get("assertion", "")):
                    return 400, _oauth("invalid_grant", "invalid assertion")
            case _:
                return 400, _oauth("unsupported_grant_type", "grant type not supported")
        token = f"00D!{secrets.token_urlsafe(24)}"
        self.given.add(token)
        user = f"https://login.salesforce.com/id/{self.salesforce.organisation}/005000000000001AAA"
        return 200, {
            "access_token": token,
            "instance_url": self.instance or str(request.base_url).rstrip("/"),
            "id": user,
            "token_type": "Bearer",
            "issued_at": str(int(time.time() * 1000)),
            "signature": "AAAA",
        }

    def _is_signed(self, statement: str) -> bool:
        parts = statement.split(".")
        try:
            header, claims, signature = (
                base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts
            )
            given, algorithm = orjson.loads(claims), orjson.loads(header).get("alg")
        except (ValueError, AttributeError, binascii.Error):
            return False
        ends = str(given.get("exp", ""))
        timely = ends.isdecimal() and 0 < int(ends) - time.time() <= 310
        named = given.get("sub") and given.get("aud") in _AUDIENCES
        if algorithm != "RS256" or not timely or not named:
            return False
        key = self.keys.get(str(given.get("iss")))
        if key is None:
            return not self.keys
        signed = ".".join(parts[:2]).encode("ascii")
        try:
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def _limits(self) -> dict[str, str]:
        self.salesforce.used += 1
        return {"sforce-limit-info": f"api-usage={self.salesforce.used}/{self.salesforce.most}"}


def _json(kind: str, body: bytes) -> Any:
    if kind != "application/json":
        raise SalesforceError("UNSUPPORTED_MEDIA_TYPE", "application/json is taken", status=415)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise SalesforceError("JSON_PARSER_ERROR", "no JSON") from None


def _oauth(code: str, text: str) -> dict[str, str]:
    return {"error": code, "error_description": text}


def _plain(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"errorCode": e["statusCode"], "message": e["message"], "fields": e["fields"]}
        for e in entry["errors"]
    ]


def _no_session() -> SalesforceError:
    return SalesforceError("INVALID_SESSION_ID", "Session expired or invalid", status=401)


def _nowhere() -> SalesforceError:
    return SalesforceError("NOT_FOUND", "The requested resource does not exist", status=404)

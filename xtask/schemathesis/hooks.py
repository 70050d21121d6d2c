"""What the schema cannot say, and so is not asked of the server: docs/security.md, "Tried as an attacker"."""

import itertools
import re
from datetime import datetime, timedelta, timezone

import schemathesis
from schemathesis.core import NotSet
from schemathesis.specs.openapi import checks

PAST = "2026-11-20T03:01:00Z"
KEY = re.compile(r'[!#-~][ -~]{0,254}|"([ !#-\[\]-~]|\\["\\]){1,255}"')
FUTURE = "2099-11-20T03:01:00Z"


def moment(text):
    """The moment of a well-formed timestamp; None for anything else, which stays as it is."""
    try:
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None


def is_ahead(text):
    found = moment(text)
    if found is None:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=timezone.utc)
    try:
        return found > datetime.now(timezone.utc) + timedelta(hours=23)
    except OverflowError:
        return found.year > 2000


# After ten wrong tokens of one address further ones are answered 429, which lets nobody in either.
checks.AUTH_REJECTION_STATUSES = {401, 403, 429}
numbers = itertools.count(1)


def is_id(value):
    return isinstance(value, str) and 1 <= len(value) <= 255 and "\0" not in value


@schemathesis.hook
def before_call(context, case, kwargs):
    query = case.query
    if case.operation.path == "/v1/audit" and isinstance(query, dict) and "after" in query:
        # `after` is the beginning or what an answer gave, and goes with `limit` alone.
        if len(set(query) - {"limit", "after"}):
            del query["after"]
        elif isinstance(query["after"], str):
            query["after"] = ""
    path = case.operation.path
    # Only records for others to read may be a part of the trail: what is to be verified is whole.
    if path == "/v1/audit/export" and isinstance(query, dict) and query.get("format") != "ocsf":
        query.pop("since", None)
        query.pop("until", None)
    if path == "/v1/playbooks/{name}/rehearse" and (case.body is None or isinstance(case.body, NotSet)):
        case.body, case.media_type = {}, "application/json"
    # A key that was used for another event is refused, and two keys of one event must be the same.
    has_key = bool(case.headers) and KEY.fullmatch(case.headers.get("Idempotency-Key") or "") is not None
    if has_key:
        case.headers["Idempotency-Key"] = f"key-{next(numbers)}"
    body = case.body
    if not isinstance(body, dict):
        return
    if path in ("/events", "/v1/events") and is_id(body.get("id")):
        body["id"] = f"id-{next(numbers)}"
        if has_key:
            case.headers["Idempotency-Key"] = body["id"]
    # "Not more than 24 hours ahead" is about the server's clock, which no schema knows.
    for event in (body, body.get("event")):
        if isinstance(event, dict) and is_ahead(event.get("timestamp")):
            event["timestamp"] = PAST
    # So is that a key cannot have expired when it is made.
    if is_ahead(body.get("expires_at")) is False:
        body["expires_at"] = FUTURE
    # The rule language is too large for a schema: `rules` of objects are left out. The fuzz target `rules` tries them.
    if path == "/v1/evaluate" and isinstance(body.get("rules"), list):
        if all(isinstance(rule, dict) for rule in body["rules"]):
            body["rules"] = []
    # Which fields an event must have to fill in the params of a rule is that rule's say: with params it has none.
    if path == "/v1/playbooks/{name}/rehearse" and body.get("params") is None:
        body["params"] = {}

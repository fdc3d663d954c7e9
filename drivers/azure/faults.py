"""What an error of the SDK, of Azure or of one of its operations means in the six faults.

One table says what each code of Azure's is answered with; classes of the SDK's exceptions say
little: every 409 is of one class, and an operation that failed has the status 200.
"""

import json
import re
from dataclasses import dataclass, replace
from email.utils import formatdate, parsedate_to_datetime
from enum import StrEnum
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from drivers.azure.connection.transport import Guard, never_connected
from drivers.contract import LeaseLost
from drivers.faults import Busy, Fault, Indeterminate, Missing, Rejected, Unreachable

WORDS_MAX = 1000
WAIT_MAX_S = 3600.0
"""For longer nobody is put off at once, whatever is said: then Azure may say so again."""


class Reaction(StrEnum):
    """What is done about a refusal."""

    SIZE_OUT = "SIZE_OUT"  # this size is not to be had here for hours: the next size
    FULL = "FULL"  # there is no room for this size here now: the next size, then another place
    QUOTA = "QUOTA"  # we may not have more of this family here: another family
    LATER = "LATER"  # something else goes on: the same again, later
    FAIL = "FAIL"  # no


REACTIONS = {
    "SkuNotAvailable": Reaction.SIZE_OUT,
    "AllocationFailed": Reaction.FULL,
    "ZonalAllocationFailed": Reaction.FULL,
    "OverconstrainedAllocationRequest": Reaction.FULL,
    "OverconstrainedZonalAllocationRequest": Reaction.FULL,
    "QuotaExceeded": Reaction.QUOTA,
    "AnotherOperationInProgress": Reaction.LATER,
    "AttachDiskWhileBeingDetached": Reaction.LATER,
    "CanceledAndSupersededDueToAnotherOperation": Reaction.LATER,
    "Conflict": Reaction.LATER,
    "NicReservedForAnotherVm": Reaction.LATER,
    "OperationPreempted": Reaction.LATER,
    "ReferencedResourceNotProvisioned": Reaction.LATER,
    "RetryableError": Reaction.LATER,
    "RetryableErrorDueToAnotherOperation": Reaction.LATER,
    "SubscriptionRequestsThrottled": Reaction.LATER,
    "TooManyRequests": Reaction.LATER,
}
_REACTIONS = {code.lower(): reaction for code, reaction in REACTIONS.items()}
_PAUSE = re.compile(
    r"\b(?:retry|try again)\b[^.]{0,40}?\b(?:after|in) (\d{1,6}) ?(second|minute)s?\b",
    re.IGNORECASE,
)
_UNIT_S = {"second": 1.0, "minute": 60.0}
_DETAILS_MAX = 20
_GONE = ("NotFound", "ResourceNotFound")
NO_CAPACITY = (Reaction.SIZE_OUT, Reaction.FULL, Reaction.QUOTA)
_UNSURE = (408, 500, 502, 503, 504)


class RetryLater(Exception):
    """Azure positively did nothing and says to come back, after `wait_s` seconds if it is said."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Said:
    """Azure's own words of a refusal, whether of a call or of an operation. `inner` are the codes
    of its details: Network wraps what it means in a general one."""

    code: str
    message: str = ""
    inner: tuple[str, ...] = ()

    @property
    def reaction(self) -> Reaction:
        """By the table; that a quota is used up has a code of its own sometimes only. What names
        a pause after which to come back is no end, whatever its code."""
        if self.code.lower() == "operationnotallowed" and "quota" in self.message.lower():
            return Reaction.QUOTA
        for code in (self.code, *self.inner):
            found = _REACTIONS.get(code.lower())
            if found is not None:
                return found
        return Reaction.FAIL if self.pause_s is None else Reaction.LATER

    @property
    def pause_s(self) -> float | None:
        """The seconds after which to come back, as the message names them; WAIT_MAX_S at most."""
        found = _PAUSE.search(self.message)
        if found is None:
            return None
        return min(WAIT_MAX_S, float(found[1]) * _UNIT_S[found[2].lower()])

    def words(self) -> str:
        """The code with the first line of the message."""
        lines = self.message.strip().splitlines()
        return f"{self.code}: {lines[0][:WORDS_MAX]}" if lines else self.code or "no reason"


def said_in(body: Any) -> Said:
    """From a body such as {"error": {"code": …, "message": …}}, with or without `error`."""
    error = body.get("error", body) if isinstance(body, dict) else {}
    if not isinstance(error, dict):
        error = {}
    message = str(error.get("message") or "")
    policies = [_policy(each) for each in _dicts(error.get("additionalInfo"))]
    named = ", ".join(dict.fromkeys(filter(None, policies)))
    if named:
        message = f"by {named}: {message}"
    details = [each for each in _dicts(error.get("details")) if each.get("code")]
    inner = tuple(str(each["code"]) for each in details)
    if details and details[0].get("message"):
        first = f"{details[0]['code']}: {details[0]['message']}"
        message = f"{message.splitlines()[0].rstrip('.')}. {first}" if message else first
    return Said(str(error.get("code") or ""), message, inner)


def _dicts(found: Any) -> list[dict[str, Any]]:
    listed = found[:_DETAILS_MAX] if isinstance(found, list) else []
    return [each for each in listed if isinstance(each, dict)]


def _policy(entry: dict[str, Any]) -> str:
    """What an entry of `additionalInfo` calls the policy that forbids a request."""
    told = entry.get("info")
    if str(entry.get("type", "")).lower() != "policyviolation" or not isinstance(told, dict):
        return ""
    name, assigned = (
        str(told.get(f"policy{part}DisplayName") or told.get(f"policy{part}Name") or "")
        for part in ("Definition", "Assignment")
    )
    if name and assigned:
        return f"policy '{name}' (assignment '{assigned}')"
    return f"policy '{name or assigned}'" if name or assigned else ""


class AccessDenied(Unreachable):
    """Our role may not look at that; nothing was seen."""


class AzureRefused(Rejected):
    """Azure's no, in its own words."""

    def __init__(self, said: Said, where: str, more: str = "") -> None:
        full = said.reaction in NO_CAPACITY
        told = f"{where}: {'no capacity: ' if full else ''}{said.words()}{more}"
        super().__init__(told, host=where, no_capacity=full)
        self.said = said


def refusal_of(said: Said, where: str, more: str = "") -> Fault:
    """The fault of a change that Azure did not make, or that came to nothing."""
    if said.reaction is Reaction.LATER:
        return Busy(f"{where}: {said.words()}", host=where)
    return AzureRefused(said, where, more)


def meaning(error: BaseException, name: str, guard: Guard | None, host: str | None) -> Exception:
    """The fault, or RetryLater, of a call; `guard` is that of a change."""
    where = host or name
    match error:
        case Fault() | LeaseLost() | RetryLater():
            return error
        case HttpResponseError() if error.response is not None and _is_azure(error, guard):
            return _answered(error.response, name, guard, where)
        case ClientAuthenticationError():
            return Unreachable(f"{name}: no token: {_first(error)}", host=where)
        case TimeoutError():
            return _unseen(f"{name} did not answer in time", where, guard)
        case AzureError() if never_connected(error):
            return Unreachable(f"{name} does not answer: {_first(error)}", host=where)
        case OSError() | ValueError() if guard is None or not guard.began:
            return Unreachable(f"{name}: {_first(error)}", host=where)
        case _:
            return _unseen(f"{name} does not answer: {_first(error)}", where, guard)


def body_of(response: Any) -> Any:
    """The JSON of a reply; None when it is none."""
    try:
        return json.loads(response.text())
    except (ValueError, AzureError):
        return None


def wait_said(response: Any) -> float | None:
    """Seconds in Retry-After, WAIT_MAX_S at most; it may be a time, by the clock of who says it.
    None for what is neither."""
    text = str(response.headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdecimal():
        return min(WAIT_MAX_S, float(text[:9]))
    try:
        until = parsedate_to_datetime(text)
        now = parsedate_to_datetime(str(response.headers.get("Date") or formatdate(usegmt=True)))
        return min(WAIT_MAX_S, max(0.0, (until - now).total_seconds()))
    except (TypeError, ValueError):
        return None


def is_gone(response: Any) -> bool:
    """Whether the reply says of the thing itself that it is not there."""
    return response.status_code == 404 and said_in(body_of(response)).code in _GONE


def _is_azure(error: HttpResponseError, guard: Guard | None) -> bool:
    """Not of who gives tokens; that comes before anything is sent."""
    return not (isinstance(error, ClientAuthenticationError) and error.status_code != 401)


def _answered(response: Any, name: str, guard: Guard | None, where: str) -> Exception:
    said, status = said_in(body_of(response)), response.status_code
    told = f"{where}: {said.words()}" if said.code else f"{where}: status {status}"
    named_s = wait_said(response)
    wait_s = said.pause_s if named_s is None else named_s
    match status:
        case 429:
            return RetryLater(told, wait_s)
        case 401:
            return Unreachable(f"{name} refuses our token: {said.words()}", host=where)
        case 404 if said.code in _GONE:
            return Missing(told, host=where)
        case 404:
            return Unreachable(told, host=where)
        case 409 if named_s is not None:
            return RetryLater(told, wait_s)
        case 400 | 403 | 409 if said.reaction is Reaction.LATER:
            return RetryLater(told, wait_s)
        case 412:
            return RetryLater(told)
    if status < 400:
        return _unseen(told, where, guard)  # it was accepted, and what came with that is not read
    if status in _UNSURE:
        if guard is None and status == 503:
            return Busy(told, host=where)
        return _unseen(told, where, guard)
    if guard is None:  # who may not look has seen nothing
        return (AccessDenied if status == 403 else Unreachable)(told, host=where)
    return refusal_of(replace(said, code=said.code or f"status {status}"), where)


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:WORDS_MAX]


def _unseen(said: str, where: str, guard: Guard | None) -> Fault:
    if guard is not None and guard.began:
        return Indeterminate(said, host=where)
    return Unreachable(said, host=where)

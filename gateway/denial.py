"""A denial is a request refused for a reason the caller can act on."""

from enum import StrEnum


class ErrorKind(StrEnum):
    """The sort of denial; the API alone turns it into a status."""

    INVALID = "INVALID"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    ABSENT = "ABSENT"
    CONFLICT = "CONFLICT"
    PRECONDITION = "PRECONDITION"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    UNSUPPORTED = "UNSUPPORTED"
    UNAVAILABLE = "UNAVAILABLE"
    TOO_MANY = "TOO_MANY"
    TIMEOUT = "TIMEOUT"


class ApiError(Exception):
    """Refused: `code` as documented, one sentence, and the field or link it is about.

    `task` is the open task that stands in the way (409 VM-2); `decision` is where the
    scheduler's reasons are on record. `retry_after_s` is when to ask again.
    """

    def __init__(
        self,
        kind: ErrorKind,
        code: str,
        message: str,
        *,
        field: str | None = None,
        task: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.field = field
        self.task = task
        self.retry_after_s = retry_after_s
        self.decision: str | None = None


class TooMany(ApiError):
    """Refused for now: 429, with how many seconds to wait."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(ErrorKind.TOO_MANY, "429-TOO-MANY-REQUESTS", message)
        self.retry_after_s = retry_after_s

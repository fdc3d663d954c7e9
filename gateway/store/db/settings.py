"""What the store needs to know before it can open."""

from dataclasses import dataclass
from pathlib import Path

from gateway.store.db.server_binaries import Source


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the database is and how patient we are with it; all times in seconds.

    With `database_url` (libpq form, several hosts allowed) that server is used; without, our
    own under `home`. `listen_url` is for a server behind a pooler which drops notifications;
    such a pooler also wants `statement_cache` 0 and the three server timeouts set on its side.
    """

    home: Path
    database_url: str | None = None
    listen_url: str | None = None
    source: Source = Source.AUTO
    connections_max: int = 16
    statement_cache: int = 256
    application_name: str = "vmgate"
    open_timeout_s: float = 60.0
    acquire_timeout_s: float = 5.0
    statement_timeout_s: float = 30.0
    lock_timeout_s: float = 10.0
    idle_transaction_timeout_s: float = 30.0

    @property
    def server_settings(self) -> dict[str, str]:
        """What every session of ours tells the server at its start."""
        return {
            "application_name": self.application_name,
            "statement_timeout": _milliseconds(self.statement_timeout_s),
            "lock_timeout": _milliseconds(self.lock_timeout_s),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_transaction_timeout_s),
        }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))

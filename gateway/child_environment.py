"""The environment of every program that we start: an allow-list, without any secret.

Our own environment may hold passwords of users, hypervisors and the database. `/proc/PID/environ`
of a child shows whatever the child was started with, so no child gets those variables.
"""

import os
from collections.abc import Mapping

ALLOWED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "XDG_RUNTIME_DIR"),
        *("LANG", "LANGUAGE", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES"),
        *("LC_MONETARY", "LC_NUMERIC", "LC_TIME"),
        *("LD_LIBRARY_PATH", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    }
)
"""Variables that a child may inherit. None of them is a place for a secret."""


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the allowed variables of our environment, and `extra`, which must not be secret."""
    kept = {name: value for name, value in os.environ.items() if name in ALLOWED}
    return {**kept, **(extra or {})}

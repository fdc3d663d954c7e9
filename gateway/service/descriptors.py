"""File descriptors: the soft limit is raised to the hard one, and clients get half of them.

The other half is for the probes, the hypervisors and PostgreSQL, which clients must not starve.
"""

import resource

CLIENTS_SHARE = 2


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one; return the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard


def for_clients(limit: int) -> int:
    """How many connections of clients a process may have open with that limit."""
    return 2**31 if limit == resource.RLIM_INFINITY else limit // CLIENTS_SHARE

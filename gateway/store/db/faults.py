"""What can go wrong between us and the database, told apart by what the caller may do next."""


class StoreError(Exception):
    """Any trouble with the database that is not an answer to a statement."""


class StoreUnavailable(StoreError):
    """Nothing of the transaction was kept: the database was away, refused us, or was too slow.

    Doing the whole transaction again later is safe.
    """


class CommitUnknown(StoreUnavailable):
    """The connection was lost after COMMIT was sent: all of the transaction was kept, or none.

    Read before writing again. Catch it before StoreUnavailable, whose promise it lacks.
    """


class StoreConflict(StoreError):
    """Nothing was kept, because another transaction stood in the way; doing it again may work."""


class ServerFailed(StoreError):
    """Our own PostgreSQL cannot be found, made, started or stopped; the text says what to do."""


class MigrationError(StoreError):
    """The schema in the database and the migrations of this version do not belong together."""

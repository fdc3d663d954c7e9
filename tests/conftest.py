"""Makes the PostgreSQL fixtures known to every test; they start a server only where named."""

from tests.postgres import (  # noqa: F401
    database_url,
    empty_database_url,
    migrated_servers,
    postgres_server,
    postgres_source,
    store,
    store_settings,
)

"""The live service that a command asks: its address and who asks come from the environment."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import ClientError, ClientSession

from gateway.cli.client import Client, ScenarioFailed

URL, USER, PASSWORD = "VMGATE_URL", "VMGATE_USER", "VMGATE_PASSWORD"
DEFAULT_URL = "http://127.0.0.1:8009"


@asynccontextmanager
async def asking(environ: Mapping[str, str]) -> AsyncIterator[Client]:
    """A client of the service; raises ScenarioFailed with one sentence when it cannot be asked."""
    password = environ.get(PASSWORD)
    if not password:
        raise ScenarioFailed(f"the environment variable {PASSWORD} is not set")
    base = (environ.get(URL) or DEFAULT_URL).rstrip("/")
    async with ClientSession() as session:
        try:
            yield Client(session, base, environ.get(USER) or "admin", password)
        except ClientError as trouble:
            raise ScenarioFailed(f"{base} cannot be asked: {trouble}") from trouble

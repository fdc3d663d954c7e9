"""An HTTP server over TLS on 127.0.0.1 with a certificate of its own, inside `async with`."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from tests.lab.certificate import certify

Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(
    serve: Serve, home: Path | None = None, port: int = 0
) -> AsyncIterator[tuple[str, Path]]:
    """Its URL and the certificate to trust, which is put into `home`."""
    with TemporaryDirectory() as folder:
        certificate, key = certify(home or Path(folder), "arm", "ec")  # made in a moment
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", serve)
        runner = web.AppRunner(application, shutdown_timeout=1.0, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
            yield f"https://127.0.0.1:{runner.addresses[0][1]}", certificate
        finally:
            await runner.cleanup()

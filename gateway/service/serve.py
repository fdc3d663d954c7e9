"""Serving: everything one process runs, started in order and drained in reverse."""

import asyncio
import ipaddress
import logging
import secrets
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from drivers.capabilities import HypervisorType
from drivers.contract import Driver
from drivers.registry import UnknownDriver, open_driver
from gateway.api.routes import build_app
from gateway.api.services import AppServices, LoginTerms
from gateway.config import Config, ConfigError
from gateway.config.reading import secret
from gateway.service.addresses import Addresses
from gateway.service.connections import ConnectionLimits, ConnectionTable
from gateway.service.declare import declare
from gateway.service.descriptors import for_clients, raise_limit
from gateway.service.engine import Engine
from gateway.service.listener import ListenAddress, listening
from gateway.service.login_metrics import LoginMetrics
from gateway.service.probes import Health, build_probes
from gateway.store.db import migrate
from gateway.store.db.pool import Store, StoreSettings
from gateway.store.db.server_binaries import Source

_log = logging.getLogger(__name__)
_PROBES = {"connections_max": 64, "connections_per_address": 32}


class Role(StrEnum):
    """What a process is for: ALL is both."""

    API = "api"
    WORKER = "worker"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Serving:
    """What `ready` is told: where the listeners are (0 for one that is not there)."""

    api_port: int
    probe_port: int


def store_settings(config: Config, environ: Mapping[str, str]) -> StoreSettings:
    """Where the database is: DATABASE_URL, what the configuration names, or our own server."""
    section = config.store
    url = environ.get("DATABASE_URL") or None
    if url is None and (section.database_url_env or section.database_url_file):
        what = "store.database_url"
        url = secret(what, section.database_url_env, section.database_url_file, environ)
    return StoreSettings(
        home=section.data_dir / "postgres",
        database_url=url,
        source=Source(section.source),
        connections_max=section.connections_max,
    )


async def migrate_store(config: Config, environ: Mapping[str, str]) -> list[str]:
    """Bring the schema up to date; the names of what was applied."""
    async with Store.open(store_settings(config, environ)) as store:
        return await migrate.migrate(store)


async def serve(
    config: Config,
    role: Role,
    environ: Mapping[str, str],
    *,
    ready: Callable[[Serving], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`; then drain. Raises ConfigError, StoreError and
    OSError."""
    stop = stop or asyncio.Event()
    raise_limit()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(store_settings(config, environ)))
        for name in await migrate.migrate(store):
            _log.info("migrated: %s", name)
        await declare(store, config, environ, serves_users=role is not Role.WORKER)
        drivers = open_drivers(config)
        for name, driver in drivers.items():
            stack.push_async_callback(_close, name, driver)
        engine = Engine(store, drivers, config, works=role is not Role.API)
        health = Health(store, lambda: engine.held, engine.claims)
        await engine.load()
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(engine.run()), group.create_task(health.measure_lag())]
            try:
                await engine.first_look()
                async with _listening(config, role, engine, health) as serving:
                    health.started = True
                    _log.info("serving", extra={"port": serving.api_port})
                    if ready is not None:
                        ready(serving)
                    await stop.wait()
                    _log.info("draining")
                    health.draining = True
                    await engine.drain()
            finally:
                for one in running:
                    one.cancel()


async def _close(name: str, driver: Driver) -> None:
    """A driver that does not close well keeps nothing else from being closed."""
    try:
        await driver.aclose()
    except Exception:
        _log.exception("the driver of hypervisor.%s did not close", name)


def open_drivers(config: Config, only: str = "") -> dict[str, Driver]:
    """The driver of each block, or of the `only` one; raises ConfigError."""
    found: dict[str, Driver] = {}
    for name, block in config.hypervisor.items():
        if only not in ("", name):
            continue
        options = {
            key: _placed(value, config.store.data_dir) for key, value in block.options.items()
        }
        try:
            found[name] = open_driver(name, block.kind, HypervisorType(block.type), options)
        except UnknownDriver as wrong:
            raise ConfigError(str(wrong)) from wrong
    return found


def _placed(value: object, data_dir: Path) -> object:
    return value.replace("{data_dir}", str(data_dir)) if isinstance(value, str) else value


@asynccontextmanager
async def _listening(
    config: Config, role: Role, engine: Engine, health: Health
) -> AsyncIterator[Serving]:
    """The listeners, probes last to go: they tell of the draining."""
    async with AsyncExitStack() as stack:
        limits = _connection_limits(config)
        probes = ConnectionTable("probes", replace(limits, **_PROBES))
        health.connections.tables.append(probes)
        at = ListenAddress(config.probes.host, config.probes.port)
        probe_port = await stack.enter_async_context(listening(build_probes(health), at, probes))
        api_port = 0
        if role is not Role.WORKER:
            services = _services(config, engine)
            health.registry.register(LoginMetrics(services.logins.counts))
            table = ConnectionTable("api", limits)
            health.connections.tables.append(table)
            at = ListenAddress(config.server.host, config.server.port, _tls(config))
            app = build_app(services)
            api_port = await stack.enter_async_context(listening(app, at, table))
            _warn_of_hosts(config)
        yield Serving(api_port, probe_port)


def _connection_limits(config: Config) -> ConnectionLimits:
    """The configured limits, as far as the descriptors of this process allow."""
    server = config.server
    most = for_clients(raise_limit())
    if most < server.clients_max:
        _log.warning("server.clients_max is %d by the limit of open files", most)
    return ConnectionLimits(
        connections_max=min(server.clients_max, most),
        connections_per_address=min(server.clients_per_address, most),
        headers_s=server.headers_s,
        body_s=server.body_s,
        idle_s=server.idle_s,
        response_s=server.response_s,
    )


def _warn_of_hosts(config: Config) -> None:
    """Without a public URL, links name whatever host a request names."""
    server = config.server
    if server.public_url is None and not _is_loopback(server.host):
        _log.warning(
            "server.public_url is not set: links name the Host of each request; set it, since "
            "server.host %s is reachable from other computers",
            server.host,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _services(config: Config, engine: Engine) -> AppServices:
    return AppServices(
        store=engine.store,
        planner=engine.planner,
        capabilities={one.capabilities.type: one.capabilities for one in engine.drivers.values()},
        public_url=config.server.public_url,
        secret=secrets.token_bytes(32),
        wake=engine.wake,
        hypervisors={name: block.type for name, block in config.hypervisor.items()},
        capacities=engine.capacities,
        adviser=engine.adviser,
        host_changed=engine.attaching.host_changed,
        endpoint_of=Addresses(config).endpoint,
        reckon=engine.thinker.reckon,
        foresee=engine.thinker.foresee,
        two_person=config.rules.two_person,
        recompute=engine.thinker.recompute,
        logins=LoginTerms(config.logins.remembered_s, config.logins.session_s),
        body_s=config.server.body_s,
    )


def _tls(config: Config) -> ssl.SSLContext | None:
    server = config.server
    if server.tls_certificate is None or server.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(server.tls_certificate, server.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"server.tls_certificate: {error}") from error
    return context

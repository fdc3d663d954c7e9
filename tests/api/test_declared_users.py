"""Faults S6: who is not declared any more has no access after a start, and the feed tells it."""

from typing import Any

from gateway.config.reading import parse
from gateway.service.declare import declare
from gateway.store.db.pool import Store
from tests.api.test_guard import basic
from tests.api.vm_client import Api, serving, started

USER = """
[[users]]
login = "{login}"
enterprise = "acme"
privileges = ["{privilege}"]
password_env = "PASSWORD"
"""
PASSWORD = "of the tests"


async def start(store: Store, *logins: str, serves_users: bool = True) -> None:
    """What a start does with users."""
    users = "".join(
        USER.format(login=one, privilege="ALL" if one == "admin" else "VDC_MANAGE")
        for one in logins
    )
    config = parse(f'[[enterprises]]\nname = "acme"\n{users}', "users.toml", {})
    await declare(store, config, {"PASSWORD": PASSWORD}, serves_users=serves_users)


async def enter(api: Api, login: str) -> Any:
    """A log-in with the password."""
    return await api.call("GET", "login", headers={"Authorization": basic(login, PASSWORD)})


async def told(api: Api) -> list[tuple[str, str, str]]:
    """Events about access that began or ended: what happened, to whom, how grave."""
    await api.sequence()
    headers = {"Authorization": basic("admin", PASSWORD)}
    listed = await api.call("GET", "events?entity=USER&asc=true&limit=0", headers=headers)
    return [
        (one["action"], one["entityName"], one["severity"])
        for one in listed.body["collection"]
        if one["action"].endswith("ACTIVATE")
    ]


async def test_a_user_who_is_not_declared_any_more_has_no_access(store: Store) -> None:
    """Neither with the password nor with a token; declared again, only the password is good."""
    async with serving(store) as api:
        await start(store, "admin", "reader", "stranger", "actor")
        assert await told(api) == []
        token = (await enter(api, "reader")).headers["X-Abiquo-Token"]
        carried = {"Authorization": f"Token {token}"}
    await start(store, "admin", "stranger", "actor")
    async with started(store) as api:
        assert (await enter(api, "reader")).status == 401
        assert (await api.call("GET", "login", headers=carried)).status == 401
        assert (await enter(api, "actor")).status == 200
        assert await told(api) == [("DEACTIVATE", "reader", "WARN")]
        await start(store, "admin", "stranger", "actor")
        assert len(await told(api)) == 1
    await start(store, "admin", "reader", "stranger", "actor")
    async with started(store) as api:
        assert (await enter(api, "reader")).status == 200
        assert (await api.call("GET", "login", headers=carried)).status == 401
        assert (await told(api))[1:] == [("ACTIVATE", "reader", "INFO")]
        seen = (await enter(api, "admin")).body
        listed = await api.call(
            "GET",
            "events?entity=USER&action=ACTIVATE",
            headers={"Authorization": basic("admin", PASSWORD)},
        )
        uri = listed.body["collection"][0]["entityURI"]
        shown = await api.call("GET", uri, headers={"Authorization": basic("admin", PASSWORD)})
        assert seen["nick"] == "admin"
        assert (shown.body["nick"], shown.body["active"]) == ("reader", True)


async def test_a_worker_without_users_ends_nobody_s_access(store: Store) -> None:
    """Only a process that serves the API says who may use it."""
    async with serving(store) as api:
        await start(store, "admin", "reader", "stranger", "actor")
        await start(store, "admin", serves_users=False)
        assert (await enter(api, "reader")).status == 200
        assert await told(api) == []

"""`vmgate why` finds what its caller may see, wherever it is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.api.auth import passwords
from gateway.cli.why import why
from gateway.store.db.pool import Store
from tests.api.test_decisions import decided
from tests.api.vm_client import Api, number, serving


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def test_vmgate_why_finds_a_vm_of_any_enterprise_among_many(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """I15: by its whole name, for who may see it; two of one name are told apart by number."""
    for n in range(27):
        await api.make(label=f"web-{n}")
    vm = await api.make(label="web")
    stored = await decided(api, vm, cpu=17)
    password = await asyncio.to_thread(passwords.hash_password, "secret")
    async with api.store.transaction() as c:
        await c.execute("update app_user set password_hash = $1", password)
        await c.execute(
            """update vm set enterprise_id = 2, virtualdatacenter_id = 2, virtualappliance_id = 2
               where id = $1""",
            number(vm),
        )
    environ = {"VMGATE_URL": str(api._client.make_url("/")), "VMGATE_PASSWORD": "secret"}
    assert await why("web", environ) == 0
    assert capsys.readouterr().out.startswith(f"Decision {stored.id} of ")
    assert await why("web", {**environ, "VMGATE_USER": "reader"}) == 1
    assert "0 virtual machines are called web" in capsys.readouterr().err
    other = await api.make(label="web")
    assert await why("web", environ) == 1
    told = capsys.readouterr().err
    assert "2 virtual machines are called web" in told
    assert str(number(vm)) in told
    assert str(number(other)) in told
    assert (await api.call("GET", "admin/virtualmachines", user="reader")).status == 403

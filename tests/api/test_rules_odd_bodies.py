"""Whatever is said about rules, and what they are about: a refused request changes nothing at all,
and what is accepted leaves every promise of the tables kept."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.api.rules.rule_routes import RULE_ROUTES
from gateway.store.db.pool import Store
from tests.api.rule_world import serving_rules
from tests.api.test_surface import CATALOG, ELEMENTS, LIKELY, MANY
from tests.api.vm_client import Api

pytestmark = pytest.mark.long
REQUESTS = 800
CHANGES = [route for route in RULE_ROUTES if route[0] != "GET"]
TABLES = ("rule", "cluster", "tier", "tier_enterprise", "layer", "host", "datastore", "enterprise")
CONTENT = " || ".join(
    f"(select coalesce(json_agg(x order by x::text)::text, '') from {table} x)"
    for table in (*TABLES, "vm")
)
BROKEN = """
select
  (select count(*) from rule where cpu_percent not between 0 and 10000
    or ram_percent not between 0 and 10000 or storage_percent not between 0 and 100
    or (packing and fit_policy <> 'PROGRESSIVE')
    or (kind = 'enterprise_exclusion' and element_id >= other_id))
  + (select count(*) from host h join cluster c on c.id = h.cluster_id where c.rack_id <> h.rack_id)
  + (select count(*) from datastore d join tier t on t.id = d.tier_id
     where t.datacenter_id <> d.datacenter_id)
  + (select count(*) from vm v join layer l on l.id = v.layer_id
     where l.virtualappliance_id <> v.virtualappliance_id)
  + (select count(*) from vm join host h on h.id = vm.host_id
     where h.reserved_for <> vm.enterprise_id)
  + (select 1 - least(count(*), 1) from rule where kind = 'fit_policy')
"""
WORDS = {
    "clusters": "machine",
    "reservedmachines": "machine",
    "adddatastores": "datastore",
    "releasedatastores": "datastore",
    "{tier}": "enterprise",
    "enterpriseExclusions": "enterprise",
    "layers": "virtualmachine",
}
"""What the links of a body are likely to be about, by a word of the path."""
BODIES = st.one_of(
    CATALOG,
    LIKELY,
    st.builds(
        lambda name, links: {"name": name, "links": links},
        st.sampled_from(["a", "b", "gold"]),
        st.one_of(MANY, st.lists(ELEMENTS, max_size=2)),
    ),
    st.lists(LIKELY, max_size=2).map(
        lambda rows: {"machineLoadRules": rows, "fitPolicyRules": [{"fitPolicy": "PROGRESSIVE"}]}
    ),
)


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    method, path, _, _ = draw(st.sampled_from(CHANGES))
    parts = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    near = st.sampled_from([*[1] * 9, 2, 3, "a"])
    call: dict[str, Any] = {
        "method": method,
        "url": f"/api{path.format(**{part: draw(near) for part in parts})}",
        "params": draw(st.sampled_from([*[{}] * 8, {"force": "true"}, {"idDatacenter": "1"}])),
    }
    if method != "DELETE":
        call["json"] = draw(st.one_of(BODIES, _likely(path)))
    return call


def _likely(path: str) -> st.SearchStrategy[Any]:
    """A name, and links to what such a resource is about."""
    rel = next((WORDS[word] for word in reversed(path.split("/")) if word in WORDS), "machine")
    linked = st.integers(1, 6).map(lambda n: {"rel": rel, "href": f"http://x/api/{rel}s/{n}"})
    return st.builds(
        lambda name, found: {"name": name, "links": found},
        st.sampled_from(["a", "b", "c1", "gold"]),
        st.lists(linked, min_size=1, max_size=3),
    )


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world, with what rules are about, and three VMs of which one lives."""
    async with serving_rules(store) as opened:
        vms = [await opened.make(label=f"vm{n}") for n in range(3)]
        await opened.put(vms[0], "ON", 1)
        yield opened


async def test_a_refused_request_changes_nothing(api: Api) -> None:
    answered: dict[tuple[str, int], int] = {}
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=REQUESTS,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(calls())
    def ask(call: dict[str, Any]) -> None:
        status = asyncio.run_coroutine_threadsafe(_checked(api, call), loop).result()
        answered[call["method"], status] = answered.get((call["method"], status), 0) + 1

    await asyncio.to_thread(ask)
    assert sum(answered.values()) >= REQUESTS
    accepted = sum(n for (_, status), n in answered.items() if status < 300)
    assert accepted > REQUESTS // 100, answered
    assert {("POST", 409), ("DELETE", 404), ("POST", 400), ("PUT", 400)} <= set(answered)


async def _checked(api: Api, call: dict[str, Any]) -> int:
    before = await api.row(f"select {CONTENT}")
    answer = await api.call(
        call["method"], call["url"], params=call["params"], json=call.get("json")
    )
    assert answer.status < 500, (call, answer.body)
    if answer.status >= 400:
        assert answer.code, call
        assert await api.row(f"select {CONTENT}") == before, call
    assert await api.row(BROKEN) == 0, call
    return answer.status

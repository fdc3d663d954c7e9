"""Whatever comes, on whichever route, the answer is documented: 4xx in errors+json, never a 5xx.

Bodies, queries, numbers and headers are drawn by property; five thousand requests in all.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.api.http.body_fields import Body, Own
from gateway.api.http.body_table import BODIES as BODIES_OF
from gateway.api.routes import ROUTES
from gateway.store.db.pool import Store
from tests.api.test_virtualmachines_fuzz import BODIES, HREFS, ODD_TEXT, RAW, SCALARS, TYPES
from tests.api.vm_client import Api, serving

pytestmark = pytest.mark.long
EXPECTED = {200, 201, 202, 204, 400, 401, 403, 404, 405, 406, 409, 413, 415}
REQUESTS = 5000
EACH = 100
# A logout would end the token that all other requests carry; it has tests of its own.
ASKED = [route for route in ROUTES if route[1] != "/logout"]
NUMBER = st.sampled_from(
    ["1", "1", "1", "2", "3", "0", "x", "-1", "9" * 18, "9" * 30, "%00", "1.5"]
)
KEYS = [
    *("name", "hypervisorType", "network", "address", "mask", "gateway", "tag", "ip", "type"),
    *("hypervisor", "state", "networks", "datastores", "collection", "enabled", "description"),
    *("cpuLoadPercentage", "ramLoadPercentage", "aggregated", "storageLoadPercentage"),
    *("fitPolicy", "machineLoadRules", "fitPolicyRules", "datastoreLoadRules", "iconUrl"),
    *("packing", "enterpriseExclusionRules", "isReservationRestricted", "defaultAllowed"),
    *("defaultForDatacenter", "storageAllocationPolicy"),
]
RELS = [
    *("datacenter", "rack", "cluster", "machine", "datastore", "datastoretier", "location"),
    *("enterprise", "edit", "virtualmachine", "virtualmachinetemplate"),
]
ELEMENTS = st.builds(
    lambda rel, n: {"rel": rel, "href": f"http://x/api/admin/{rel}s/{n}"},
    st.sampled_from(RELS),
    st.integers(0, 6),
)
MANY = st.sampled_from(["machine", "datastore", "enterprise", "virtualmachine"]).flatmap(
    lambda rel: st.lists(
        st.integers(1, 6).map(lambda n: {"rel": rel, "href": f"http://x/api/{rel}s/{n}"}),
        min_size=1,
        max_size=3,
    )
)
LINKS = st.lists(
    st.one_of(
        ELEMENTS, SCALARS, st.fixed_dictionaries({"rel": st.sampled_from(RELS), "href": HREFS})
    ),
    max_size=3,
)
VALUES = st.recursive(
    st.one_of(SCALARS, st.sampled_from(["PROGRESSIVE", "MANAGED", "KVM", "10.0.0.0", 50, 100])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=4,
)
CATALOG = st.builds(
    lambda body, links: {**body, "links": links},
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5),
    LINKS,
)
LIKELY = st.builds(
    lambda name, percent, links: {
        **{"name": name or "x", "hypervisorType": "KVM", "fitPolicy": "PERFORMANCE"},
        **{"cpuLoadPercentage": percent, "ramLoadPercentage": 100, "storageLoadPercentage": 90},
        **{"enabled": True, "ip": "10.0.0.9", "type": "KVM", "links": links},
    },
    ODD_TEXT,
    st.integers(-1, 300),
    st.one_of(
        ELEMENTS.map(lambda one: [one]),
        MANY,
        st.just([{"rel": "location", "href": "http://x/api/cloud/locations/1"}]),
    ),
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["startwith", "limit", "by", "asc", "has", "idDatacenter", "expand", "force", "x"]
    ),
    ODD_TEXT.map(lambda text: text[:1100]),  # a longer line is the HTTP parser's to refuse
    max_size=2,
)
KINDS = st.one_of(*[st.just("application/json")] * 3, TYPES.filter(bool))
ACCEPTS = st.sampled_from(["*/*", "*/*", "*/*", "application/json", "text/html", "nonsense", ";q="])


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    method, path, _, _ = draw(st.sampled_from(ASKED))
    names = {part: draw(NUMBER) for part in _parts(path)}
    call: dict[str, Any] = {
        "method": method,
        "url": f"/api{path.format(**names)}",
        "params": draw(QUERIES) if draw(st.integers(0, 3)) == 0 else {},
        "headers": {"Accept": draw(ACCEPTS), "Content-Type": draw(KINDS)},
        "user": draw(st.sampled_from(["admin", "admin", "admin", "stranger"])),
    }
    if method not in ("GET", "DELETE"):
        raw = draw(st.booleans())
        declared = BODIES_OF.get((method, path))
        call["data"] = draw(RAW) if raw and draw(st.booleans()) else _encoded(draw, raw, declared)
    return call


def _encoded(draw: st.DrawFn, plain: bool, declared: Body | Own | None) -> bytes:
    """A body; in most cases of fields that the route knows, or few would come to its reader."""
    body = draw(BODIES if plain else st.one_of(LIKELY, CATALOG))
    if isinstance(body, dict) and isinstance(declared, Body) and draw(st.integers(0, 3)):
        body = {name: value for name, value in body.items() if name in declared.fields.known()}
    return json.dumps(body).encode("utf-8", "surrogatepass")


def _parts(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def test_no_request_is_a_fault(api: Api) -> None:
    """Zero 5xx over the whole surface, and every refusal is errors+json that says something."""
    asked = 0
    answered: set[int] = set()
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=REQUESTS,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(calls())
    def ask(call: dict[str, Any]) -> None:
        nonlocal asked
        asked += 1
        answered.add(asyncio.run_coroutine_threadsafe(_checked(api, call), loop).result())

    await asyncio.to_thread(ask)
    assert asked >= REQUESTS
    assert answered <= EXPECTED
    # A fuzz that only ever meets refusals would show little.
    assert {200, 201, 204, 400, 403, 404, 406, 409, 415} <= answered
    assert await api.row("select count(*) from vm where virtualappliance_id is null") == 0


async def _checked(api: Api, call: dict[str, Any]) -> int:
    answer = await api.call(
        call["method"],
        call["url"],
        user=call["user"],
        headers=call["headers"],
        params=call["params"],
        data=call.get("data"),
    )
    assert answer.status in EXPECTED, (call, answer.body)
    if answer.status >= 400:
        kind = answer.headers.get("Content-Type", "")
        assert kind.startswith("application/vnd.abiquo.errors+json"), (call, kind)
        assert answer.code, call
        assert answer.message, call
    return answer.status


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/layers/%00", (404, "404-NOT-FOUND")),
        ("/layers?has=%00", (400, "400-BAD-REQUEST")),
        ("/virtualmachines?has=a%00", (400, "400-BAD-REQUEST")),
    ],
)
async def test_nothing_is_called_by_a_null_character(
    api: Api, address: str, expected: tuple[int, str]
) -> None:
    """PostgreSQL refuses it in any text."""
    answer = await api.call("GET", f"/api/cloud/virtualdatacenters/1/virtualappliances/1{address}")
    assert (answer.status, answer.code) == expected

"""Whatever is sent to the routes of VMs, the answer is a documented refusal, never a fault."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.vm_client import Api, serving

EXPECTED = {200, 201, 202, 204, 400, 401, 403, 404, 405, 406, 409, 413, 415}
APPLIANCE = "cloud/virtualdatacenters/1/virtualappliances/1"

ODD_TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["\x00", "../../etc", "<b>", "a" * 5000, "\ud800", "%s", "'; drop table vm; --", "\u202e"]
    ),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    ODD_TEXT,
    st.sampled_from(["ON", "OFF", "PAUSED", "RESET", "any", "virtualmachinetemplate"]),
)
HREFS = st.one_of(
    ODD_TEXT,
    st.integers(0, 2**70).map(lambda n: f"http://x/api/admin/datacenters/1/racks/1/machines/{n}"),
    st.sampled_from([vm_world.TEMPLATE_LINK["href"], "http://[", "//", "http://x:99999999/"]),
)
LINKS = st.lists(
    st.one_of(
        SCALARS,
        st.fixed_dictionaries(
            {
                "rel": st.one_of(
                    st.sampled_from(["machine", "virtualmachinetemplate", "nic0", "disk0", "user"]),
                    st.sampled_from(["layer", "datastoretier0", "datastoretier1"]),
                    SCALARS,
                ),
                "href": st.one_of(HREFS, SCALARS),
            }
        ),
    ),
    max_size=4,
)
NAMES = [
    "label",
    "description",
    "cpu",
    "ram",
    "coresPerSocket",
    "variables",
    "state",
    "gracefulShutdown",
    "forceAfter",
    "reason",
    "forceUndeploy",
    "id",
    "uuid",
]
OBJECTS = st.dictionaries(
    st.one_of(st.sampled_from(NAMES), st.text(max_size=8)),
    st.one_of(
        SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(ODD_TEXT, SCALARS, max_size=3)
    ),
    max_size=6,
)
WITH_LINKS = st.builds(lambda body, links: {**body, "links": links}, OBJECTS, LINKS)
BODIES = st.one_of(st.none(), SCALARS, st.lists(SCALARS, max_size=3), OBJECTS, WITH_LINKS)
RAW = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"{", b"[1,", b"\xff\xfe", b'{"a":1e999}'])
)
TYPES = st.sampled_from(
    [
        "application/json",
        "application/vnd.abiquo.virtualmachine+json",
        "application/vnd.abiquo.virtualmachine+json; version=5.1",
        "application/vnd.abiquo.virtualmachine+json; version=99",
        "text/plain",
        "text/plain; charset=nonsense",
        "application/xml",
        "*/*",
        "",
    ]
)
NUMBERS = st.sampled_from(["1", "1", "1", "0", "x", "-1", "99999999999999999999", "%00", "%2e%2e"])
SUFFIXES = st.sampled_from(
    [
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/state"),
        ("PUT", "/state"),
        ("POST", "/action/deploy"),
        ("POST", "/action/undeploy"),
        ("POST", "/action/reset"),
        ("POST", "/action/protect"),
        ("POST", "/action/unprotect"),
        ("POST", "/action/relocate"),
        ("GET", "/action/relocatecandidates"),
        ("GET", "/tasks"),
        ("GET", "/tasks/x"),
        ("POST", "/tasks/x/action/cancel"),
        ("POST", "/tasks/x/action/ack"),
        ("GET", "/events"),
        ("GET", "/network/nics"),
        ("PATCH", ""),
    ]
)
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            "startwith",
            "limit",
            "has",
            "by",
            "asc",
            "after",
            "severity",
            "datefrom",
            "dateto",
            "vmlabel",
            "target",
            "user",
        ]
    ),
    st.one_of(
        ODD_TEXT.map(lambda text: text.replace("\ud800", "")[:1500]),
        st.integers(-(2**70), 2**70).map(str),
    ),
    max_size=3,
)
OTHERS = st.sampled_from(
    [
        ("GET", vm_world.VMS),
        ("POST", vm_world.VMS),
        ("GET", "cloud/virtualmachines"),
        ("GET", "events"),
        ("GET", "events/99999999999999999999"),
        ("POST", f"{APPLIANCE}/action/deploy"),
        ("POST", f"{APPLIANCE}/action/undeploy"),
        ("GET", "cloud/virtualdatacenters/1/privatenetworks/1/ips/1"),
    ]
)
TARGETS = st.one_of(
    OTHERS, st.builds(lambda n, s: (s[0], f"{vm_world.VMS}/{n}{s[1]}"), NUMBERS, SUFFIXES)
)


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def test_no_request_is_a_fault(api: Api) -> None:
    """Zero 5xx; every refusal is a list of errors with code and message; no half-made VM."""
    await api.put(await api.make(), "ON", 1)
    loop = asyncio.get_running_loop()

    async def one(target: tuple[str, str], sent: dict[str, Any], query: dict[str, str]) -> None:
        method, path = target
        answer = await api.call(method, path, params=query, **sent)
        assert answer.status in EXPECTED, (method, path, answer.status)
        if answer.status >= 400:
            assert answer.code, (method, path)
            assert answer.message, (method, path)

    @settings(
        max_examples=400,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        TARGETS,
        st.one_of(
            BODIES.map(lambda body: {"json": body} if body is not None else {}),
            st.builds(
                lambda raw, kind: {"data": raw, "headers": {"Content-Type": kind}}, RAW, TYPES
            ),
        ),
        QUERIES,
    )
    def examine(target: tuple[str, str], sent: dict[str, Any], query: dict[str, str]) -> None:
        asyncio.run_coroutine_threadsafe(one(target, sent, query), loop).result(30)

    await asyncio.to_thread(examine)
    lonely = "select count(*) from vm where not exists (select from nic where nic.vm_id = vm.id)"
    assert await api.row(lonely) == 0

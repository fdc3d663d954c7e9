"""The budget of a subscription is learned from replies, and no call is made beyond it."""

import asyncio

import pytest

from drivers.azure.connection.rate_limit import ASK_S, Budget, counts
from drivers.azure.connection.retry_policy import kind_of

RESOURCE = "x-ms-ratelimit-remaining-resource"
KIND = "POST virtualmachines/start"


def told(left: int, long: int = 1000) -> dict[str, str]:
    pools = f"Microsoft.Compute/UpdateVM3Min;{left},Microsoft.Compute/UpdateVM30Min;{long}"
    return {RESOURCE: pools}


def test_what_is_left_is_read_from_the_headers() -> None:
    headers = {**told(237, 1196), "x-ms-ratelimit-remaining-subscription-writes": "1199"}
    assert counts(headers) == {
        "Microsoft.Compute/UpdateVM3Min": (180.0, 237.0),
        "Microsoft.Compute/UpdateVM30Min": (1800.0, 1196.0),
        "x-ms-ratelimit-remaining-subscription-writes": (3600.0, 1199.0),
    }
    assert counts({RESOURCE: "nonsense;x, ;5,Pool;7"}) == {}


async def test_a_call_that_is_not_left_waits_until_the_pool_has_filled() -> None:
    """As fast as the most that was seen in it says; one that was never seen full is tried."""
    now_s = 0.0
    budget = Budget(32, lambda: now_s)
    assert budget.wait_s(KIND) == 0
    budget.heard(KIND, told(180))
    budget.heard(KIND, told(0))
    assert budget.wait_s(KIND) == pytest.approx(1.0)
    now_s = 0.5
    assert budget.wait_s(KIND) == pytest.approx(0.5)
    now_s = 1.5
    assert budget.wait_s(KIND) == 0
    budget.heard("other", told(0, 0))
    assert budget.wait_s("other") == pytest.approx(1800 / 1000)
    nearly_empty = Budget(32, lambda: now_s)
    nearly_empty.heard(KIND, told(1, 1))
    nearly_empty.heard(KIND, told(0, 0))
    assert nearly_empty.wait_s(KIND) == ASK_S


async def test_calls_under_way_are_taken_off_and_the_first_of_a_kind_goes_alone() -> None:
    budget = Budget(32, lambda: 0.0)
    inside: list[str] = []
    answered = asyncio.Event()

    async def call(name: str) -> None:
        async with budget.turn(KIND):
            inside.append(name)
            await (answered.wait() if name == "first" else asyncio.Event().wait())
            budget.heard(KIND, told(2))

    tasks = [asyncio.create_task(call(name)) for name in ("first", *"abcd")]
    for _ in range(10):
        await asyncio.sleep(0)
    assert inside == ["first"]
    answered.set()
    await tasks[0]
    for _ in range(10):
        await asyncio.sleep(0)
    assert inside == ["first", "a", "b"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_kind_that_is_shut_waits_and_others_do_not() -> None:
    now_s = 0.0
    budget = Budget(32, lambda: now_s)
    budget.shut(KIND, 14)
    assert (budget.wait_s(KIND), budget.wait_s("GET operations")) == (14, 0)
    now_s = 14.0
    assert budget.wait_s(KIND) == 0


_VM = "resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v"
_ALL = "providers/Microsoft.Compute"


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", f"{_VM}/start", KIND),
        ("GET", _VM, "GET virtualmachines/*"),
        ("GET", f"{_ALL}/virtualMachines", "GET virtualmachines"),
        ("GET", f"{_ALL}/locations/x/operations/1", "GET locations/operations/*"),
    ],
)
def test_calls_are_told_apart_as_azure_counts_them(method: str, path: str, kind: str) -> None:
    assert kind_of(method, f"https://x/subscriptions/s/{path}?api-version=1") == kind

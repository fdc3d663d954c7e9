"""The rig's ARM simulator is held to Azure's recorded traffic, exchange by exchange."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.lab.azure import recordings
from tests.lab.azure.comparison import differences
from tests.lab.azure.recordings import Exchange
from tests.lab.azure.sizes import Sizes
from tests.lab.azure.validation import compare

Recorded = Callable[[tuple[str, str]], tuple[Exchange, ...]]
# Not alike, and why that may be.
_SCRIPTS = "a catalogue of scripts that Azure can run in a guest; nothing runs in ours"
EXCEPTIONS = {
    "runCommands/RunPowerShellScript": _SCRIPTS,
    "locations/eastus/runCommands": _SCRIPTS,
    "hostGroups/hostgroup640e162b": "one look of four leaves out what is left in 3 minutes",
}


def excepted(exchange: Exchange) -> bool:
    return any(exchange.path.endswith(end) for end in EXCEPTIONS)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param(recordings.LIFE_CYCLE, 72, id="life cycle"),
        pytest.param(recordings.CONFLICTS, 31, id="conflicts"),
        pytest.param(recordings.DEDICATED_HOSTS, 13, id="dedicated hosts"),
        pytest.param(recordings.NO_SUCH_GROUP, 1, id="no such group"),
    ],
)
async def test_it_answers_recorded_requests_as_azure_did(
    recorded: Recorded, name: tuple[str, str], count: int
) -> None:
    found = await compare(recorded(name))
    unlike = [one for one in found if one.differences]
    assert len(found) == count
    assert [str(one) for one in unlike if not excepted(one.exchange)] == []


async def test_no_more_than_three_exchanges_are_excepted(recorded: Recorded) -> None:
    names = (
        recordings.LIFE_CYCLE,
        recordings.CONFLICTS,
        recordings.DEDICATED_HOSTS,
        recordings.NO_SUCH_GROUP,
    )
    found = [one for name in names for one in await compare(recorded(name))]
    unlike = [one for one in found if one.differences]
    assert (len(found), len(unlike)) == (117, 3), [str(one) for one in unlike]


def _changed(exchange: Exchange, path: str, value: object) -> Exchange:
    """The exchange with another value deep in its body; None takes the key away."""
    body = exchange.body
    *above, last = path.split("/")
    part = body
    for name in above:
        part = part[name]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return replace(exchange, text=json.dumps(body, indent=2).replace("\n", "\r\n"))


async def test_what_is_not_alike_is_found(recorded: Recorded) -> None:
    exchanges = recorded(recordings.LIFE_CYCLE)
    created = next(one for one in exchanges if one.method == "PUT" and "vmSize" in one.sent)
    accepted = dict(created.headers)
    for wrong in (
        replace(created, status=200),
        replace(created, headers={**accepted, "location": accepted["azure-asyncoperation"]}),
        replace(created, headers={k: v for k, v in accepted.items() if "async" not in k}),
        replace(
            created,
            headers={**accepted, "azure-asyncoperation": f"{recordings.ARM}/operations/1"},
        ),
        replace(created, headers={**accepted, "retry-after": "10"}),
        replace(
            created,
            headers={**accepted, "x-ms-ratelimit-remaining-resource": "Microsoft.Compute/x3Min;1"},
        ),
        _changed(created, "properties/provisioningState", "Succeeded"),
        _changed(created, "properties/vmId", None),
        _changed(created, "properties/vmId", 1),
        _changed(created, "properties/more", "x"),
        _changed(created, "properties/storageProfile/dataDisks", []),
        replace(created, text=json.dumps(created.body)),
        replace(created, text=""),
    ):
        assert list(differences(created, wrong, recordings.ARM))
        assert list(differences(wrong, created, recordings.ARM))
    assert not list(differences(created, created, recordings.ARM))


def test_its_sizes_are_as_recorded(recorded: Recorded) -> None:
    (listed,) = recorded(recordings.SKUS)
    told = ("vCPUs", "MemoryGB", "MaxDataDiskCount", "MaxResourceVolumeMB")
    theirs = {
        (one["name"], one["locations"][0]): one
        for one in listed.body["value"]
        if one["resourceType"] == "virtualMachines"
    }
    ours = Sizes().listed()["value"]
    assert len(theirs) > 5000
    for one in ours:
        real = theirs[one["name"], one["locations"][0]]
        assert one.keys() == real.keys()
        assert one["locationInfo"][0].keys() == real["locationInfo"][0].keys()
        for what in ("family", "tier", "size"):
            assert one[what] == real[what]
        pairs = [
            {each["name"]: each["value"] for each in sku["capabilities"]} for sku in (one, real)
        ]
        assert {name: pairs[0][name] for name in told} == {name: pairs[1][name] for name in told}


def test_it_serves_any_recorded_list_of_sizes(recorded: Recorded) -> None:
    (listed,) = recorded(recordings.SKUS)
    sizes = Sizes(skus=listed.body["value"])
    assert sizes.listed()["value"] == listed.body["value"]
    here = sizes.listed("location eq 'westeurope'")["value"]
    assert 0 < len(here) < len(sizes.skus)
    assert all("westeurope" in one["locations"] for one in here)
    assert sizes.counts("Standard_D48s_v3") == ("standardDSv3Family", 48)


def test_its_quotas_are_told_as_recorded(recorded: Recorded) -> None:
    (listed,) = recorded(recordings.USAGES)
    theirs, ours = listed.body["value"], Sizes().usages("eastus")["value"]
    assert {tuple(one) for one in ours} == {tuple(one) for one in theirs}
    names = {one["name"]["value"] for one in theirs}
    assert {one["name"]["value"] for one in ours} <= names

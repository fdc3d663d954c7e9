"""Deciding from a file: the same answer as the fleet's, with its exit status, and no service."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import app, main
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.placement import Placement
from scheduler.snapshot.snapshot import fleet, from_mapping
from tests.scheduler.places import VM
from tests.scheduler.test_snapshot import CLUSTERS, SMALL

FILE = str(CLUSTERS / "small.json")
USUAL = {"--cluster": FILE, "--ram": "1GiB", "--disk": "10GiB"}
PLACE = ["place", *(word for option in USUAL.items() for word in option)]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit status and what was printed."""
    with pytest.raises(SystemExit) as ended:
        app(words)
    return int(str(ended.value.code)), capsys.readouterr().out


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """The exit status and the JSON that was printed."""
    status, out = run(capsys, *words, "--json")
    found: dict[str, Any] = json.loads(out)
    return status, found


@pytest.mark.parametrize("policy", list(FitPolicy))
def test_the_answer_is_the_fleet_s(capsys: pytest.CaptureFixture[str], policy: FitPolicy) -> None:
    """A decision repeats from a file exactly: host, datastore and score."""
    demand = Demand(VM, 4, 1024, 10 * 2**30, "KVM", 1)
    expected = fleet(from_mapping(SMALL)).place(demand, policy)
    assert isinstance(expected, Placement)
    status, answer = told(capsys, *PLACE, "--cpu", "4", "--policy", policy.value.lower())
    assert status == 0
    found = (answer["host"], answer["datastore"], answer["score"], answer["policy"])
    assert found == (expected.host, expected.datastore, expected.score, policy)


def test_a_refusal_says_why_and_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Every host with its numbers and the rule behind them."""
    status, out = run(capsys, *PLACE, "--cpu", "80", "--explain")
    assert status == 1
    assert out.startswith("Refused. All 2 candidate hosts are oversubscribed")
    assert "esx1: CPU: 80 wanted, 56 spare of 64 (by machineLoadLevel 1 (datacenter," in out
    assert "esx3: It is HALTED" in out
    assert "Any one of these would make it fit:" in out
    assert "  Ask for no more than 56 CPU, 1024 MiB of RAM and" in out
    status, answer = told(capsys, *PLACE, "--cpu", "80")
    assert (status, answer["placed"]) == (1, False)
    assert [each["name"] for each in answer["verdicts"]] == ["esx1", "esx2", "esx3"]


def test_what_is_asked_for_is_what_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """Only esx1 and esx2 map the network; no host has the type, the tier or the datacenter."""
    status, answer = told(capsys, *PLACE, "--cpu", "1", "--network", "san", "--explain")
    assert status == 1
    lacks = {one["lack"] for each in answer["verdicts"] for one in each["reasons"]}
    assert lacks == {"NETWORK", "HOST_STATE"}
    for option, value, lack in (
        ("--type", "VMX_04", "HYPERVISOR_TYPE"),
        ("--tier", "3", "TIER"),
    ):
        status, answer = told(capsys, *PLACE, "--cpu", "1", option, value)
        assert status == 1
        assert all(lack in {one["lack"] for one in e["reasons"]} for e in answer["verdicts"])
    assert run(capsys, *PLACE, "--cpu", "1", "--datacenter", "2")[0] == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--cpu", "-1"], "--cpu: 0 or more"),
        (["--cpu", "1", "--ram", "4G"], "--ram: a size such as 4GiB"),
        (["--cpu", "1", "--enterprise", "acme"], "--enterprise: nothing with the name acme"),
        (["--cpu", "1", "--cluster", "/nowhere.json"], "/nowhere.json"),
        (["--cpu", "x"], "--cpu"),
    ],
)
def test_wrong_input_exits_2_and_names_the_option(
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    complaint: str,
) -> None:
    """One line for what a person can mend."""
    options = {**USUAL, **dict(zip(words[::2], words[1::2], strict=True))}
    with pytest.raises(SystemExit) as ended:
        main(["place", *(word for option in options.items() for word in option)])
    assert ended.value.code == 2
    both = capsys.readouterr()
    assert complaint in both.out + both.err


_HOST = {"name": "esx1", "cpus": 8, "memory": "8GiB"}
_OTHER = {**_HOST, "name": "esx2"}
_STORE = {"name": "disks", "capacity": "1TiB"}
_VM = {"vm": "6a1f0a52-2c7e-4a39-8f5e-0c1d2e3f4a5b", "host": "esx1", "cpu": 1, "ram": "1GiB"}
_RULE = {"level": "datacenter", "cpu_percent": 50}


@pytest.mark.parametrize(
    ("cluster", "place"),
    [
        ({"hosts": [_HOST, _HOST]}, "$.hosts[1].name"),
        ({"hosts": [_HOST, _HOST], "residents": [_VM]}, "$.hosts[1].name"),
        ({"datastores": [_STORE, _STORE]}, "$.datastores[1].name"),
        ({"hosts": [{**_HOST, "datastores": [_STORE]}], "datastores": [_STORE]}, "$.datastores[1]"),
        ({"hosts": [{**_HOST, "datastores": [1, 1]}], "datastores": [_STORE]}, "datastores[1]"),
        (
            {
                "hosts": [
                    {**_HOST, "rack": 1, "rack_name": "a"},
                    {**_OTHER, "rack": 2, "rack_name": "a"},
                ]
            },
            "$.hosts[1].rack_name",
        ),
        (
            {
                "hosts": [
                    {**_HOST, "rack": 1, "rack_name": "a"},
                    {**_OTHER, "rack": 1, "rack_name": "b"},
                ]
            },
            "$.hosts[1].rack_name",
        ),
        (
            {
                "hosts": [
                    {**_HOST, "cluster": 1, "cluster_name": "a"},
                    {**_OTHER, "cluster": 2, "cluster_name": "a"},
                ]
            },
            "$.hosts[1].cluster_name",
        ),
        (
            {
                "hosts": [_HOST],
                "datastores": [_STORE],
                "residents": [_VM, {**_VM, "name": "other"}],
            },
            "$.residents[1].vm",
        ),
        (
            {
                "hosts": [_HOST],
                "datastores": [_STORE],
                "residents": [
                    {**_VM, "name": "web"},
                    {"host": 1, "cpu": 1, "ram": 1, "name": "web"},
                ],
            },
            "$.residents[1].name",
        ),
        ({"rules": {"loads": [_RULE, {**_RULE, "cpu_percent": 60}]}}, "$.rules.loads[1].element"),
        ({"rules": {"enterprises": {"1": "acme", "2": "acme"}}}, "$.rules.enterprises[1]"),
    ],
)
def test_what_is_there_twice_exits_2_and_names_the_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, cluster: dict[str, Any], place: str
) -> None:
    """I12: of two hosts, datastores, racks, clusters, VMs or rules of one name none is taken."""
    path = tmp_path / "twice.json"
    path.write_text(json.dumps(cluster), encoding="utf-8")
    for command in ("place", "capacity"):
        size = ["--cpu", "1", "--ram", "1", "--disk", "1"]
        with pytest.raises(SystemExit) as ended:
            main([command, "--cluster", str(path), *size])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert place in said
        assert said.count("\n") == 1


def test_a_name_that_is_twice_in_an_object_exits_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """I12: the usual reader would drop the first list of hosts in silence."""
    path = tmp_path / "twice.json"
    path.write_text('{"hosts": [{"cpus": 1, "memory": 1}], "hosts": []}', encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["place", "--cluster", str(path), "--cpu", "1", "--ram", "1", "--disk", "1"])
    assert ended.value.code == 2
    assert "'hosts' is twice" in capsys.readouterr().err


def test_a_vm_that_relocates_stands_on_two_hosts() -> None:
    """As an export of the live cluster tells of it."""
    there = {**_VM, "host": "esx2"}
    stores = {"datastores": [_STORE], "residents": [{**_VM, "name": "a"}, {**there, "name": "a"}]}
    assert len(from_mapping({"hosts": [_HOST, _OTHER], **stores}).residents) == 2


@pytest.mark.parametrize("text", ["", "[]", '{"hosts": [{"cpus": 1}]}', "[" * 100_000])
def test_a_bad_file_exits_2_and_names_the_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    """Whatever is in it."""
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["place", "--cluster", str(path), "--cpu", "1", "--ram", "1", "--disk", "1"])
    assert ended.value.code == 2
    assert str(path) in capsys.readouterr().err

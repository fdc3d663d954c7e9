"""S1, S3: the KVM driver gives libvirt no address that it has not read (real libvirt, no host)."""

import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from drivers.addresses import AddressError
from drivers.capabilities import HypervisorType
from drivers.contract import HostLink
from drivers.faults import Fault, Unreachable
from drivers.registry import open_driver

libvirt = pytest.importorskip("libvirt")


@pytest.mark.parametrize(
    "address",
    [
        "qemu+ext:///system?command={program}",
        "qemu+ssh://192.0.2.1/system?command={program}",
        "qemu+ssh://192.0.2.1/system?netcat={program}&command={program}",
        "QEMU+EXT:///system?command={program}",
        "test+ext:///default?command={program}",
    ],
)
async def test_no_program_that_an_address_names_is_run(tmp_path: Path, address: str) -> None:
    """The driver by itself, however the address came to it: libvirt would run each of these."""
    trace, program = tmp_path / "ran", tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    driver = open_driver("kvm", "kvm", HypervisorType.KVM, {"transports": "tls ssh tcp"})
    link = HostLink("h", address.format(program=program))
    refused = None
    try:
        driver.attach(link)
    except AddressError as wrong:
        refused = wrong
    with suppress(Fault):
        await driver.survey("h")
    await driver.aclose()
    assert not trace.exists()
    assert refused is not None
    assert driver.endpoints() == {}


async def test_a_host_keeps_its_address_when_another_is_refused() -> None:
    driver = open_driver("kvm", "kvm", HypervisorType.KVM, {})
    driver.attach(HostLink("h", "qemu+tls://kvm-01.example.net/system"))
    with pytest.raises(AddressError):
        driver.attach(HostLink("h", "test:///etc/passwd"))
    assert set(driver.endpoints()) == {"h"}
    await driver.aclose()


@pytest.mark.parametrize("answer", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1"])
async def test_a_name_that_leads_here_is_refused_at_each_connection(
    monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """One of several answers is enough; libvirt is not asked."""
    opened: list[str] = []

    def resolved(host: str, *_: Any, **__: Any) -> list[Any]:
        assert host == "kvm-01.example.net"
        return [(0, 0, 0, "", (each, 0)) for each in ("192.0.2.7", answer)]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(libvirt, "open", opened.append)
    driver = open_driver("kvm", "kvm", HypervisorType.KVM, {})
    driver.attach(HostLink("h", "qemu+tls://kvm-01.example.net/system"))
    with pytest.raises(Unreachable, match="local_addresses"):
        await driver.survey("h")
    await driver.aclose()
    assert opened == []

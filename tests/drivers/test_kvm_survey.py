"""One thing that cannot be read is told of as that, and the rest is as it was seen (faults T1, T9).

libvirt's own test driver gives the connection; what it cannot do is put in its way.
"""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

pytest.importorskip("libvirt")

import libvirt

from drivers.contract import HostLink
from drivers.facts import PowerState
from drivers.kvm import survey
from drivers.kvm.options import KvmOptions

LINK = HostLink("host", "test:///default", {}, ("default-pool",))
_MORE = """<domain type='test'><name>other</name><uuid>{}</uuid><memory>8192</memory>
<os><type>hvm</type></os></domain>"""
OTHER = UUID("00000000-0000-0000-0000-0000000000aa")


class Instead:
    """A libvirt object of which some calls do otherwise."""

    def __init__(self, real: Any, **calls: Callable[..., Any]) -> None:
        self._real, self._calls = real, calls

    def __getattr__(self, name: str) -> Any:
        return self._calls.get(name) or getattr(self._real, name)


@pytest.fixture
def host() -> Iterator[Any]:
    """A host of its own with two domains and a pool."""
    connection = libvirt.open("test:///default")
    domain = connection.defineXML(_MORE.format(OTHER))
    yield connection
    domain.undefine()
    connection.close()


def denied(*_: Any) -> Any:
    error = libvirt.libvirtError("denied")
    error.err = (libvirt.VIR_ERR_ACCESS_DENIED, 10, "access denied", 2, "", None, None, -1, -1)
    raise error


def lost(*_: Any) -> Any:
    error = libvirt.libvirtError("lost")
    error.err = (libvirt.VIR_ERR_RPC, libvirt.VIR_FROM_RPC, "closed", 2, "", None, None, -1, -1)
    raise error


def hiding(host: Any, call: Callable[..., Any]) -> Any:
    """The host, where the definition of the other VM cannot be read."""

    def listed(*_: Any) -> list[Any]:
        return [
            Instead(each, XMLDesc=call) if each.UUIDString() == str(OTHER) else each
            for each in host.listAllDomains()
        ]

    return Instead(host, listAllDomains=listed)


def test_a_vm_that_cannot_be_read_is_unknown_and_the_rest_as_it_is(host: Any) -> None:
    before = {vm.vm: vm for vm in survey.survey(host, LINK, KvmOptions()).vms}
    after = {vm.vm: vm for vm in survey.survey(hiding(host, denied), LINK, KvmOptions()).vms}
    hidden = after.pop(OTHER)
    assert (hidden.state, hidden.name) == (PowerState.UNKNOWN, "other")
    assert hidden.reason == "it cannot be read: access denied"
    assert before.pop(OTHER).state is PowerState.OFF
    assert after == before != {}


def test_a_connection_that_is_lost_shows_nothing(host: Any) -> None:
    """Not a VM that is UNKNOWN, nor one that is gone."""
    with pytest.raises(libvirt.libvirtError):
        survey.survey(hiding(host, lost), LINK, KvmOptions())


def test_a_pool_that_cannot_be_read_is_not_usable_and_the_rest_as_it_is(host: Any) -> None:
    blind = Instead(host, storagePoolLookupByName=denied)
    facts = survey.survey(blind, LINK, KvmOptions())
    (store,) = facts.hosts[0].datastores
    assert (store.usable, store.reason) == (False, "it cannot be read: access denied")
    assert {vm.vm for vm in facts.vms} >= {OTHER}


def test_pools_of_one_folder_are_refused_by_name(host: Any) -> None:
    """Which of both a disk is on could not be told."""
    double = Instead(
        host, storagePoolLookupByName=lambda _: host.storagePoolLookupByName("default-pool")
    )
    link = HostLink("host", "test:///default", {}, ("one", "two"))
    stores = survey.survey(double, link, KvmOptions()).hosts[0].datastores
    assert [store.usable for store in stores] == [False, False]
    for store in stores:
        assert store.reason.startswith("the storage pools one and two have the same folder /")


def test_a_pool_that_the_host_does_not_have_is_not_listed(host: Any) -> None:
    link = HostLink("host", "test:///default", {}, ("no-such",))
    assert survey.survey(host, link, KvmOptions()).hosts[0].datastores == ()

"""Orders for a VM on the first KVM host, and what it means that one is refused by name."""

import xml.etree.ElementTree as ET

import pytest

from drivers.contract import Order, Reconfigure, Relocate, Remove, VmSpec
from drivers.faults import Rejected
from tests.drivers.kvm_rig import KvmRig
from tests.drivers.rigs import permitted


def resize(spec: VmSpec, host: str) -> Reconfigure:
    return Reconfigure(VmSpec(spec.vm, spec.name, 2, 32, spec.disk, spec.nics), host)


def removal(kvm: KvmRig, spec: VmSpec) -> Remove:
    return Remove(spec.vm, kvm.at(kvm.first), spec.disk.volume)


async def kept(kvm: KvmRig, spec: VmSpec, host: str = "") -> str:
    """The definition, but for the white space that libvirt gives metadata of its own accord."""
    return ET.canonicalize(await kvm.definition(spec, host), strip_text=True)


async def off_on_shared(kvm: KvmRig) -> tuple[VmSpec, Relocate]:
    spec = await kvm.deployed()
    return spec, kvm.relocation(spec)[1]


async def do(kvm: KvmRig, order: Order) -> None:
    match order:
        case Relocate():
            await kvm.driver.relocate(permitted(), order)
        case Reconfigure():
            await kvm.driver.reconfigure(permitted(), order)
        case Remove():
            await kvm.driver.remove(permitted(), order)
        case _:
            raise AssertionError(order)


async def refused(kvm: KvmRig, order: Order, named: str) -> None:
    """The order is refused by name, foreseen, and leaves both hosts as they were."""
    spec = order.spec if isinstance(order, Relocate | Reconfigure) else None
    name = f"vm-{spec.vm if spec else order.vm}"  # type: ignore[union-attr]
    before = await kvm.virsh(kvm.first, "dumpxml", name, "--inactive", "--security-info")
    told = await kvm.driver.objections(order)
    assert any(named in each for each in told), told
    with pytest.raises(Rejected, match=named.replace("(", r"\(")):
        await do(kvm, order)
    after = await kvm.virsh(kvm.first, "dumpxml", name, "--inactive", "--security-info")
    assert after == before != ""
    assert await kvm.everything(kvm.second) == set()
    assert await kvm.volumes(kvm.at(kvm.second, shared=False)) == set()

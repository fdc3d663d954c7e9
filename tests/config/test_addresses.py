"""S1, S3, S13: a configuration names addresses that its drivers may use, each of one host."""

import pytest

from tests.config.reading import NAME, read, refusal

HEAD = """
[hypervisor.one]
kind = "{kind}"
type = "{type}"
{options}
[hypervisor.two]
kind = "{kind}"
type = "{type}"
{options}
[[datacenters]]
name = "dc"
[[datacenters.racks]]
name = "r"
"""
HOST = """[[datacenters.racks.hosts]]
name = "{name}"
hypervisor = "{block}"
address = "{address}"
"""
TYPES = {"kvm": "KVM", "esxi": "VMX_04", "azure": "azurecompute-arm", "simulated": "KVM"}
OPTIONS = {
    "esxi": 'options = { server = "vc.example.net" }',
    "azure": 'options = { subscription = "s" }',
}


def config(kind: str, *hosts: tuple[str, str, str], options: str = "") -> str:
    """Hosts as (name, block, address)."""
    head = HEAD.format(kind=kind, type=TYPES[kind], options=options or OPTIONS.get(kind, ""))
    rows = [HOST.format(name=name, block=block, address=at) for name, block, at in hosts]
    return head + "".join(rows)


@pytest.mark.parametrize(
    ("kind", "address", "said"),
    [
        ("kvm", "qemu+ext:///system?command=/tmp/x.sh", "query"),
        ("kvm", "qemu+tls://127.0.0.1/system", "local_addresses"),
        ("kvm", "kvm-01.example.net", "qemu+tls://HOST/system"),
        ("kvm", "qemu+tcp://kvm-01/system", "transport"),
        ("esxi", "https://esxi-01/", "vCenter"),
        ("azure", "westeurope/one", "REGION"),
        ("simulated", "sim://x?cpus=abc", "cpus"),
    ],
)
def test_an_address_that_may_not_be_used_is_refused_by_its_line(kind, address, said):
    text = config(kind, ("h", "one", address))
    found = refusal(text)
    line = text.count("\n", 0, text.index("address = ")) + 1
    where = f"{NAME}:{line}: datacenters[0].racks[0].hosts[0].address: "
    assert found.startswith(where)
    assert said in found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('options = { transports = "tls ext" }', "transports"),
        ('options = { local_addresses = "yes" }', "local_addresses"),
    ],
)
def test_a_wrong_option_of_addresses_is_refused(options, said):
    assert said in refusal(config("kvm", options=options))


def test_a_kind_that_there_is_not_is_refused():
    assert "none of simulated, kvm, esxi, azure" in refusal(config("kvm").replace('"kvm"', '"xen"'))


def test_the_options_allow_what_a_laboratory_needs():
    """The named keys of the block."""
    options = 'options = { transports = "tcp", local_addresses = true }'
    hosts = [(f"h{n}", "one", f"qemu+tcp://127.0.77.{n}/system") for n in (1, 2)]
    assert read(config("kvm", *hosts, options=options))


@pytest.mark.parametrize("block", ["one", "two"])
@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("kvm", "qemu+tls://kvm-01.example.net/system", "qemu+tls://KVM-01.example.net./system"),
        ("kvm", "qemu+tls://kvm-01/system", "qemu+tls://kvm-01:16514/system"),
        ("kvm", "qemu+tls://kvm-01/system", "qemu://kvm-01/system"),
        ("kvm", "qemu+tls://10.1.2.3/system", "qemu+tls://[::ffff:10.1.2.3]/system"),
        ("kvm", "qemu+tls://[2001:db8::1]/system", "qemu+tls://[2001:DB8:0:0::1]:16514/system"),
        ("esxi", "esxi-01.example.net", "ESXI-01.example.net."),
        ("azure", "westeurope/1", "West Europe/1"),
        ("simulated", "sim://host-1?cpus=16", "sim://HOST-1?cpus=32&ram_mib=1024"),
        ("simulated", "sim://host-1?cpus=16", "host-1"),
    ],
)
def test_an_address_belongs_to_one_host_of_one_block(kind, first, second, block):
    """S13: however it is spelled; both are named."""
    found = refusal(config(kind, ("a", "one", first), ("b", block, second)))
    assert f"b of hypervisor.{block} has the address of a of hypervisor.one" in found
    assert "hosts[1].address" in found


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("kvm", "qemu+tls://kvm-01/system", "qemu+tls://kvm-01:16515/system"),
        ("kvm", "qemu+tls://kvm-01/system", "qemu+tls://kvm-02/system"),
        ("azure", "westeurope", "westeurope/1"),
        ("simulated", "sim://host-1", "sim://host-2"),
    ],
)
def test_different_places_are_different(kind, first, second):
    assert read(config(kind, ("a", "one", first), ("b", "two", second)))

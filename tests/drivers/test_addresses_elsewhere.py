"""S1, S3: addresses of ESXi hosts, of places in Azure and of simulated hosts."""

import pytest

from drivers.addresses import AddressError
from drivers.registry import address_reader


@pytest.mark.parametrize(
    "address",
    [
        "https://esxi-01/", "user@esxi-01", "user:secret@esxi-01", "esxi-01/../x", "esxi-01/sdk",
        "esxi-01:443", "esxi 01", "esxi-01\r\nHost: x", "esxi-01?x", "esxi-01#", "", "-esxi",
        "../esxi", "%2e%2e", "a" * 300, "\u0435sxi-01", "[::1%eth0]",
    ],
)  # fmt: skip
def test_an_esxi_address_is_a_host_name_alone(address):
    with pytest.raises(AddressError) as refused:
        address_reader("esxi", {"server": "vc.example.net"})(address)
    assert "secret" not in str(refused.value)


def test_an_esxi_host_is_one_place_in_its_vcenter():
    names = ("esxi-01.Example.net", "ESXI-01.example.net.", "esxi-01.example.net")
    servers = ("vc.example.net", "VC.example.net:443", "vc.example.net.")
    found = {
        address_reader("esxi", {"server": server})(name).endpoint
        for server in servers
        for name in names
    }
    assert found == {"esxi:vc.example.net/esxi-01.example.net"}
    assert address_reader("esxi", {})(names[0]).text == names[0]


@pytest.mark.parametrize(
    "server",
    ["https://vc", "vc/sdk", "user@vc", "vc:0", "vc:70000", "vc:", "vc x", "[::1", "0x7f000001"],
)
def test_a_vcenter_is_a_host_and_a_port(server):
    with pytest.raises(ValueError):  # noqa: PT011
        address_reader("esxi", {"server": server})("esxi-01")


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("westeurope", "azure:s/westeurope"),
        ("West Europe/2", "azure:s/westeurope/2"),
        ("WESTEUROPE/1", "azure:s/westeurope/1"),
    ],
)
def test_a_place_of_azure_is_one_of_its_subscription(address, endpoint):
    assert address_reader("azure", {"subscription": "S"})(address).endpoint == endpoint


@pytest.mark.parametrize(
    "address",
    [
        "westeurope/", "/1", "westeurope/1/2", "westeurope/../x", "westeurope/x", "westeurope?x=1",
        "westeurope/0", "westeurope/100", "https://management.azure.com", "west%20europe", "", " ",
        "westeurope\n", "w" * 65, "w\u00e9st", "../subscriptions/other", "1west",
        "westeurope/1&x=2",
    ],
)  # fmt: skip
def test_no_other_path_of_azure_can_be_named(address):
    with pytest.raises(AddressError):
        address_reader("azure", {"subscription": "s"})(address)


@pytest.mark.parametrize(
    "address",
    [
        "sim://x?cpus=abc", "sim://x?cpus=", "sim://x?cpus=0", "sim://x?cpus=-1", "sim://x?cpus=1e9",
        "sim://x?cpus=65537", "sim://x?ram_mib=1073741825", "sim://x?ram_mib=99999999999999999999",
        "sim://x?cpus=1&cpus=2", "sim://x?cores=1", "sim://x?cpus=1&", "sim://x?cpus=1;ram_mib=2",
        "sim://x?cpus=\u0661", "sim://x?CPUS=1", "sim://", "sim://?cpus=1", "sim:///x", "sim://a@b",
        "sim://x/y", "sim://x#y", "sim://x:1", "http://x", "sim://x?cpus=1#", "sim:x", "a b", "",
        "sim://x?cpus=4%30", "sim://x?cpus=4\n",
    ],
)  # fmt: skip
def test_a_simulated_address_has_sizes_within_their_ranges(address):
    """S3: each of these raised in the driver, after it was kept."""
    with pytest.raises(AddressError):
        address_reader("simulated", {})(address)

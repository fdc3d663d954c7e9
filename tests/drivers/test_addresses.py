"""S1: what may reach a hypervisor library as an address, by kind; everything else is refused."""

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.addresses import ADDRESS_MAX, AddressError, Reader, require_remote
from drivers.registry import address_reader

KVM: dict[str, Any] = {}
ALL = {"transports": "tls ssh tcp", "local_addresses": True}


def kvm(**options: Any) -> Reader:
    return address_reader("kvm", options)


def uri(host: str) -> str:
    return f"qemu+tls://{host}/system"


@pytest.mark.parametrize(
    ("address", "text", "endpoint"),
    [
        ("qemu+tls://kvm-01.example.net/system", None, "kvm:kvm-01.example.net"),
        (
            "qemu+tls://KVM-01.Example.NET./system",
            uri("kvm-01.example.net"),
            "kvm:kvm-01.example.net",
        ),
        (
            "QEMU+TLS://kvm-01.example.net:16514/system",
            uri("kvm-01.example.net:16514"),
            "kvm:kvm-01.example.net",
        ),
        ("qemu://kvm-01.example.net/system", uri("kvm-01.example.net"), "kvm:kvm-01.example.net"),
        ("qemu+tls://kvm_01:16515/system", None, "kvm:kvm_01:16515"),
        ("qemu+tls://xn--bcher-kva.example/system", None, "kvm:xn--bcher-kva.example"),
        ("qemu+tls://10.1.2.3/system", None, "kvm:10.1.2.3"),
        ("qemu+tls://[2001:DB8:0::7]:16514/system", uri("[2001:db8::7]:16514"), "kvm:2001:db8::7"),
        ("qemu+tls://[::ffff:10.1.2.3]/system", uri("10.1.2.3"), "kvm:10.1.2.3"),
    ],
)
def test_a_kvm_address_is_put_together_anew(address, text, endpoint):
    found = kvm()(address)
    assert (found.text, found.endpoint) == (text or address, endpoint)


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("qemu+ssh://root@kvm-01/system", "kvm:kvm-01"),
        ("qemu+ssh://kvm-01:22/system", "kvm:kvm-01"),
        ("qemu+tcp://127.0.77.1/system", "kvm:127.0.77.1"),
        ("qemu+tcp://localhost/system", "kvm:localhost"),
        ("qemu+tcp://127.0.0.1:16509/system", "kvm:localhost"),
        ("qemu+tls://[::1]/system", "kvm:localhost"),
        ("qemu:///system", "kvm:localhost"),
        ("qemu+unix:///system", "kvm:localhost"),
    ],
)
def test_other_transports_and_this_machine_are_allowed_by_options_only(address, endpoint):
    assert address_reader("kvm", ALL)(address).endpoint == endpoint
    with pytest.raises(AddressError):
        kvm()(address)


HOSTILE = [
    "qemu+ext:///system?command=/tmp/x.sh",
    "qemu+ext://kvm-01/system",
    "qemu+ssh://h/system?command=/tmp/x.sh",
    "qemu+tls://h/system?command=/tmp/x.sh",
    "qemu+ssh://h/system?netcat=/tmp/x.sh",
    "qemu+ssh://h/system?proxy=netcat",
    "qemu+ssh://h/system?keyfile=/etc/shadow",
    "qemu+ssh://h/system?sshauth=agent&no_tty=1",
    "qemu+tls://h/system?no_verify=1",
    "qemu+tls://h/system?pkipath=/tmp",
    "qemu+tls://h/system?",
    "qemu+tls://h/system#x",
    "qemu+tls://h/system;command=x",
    "qemu+tls://h/system%3Fcommand=x",
    "qemu+tls://h/system/../session",
    "qemu+tls://h/session",
    "qemu+tls://h/",
    "qemu+tls://h",
    "qemu+tls:///system",
    "qemu+libssh2://h/system",
    "qemu+libssh://h/system?known_hosts=/dev/null",
    "qemu+unix:///system?socket=/tmp/s",
    "qemu+unix://h/system",
    "qemu:///session",
    "qemu:///system?mode=direct&socket=/tmp/s",
    "qemu:///embed?root=/tmp",
    "test:///etc/passwd",
    "test:///default",
    "test+tls://h/default",
    "xen://h/", "lxc:///", "esx://h/?no_verify=1", "vbox:///session", "openvz:///system",
    "http://h/system", "file:///etc/passwd",
    "remote+exec:///bin/sh", "qemu+tls+ext://h/system",
    "kvm-01.example.net", "10.0.0.9", "x", "", " ",
    "qemu+tls://user@h/system",
    "qemu+tls://user:secret@h/system",
    "qemu+ssh://user:secret@h/system",
    "qemu+ssh://-oProxyCommand=x@h/system",
    "qemu+ssh://-oProxyCommand=x/system",
    "qemu+ssh://h%20-oProxyCommand=x/system",
    "qemu+ssh://$(id)/system", "qemu+ssh://`id`/system", "qemu+ssh://h;id/system",
    "qemu+tls://h h/system", "qemu+tls://h\n/system", "qemu+tls://h\x00/system",
    "qemu+tls://h\\system", "qemu+tls://h\t/system", "\u2028qemu+tls://h/system",
    "qemu+tls://h/system\n", "qemu+tls://b\u00fccher/system", "qemu+tls://\u2460.example/system",
    "qemu+tls://h:0/system", "qemu+tls://h:65536/system", "qemu+tls://h:-1/system",
    "qemu+tls://h:/system", "qemu+tls://h:016514/system", "qemu+tls://h:1x/system",
    "qemu+tls://h:99999999999999999999/system", "qemu+tls://h:\u0661/system",
    "qemu+tls://a..b/system", "qemu+tls://-h/system", "qemu+tls://h-/system", "qemu+tls://./system",
    f"qemu+tls://{'a' * 64}/system", f"qemu+tls://{'a.' * 127}b/system",
    f"qemu+tls://{'a' * ADDRESS_MAX}/system",
    "qemu+tls://[fe80::1%25eth0]/system", "qemu+tls://[fe80::1%eth0]/system",
    "qemu+tls://[::1/system", "qemu+tls://[1.2.3.4]/system", "qemu+tls://[v1.x]/system",
    "qemu+tls://2001:db8::7/system",
]  # fmt: skip


@pytest.mark.parametrize("address", HOSTILE)
@pytest.mark.parametrize("options", [KVM, ALL], ids=["by default", "with every option"])
def test_nothing_else_of_a_libvirt_uri_passes(address, options):
    with pytest.raises(AddressError) as refused:
        address_reader("kvm", options)(address)
    assert "secret" not in str(refused.value)
    assert "/tmp" not in str(refused.value)


LOCAL = [
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "ip6-localhost",
    "127.0.0.1", "127.0.77.1", "127.255.255.254", "0.0.0.0", "0.0.0.1", "169.254.169.254",
    "169.254.1.1", "224.0.0.1", "239.1.2.3", "255.255.255.255",
    "[::1]", "[::]", "[fe80::1]", "[febf::1]", "[fec0::1]", "[ff02::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:a9fe:a9fe]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[::ffff:0.0.0.0]",
]  # fmt: skip
ODD = [
    "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001",
    "0x7f.1", "127.0.0.0x1", "127.000.000.001", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4.",
    "10.0.0.010", "0x", "4294967297", "1", "a.1", "h.0x7f",
]  # fmt: skip


@pytest.mark.parametrize("host", LOCAL)
def test_local_addresses_need_the_option(host):
    with pytest.raises(AddressError, match="local_addresses"):
        kvm()(uri(host))
    for kind, address in (
        ("simulated", f"sim://{host}"),
        ("esxi", host),
        ("esxi", host.strip("[]")),
    ):
        with pytest.raises(AddressError, match="local_addresses"):
            address_reader(kind, {})(address)
    assert kvm(local_addresses=True)(uri(host)).host


@pytest.mark.parametrize("host", [each for each in ODD if each != "1.2.3.4."])
def test_an_ipv4_address_is_written_in_one_way_only(host):
    """Resolvers take all of these, each as another address than people read."""
    for options in ({}, {"local_addresses": True}):
        with pytest.raises(AddressError, match="four decimal numbers"):
            kvm(**options)(uri(host))


def test_a_trailing_dot_does_not_hide_an_ip_address():
    assert kvm()(uri("10.2.3.4.")).endpoint == "kvm:10.2.3.4"
    with pytest.raises(AddressError, match="loopback"):
        kvm()(uri("127.0.0.1."))


def test_an_address_of_this_machine_needs_the_option(monkeypatch):
    """By the kernel's own routes, and by the machine's own name."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Gate.Example.net")
    with pytest.raises(AddressError, match="one of this machine"):
        kvm()(uri("gate.example.net"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("192.0.2.1", 9))
        own = asking.getsockname()[0]
    with pytest.raises(AddressError, match="one of this machine"):
        kvm()(uri(own))


def test_what_a_name_resolves_to_is_looked_at_whole():
    require_remote(["192.0.2.7", "2001:db8::7"])
    for bad in ("127.0.0.1", "fe80::1%eth0", "::ffff:127.0.0.1", "169.254.169.254"):
        with pytest.raises(AddressError):
            require_remote(["192.0.2.7", bad])


@given(st.text() | st.text(alphabet="qemu+tlshx:/?[]@.0123456789%#&=-"))
def test_any_text_is_read_or_refused_by_name(text):
    """No other exception, and what was read reads the same again."""
    for kind in ("kvm", "esxi", "azure", "simulated"):
        reader = address_reader(kind, {"transports": "tls ssh tcp"} if kind == "kvm" else {})
        try:
            found = reader(text)
        except AddressError:
            continue
        assert reader(found.text) == found


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("kvm", {"transports": "ext"}, "transports"),
        ("kvm", {"transports": "unix tls"}, "transports"),
        ("kvm", {"transports": ["tls"]}, "transports"),
        ("kvm", {"local_addresses": "yes"}, "local_addresses"),
        ("simulated", {"local_addresses": 1}, "local_addresses"),
        ("esxi", {"local_addresses": "no"}, "local_addresses"),
        ("xen", {}, "xen"),
    ],
)
def test_a_wrong_option_is_named(kind, options, said):
    with pytest.raises(ValueError, match=said):
        address_reader(kind, options)

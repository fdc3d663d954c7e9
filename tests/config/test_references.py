"""Names in a configuration must exist and must not repeat; what does not fit is refused (I20).

The first text below is fine; each test adds what is wrong, and the refusal names line and key.
"""

import pytest

from tests.config.reading import NAME, read, refusal

FINE = """
enterprises = [{ name = "acme" }, { name = "umbra" }]

[hypervisor.one]
kind = "simulated"
type = "KVM"

[hypervisor.two]
kind = "simulated"
type = "VMX_04"

[[users]]
login = "ada"
enterprise = "acme"
password_env = "ADA"

[[datacenters]]
name = "dc"

[[datacenters.datastores]]
name = "shared"
shared = true

[[datacenters.datastores]]
name = "local"

[[datacenters.templates]]
name = "tiny"
source = "tiny"
types = ["KVM"]
disk_bytes = 1

[[datacenters.racks]]
name = "r1"

[[datacenters.racks.hosts]]
name = "h1"
hypervisor = "one"
address = "sim://h1"
datastores = ["shared", "local"]

[[datacenters.racks]]
name = "r2"

[[datacenters.racks.hosts]]
name = "h1"
hypervisor = "two"
address = "sim://h1-of-two"
datastores = ["shared"]

[[virtualdatacenters]]
name = "vdc"
enterprise = "acme"
datacenter = "dc"
type = "KVM"

[[virtualdatacenters]]
name = "vdc"
enterprise = "umbra"
datacenter = "dc"
type = "KVM"
"""
RACK = '\n[[datacenters.racks]]\nname = "r3"\n'
HOST = RACK + "[[datacenters.racks.hosts]]\n"
RULE = "\n[[datacenters.rules]]\n"
VDC = '\n[[virtualdatacenters]]\nname = "new"\ntype = "KVM"\n'
USER = '\n[[users]]\nlogin = "bob"\n'
ACME_VDC = VDC + 'enterprise = "acme"\ndatacenter = "dc"\n'


def added(text: str) -> tuple[str, int]:
    """The refusal of FINE with `text` put behind it, and the number of its last line."""
    whole = FINE + text.rstrip("\n")
    return refusal(whole), whole.count("\n") + 1


def test_one_name_may_be_used_where_it_means_different_things():
    """Hosts of two blocks, and virtual datacenters of two enterprises, may share a name."""
    config = read(FINE)
    assert [one.name for one in config.virtualdatacenters] == ["vdc", "vdc"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            USER + 'password_env = "B"\nenterprise = "acne"',
            "users[1].enterprise: there is no acne (there are: acme, umbra)",
        ),
        (
            VDC + 'datacenter = "dc"\nenterprise = "none"',
            "virtualdatacenters[2].enterprise: there is no none (there are: acme, umbra)",
        ),
        (
            VDC + 'enterprise = "acme"\ndatacenter = "cd"',
            "virtualdatacenters[2].datacenter: there is no cd (there are: dc)",
        ),
        (
            HOST + 'name = "h"\naddress = "a"\nhypervisor = "three"',
            "datacenters[0].racks[2].hosts[0].hypervisor: there is no three (there are: one, two)",
        ),
        (
            HOST + 'name = "h"\naddress = "a"\nhypervisor = "one"\ndatastores = ["sahred"]',
            "datacenters[0].racks[2].hosts[0].datastores: there is no sahred "
            "(there are: local, shared)",
        ),
        (
            '\n[[datacenters.templates]]\nname = "t"\nsource = "s"\ntypes = ["KVM"]\n'
            'disk_bytes = 1\nenterprise = "acne"',
            "datacenters[0].templates[1].enterprise: there is no acne (there are: acme, umbra)",
        ),
        (
            RULE + 'kind = "machine_load"\nrack = "r9"',
            "datacenters[0].rules[0].rack: there is no r9 (there are: r1, r2)",
        ),
        (
            RULE + 'kind = "machine_load"\nhost = "h9"',
            "datacenters[0].rules[0].host: there is no h9 (there are: h1)",
        ),
        (
            RULE + 'kind = "datastore_load"\ndatastore = "d9"',
            "datacenters[0].rules[0].datastore: there is no d9 (there are: local, shared)",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_those_there_are(text, said):
    found, last = added(text)
    assert found == f"{NAME}:{last}: {said}"


def test_where_there_is_nothing_to_name_that_is_said():
    said = refusal('[[users]]\nlogin = "a"\nenterprise = "b"\npassword_env = "C"')
    assert said == f"{NAME}:3: users[0].enterprise: there is no b (there are: none)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\n[[datacenters]]\nname = "dc"', "datacenters[1].name: dc"),
        (RACK.replace("r3", "r2"), "datacenters[0].racks[2].name: r2"),
        (
            '\n[[datacenters.datastores]]\nname = "local"',
            "datacenters[0].datastores[2].name: local",
        ),
        (
            '\n[[datacenters.templates]]\nsource = "s"\ntypes = ["KVM"]\ndisk_bytes = 1\n'
            'name = "tiny"',
            "datacenters[0].templates[1].name: tiny",
        ),
        (
            HOST + 'address = "a"\nhypervisor = "one"\nname = "h1"',
            "datacenters[0].racks[2].hosts[0].name: h1",
        ),
        (
            '\n[[datacenters]]\nname = "other"'
            + HOST
            + 'address = "a"\nhypervisor = "one"\nname = "h1"',
            "datacenters[1].racks[0].hosts[0].name: h1",
        ),
        (
            '\n[[users]]\nenterprise = "acme"\npassword_env = "B"\nlogin = "ada"',
            "users[1].login: ada",
        ),
        (
            '\n[[virtualdatacenters]]\nenterprise = "acme"\ndatacenter = "dc"\ntype = "KVM"\n'
            'name = "vdc"',
            "virtualdatacenters[2].name: vdc",
        ),
    ],
)
def test_a_name_that_is_there_twice_is_refused_where_it_is_repeated(text, said):
    found, last = added(text)
    where, name = said.split(": ")
    assert found == f"{NAME}:{last}: {where}: duplicate name: {name}"


def test_an_enterprise_that_is_there_twice_is_refused():
    said = refusal('[[enterprises]]\nname = "a"\n[[enterprises]]\nname = "a"')
    assert said == f"{NAME}:4: enterprises[1].name: duplicate name: a"


def test_a_datastore_of_one_host_is_not_another_s():
    """One that is not shared would count the same room twice."""
    host = 'name = "h"\naddress = "a"\nhypervisor = "one"\ndatastores = ["local"]'
    found, last = added(HOST + host)
    assert found.startswith(f"{NAME}:{last}: datacenters[0].racks[2].hosts[0].datastores: ")
    assert found.endswith("local is not shared: one host only")


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ('kind = "machine_load"\ndatastore = "local"', "datastore"),
        ('kind = "datastore_load"\nrack = "r1"', "rack"),
        ('kind = "datastore_load"\nhost = "h1"', "host"),
        ('kind = "fit_policy"\nrack = "r1"', "rack"),
        ('kind = "machine_load"\nhost = "h1"\nrack = "r1"', "rack"),
    ],
)
def test_a_rule_about_what_its_kind_does_not_bound_is_refused(rule, key):
    """Also one about two things at once."""
    found, last = added(RULE + rule)
    kind = rule.split('"')[1]
    where = f"{NAME}:{last}: datacenters[0].rules[0].{key}"
    assert found == f"{where}: does not fit a {kind} rule here"


@pytest.mark.parametrize("name", ["tls_certificate", "tls_key"])
def test_half_a_tls_pair_is_refused(name):
    """A service that was meant to speak HTTPS never speaks HTTP instead."""
    said = refusal(f'[server]\n{name} = "x.pem"')
    assert said == (
        f"{NAME}:1: server: tls_certificate and tls_key are given together or not at all"
    )


def test_a_lease_that_ends_before_its_renewal_is_refused():
    said = refusal("[tasks]\nheartbeat_s = 13\nlease_s = 15")
    assert said == f"{NAME}:3: tasks.lease_s: must be longer than heartbeat_s and margin_s together"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("network", "10.0.0.1/16", "10.0.0.1/16 has host bits set"),
        ("network", "10.0.0.0", "a prefix from 8 to 30 bits is needed"),
        ("network", "10.0.0.0/31", "a prefix from 8 to 30 bits is needed"),
        ("network", "8.0.0.0/7", "a prefix from 8 to 30 bits is needed"),
        ("network", "fd00::/64", "Expected 4 octets in 'fd00::'"),
        ("gateway", "192.168.1.1", "it must lie in the network"),
        ("gateway", "first", "Expected 4 octets in 'first'"),
    ],
)
def test_a_network_that_is_none_is_refused(key, value, said):
    found, last = added(ACME_VDC + f'{key} = "{value}"')
    assert found == f"{NAME}:{last}: virtualdatacenters[2].{key}: {said}"


@pytest.mark.parametrize("given", ["", 'password_env = "A"\npassword_file = "b"'])
def test_a_user_has_one_place_for_the_password(given):
    found, _ = added(USER + 'enterprise = "acme"\n' + given)
    assert found.endswith("users[1]: one of password_env and password_file is needed")


@pytest.mark.parametrize("key", ["password", "password_hash", "secret"])
def test_a_password_in_the_file_itself_is_refused_and_not_repeated(key):
    found, last = added(USER + f'enterprise = "acme"\n{key} = "hunter2"')
    assert found.startswith(f"{NAME}:{last}: users[1].{key}: there is no such key")
    assert "hunter2" not in found

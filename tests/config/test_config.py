"""A configuration is read whole or refused with its line, its key and what was meant (I20).

production.toml is the list of all keys; each test that breaks one breaks it there.
"""

import re
from dataclasses import fields

import pytest

from drivers.azure.options import AzureOptions
from drivers.azure.options import parse as parse_azure
from drivers.esxi.options import EsxiOptions
from drivers.esxi.options import parse as parse_esxi
from drivers.kvm.options import KvmOptions
from drivers.kvm.options import parse as parse_kvm
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.options import parse as parse_simulated
from gateway.config import read_config
from tests.config.reading import (
    NAME,
    PRODUCTION,
    ROOT,
    Entry,
    changed,
    entries,
    read,
    refusal,
    tables,
    with_line,
)

FREE = "hypervisor.*.options"  # the driver's own keys, which only the driver knows
OURS = [pytest.param(each, id=str(each)) for each in entries() if each.table != FREE]


def test_production_shows_every_key():
    """No key of the model, and no option of KVM, is missing from production.toml."""
    shown = {(each.table, each.key) for each in entries()}
    known = {(table, key) for table, keys in tables().items() for key in keys}
    assert known - {("hypervisor.*", "options")} <= shown
    assert {key for table, key in shown if table == FREE} == {
        one.name for one in fields(KvmOptions)
    }


def test_production_is_read():
    config = read_config(ROOT / "configs/production.toml", {})
    assert config.hypervisor["kvm"].type == "KVM"
    assert parse_kvm(config.hypervisor["kvm"].options).reserved_mib == 2048
    assert config.server.tls_key is not None
    assert all((one.password_env or one.password_file) for one in config.users)


@pytest.mark.parametrize("entry", [e for e in entries() if "default" in e.comment], ids=str)
def test_a_default_named_in_a_comment_is_the_default(entry: Entry):
    """`the default` is said of default values only, and `default X` names it."""
    kvm = {one.name: one.default for one in fields(KvmOptions)}
    default = (kvm if entry.table == FREE else tables()[entry.table])[entry.key]
    if entry.comment.startswith("the default"):
        assert entry.value == default
    elif entry.comment.startswith("default "):
        told = re.split("[;,:]", entry.comment.removeprefix("default "))[0]
        words = {"none": (None, []), "empty": ("",)}.get(told, ())
        assert default in words or str(default).lower() == told.lower()


@pytest.mark.parametrize("entry", OURS)
def test_a_key_with_a_slip_is_refused_with_its_line_and_what_was_meant(entry: Entry):
    """At every depth, from [server] to the hosts of a rack."""
    slip = f"{entry.key}z"
    said = refusal(with_line(entry.line, f"{slip} = 0"))
    assert said.startswith(f"{NAME}:{entry.line}: ")
    assert f".{slip}: there is no such key; did you mean {entry.key}?" in said
    assert "[...]" not in said


@pytest.mark.parametrize("entry", OURS)
def test_a_value_of_another_type_is_refused_with_its_line_and_key(entry: Entry):
    """A date fits nowhere."""
    said = refusal(with_line(entry.line, f"{entry.key} = 1979-05-27"))
    assert said.startswith(f"{NAME}:{entry.line}: ")
    assert f".{entry.key}: " in said
    assert "[...]" not in said


def test_a_key_that_resembles_none_is_refused_with_all_there_are():
    assert (
        refusal("[log]\nxyzzy = 1") == f"{NAME}:2: log.xyzzy: there is no such key; there are level"
    )


def test_a_section_with_a_slip_is_refused():
    said = refusal("[server]\n\n[observer]\nperiod_s = 1")
    assert said == f"{NAME}:3: observer: there is no such key; did you mean observers?"


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("port = 8009", "port = 65536"),
        ("port = 8009", "port = -1"),
        ("port = 8009", "port = true"),
        ("source = ", 'source = "oracle"'),
        ("connections_max = ", "connections_max = 3"),
        ("connections_max = ", "connections_max = 501"),
        ("settle_for_s = ", "settle_for_s = 0"),
        ("settle_for_s = ", "settle_for_s = 86400.5"),
        ("drain_s = ", "drain_s = nan"),
        ("unknown_after_s = ", "unknown_after_s = inf"),
        ("attempts_max = ", "attempts_max = 101"),
        ("hosts_max = ", "hosts_max = 21"),
        ("failures_max = ", "failures_max = 0"),
        ("cancel_s = ", "cancel_s = 0"),
        ("cancel_s = ", "cancel_s = 60.5"),
        ("workers = ", "workers = 0"),
        ("workers = ", "workers = 1025"),
        ("level = ", 'level = "loud"'),
        ('name = "operations"', 'name = ""'),
        ('login = "admin"', f'login = "{"a" * 256}"'),
        ("types = ", "types = []"),
        ("disk_bytes = ", "disk_bytes = 0"),
        ("ram_mib = ", "ram_mib = 2147483648"),
        ("state = ", 'state = "ON"'),
        ('address = "qemu+tls://kvm-01', 'address = ""'),
        ("cpu_percent = ", "cpu_percent = 10001"),
        ("ram_percent = ", "ram_percent = -1"),
        ("storage_percent = ", "storage_percent = 101"),
        ("fit_policy = ", 'fit_policy = "BEST"'),
        ('kind = "fit_policy"', 'kind = "fit"'),
        ('name = "acme-production"', f'name = "{"a" * 41}"'),
        ("tls_key = ", 'tls_key = ""'),
    ],
)
def test_a_value_out_of_its_limits_is_refused_with_its_line_and_key(line, broken):
    text, number = changed(line, broken)
    said = refusal(text)
    assert said.startswith(f"{NAME}:{number}: ")
    assert f".{broken.split(' = ')[0]}" in said


def test_a_missing_key_is_refused_with_its_table():
    text, number = changed("hypervisor = ", "")
    said = refusal(text)
    assert said == f"{NAME}:{number - 2}: datacenters[0].racks[0].hosts[0]: " + (
        "Object missing required field `hypervisor`"
    )


def test_what_is_no_toml_is_refused_with_its_line():
    said = refusal("[server]\nport = = 1")
    assert said.startswith(f"{NAME}: ")
    assert "line 2" in said


def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path):
    odd = tmp_path / "odd.toml"
    odd.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.toml", odd, tmp_path):
        with pytest.raises(Exception, match=str(path)) as refused:
            read_config(path, {})
        assert type(refused.value).__name__ == "ConfigError"


def test_an_empty_file_is_all_defaults():
    config = read("")
    assert (config.server.port, config.probes.port, config.store.source) == (8009, 8010, "auto")


def test_the_demo_has_both_types_in_two_racks():
    """The virtual datacenters demo-esxi and demo-kvm, and hosts of each type to move between."""
    config = read_config(ROOT / "configs/demo.toml", {})
    types = {one.name: one.type for one in config.virtualdatacenters}
    assert types == {"demo-esxi": "VMX_04", "demo-kvm": "KVM"}
    (datacenter,) = config.datacenters
    assert len(datacenter.racks) == 2
    for rack in datacenter.racks:
        hosts = [config.hypervisor[host.hypervisor].type for host in rack.hosts]
        assert min(hosts.count(each) for each in types.values()) >= 2
    for each in types.values():
        assert any(each in template.types for template in datacenter.templates)


def test_the_demo_speaks_its_driver_s_words():
    config = read_config(ROOT / "configs/demo.toml", {})
    for block in config.hypervisor.values():
        assert block.kind == "simulated"
        assert isinstance(parse_simulated(block.options), SimulatedOptions)


def test_production_ends_with_a_line_end_and_fits_the_screen():
    assert PRODUCTION.endswith("\n")
    assert max(map(len, PRODUCTION.splitlines())) <= 110


def test_the_example_of_esxi_is_read_and_shows_every_option():
    config = read_config(ROOT / "configs/esxi.toml", {})
    options = config.hypervisor["vcenter"].options
    assert list(options) == [one.name for one in fields(EsxiOptions)]
    with pytest.raises(ValueError, match=r"^password_file: "):
        parse_esxi({**options, "ca_file": ""})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"server": ""}, "server is needed"),
        ({"user": ""}, "user is needed"),
        ({"datacenter": ""}, "datacenter is needed"),
        ({"password_env": "A"}, "one of password_env and password_file is needed"),
        ({"password_file": ""}, "one of password_env and password_file is needed"),
        ({"thumbprint": "12:34"}, "thumbprint is a SHA-256: 64 hexadecimal digits"),
        ({"ca_file": "/no/such"}, "ca_file: there is no such file"),
        ({"threads": 0}, "threads must be more than 0"),
        ({"passwort": "x"}, "passwort is none of .*"),
    ],
)
def test_an_option_of_esxi_that_is_wrong_is_named(wrong: dict[str, object], said: str):
    right = {"server": "v", "user": "u", "datacenter": "d", "password_file": __file__}
    assert parse_esxi(right).port == 443
    with pytest.raises(ValueError, match=f"^{said}$"):
        parse_esxi({**right, **wrong})


def test_the_example_of_azure_is_read_and_shows_every_option():
    config = read_config(ROOT / "configs/azure.toml", {})
    options = config.hypervisor["azure"].options
    assert list(options) == [one.name for one in fields(AzureOptions)]
    with pytest.raises(ValueError, match=r"^ssh_key_file: "):
        parse_azure(options)
    defaults = {one.name: getattr(AzureOptions(), one.name) for one in fields(AzureOptions)}
    for name in defaults.keys() - {"subscription", "resource_group", "sizes", "ssh_key_file"}:
        assert options[name] == defaults[name], name


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"subscription": ""}, "subscription is needed"),
        ({"sizes": ""}, "sizes is needed"),
        ({"credential": "hope"}, "credential is none of workload, managed, secret, token_file"),
        ({"credential": "secret"}, "tenant is needed"),
        ({"credential": "token_file"}, "token_file: there is no such file"),
        ({"base_url": "http://x"}, "base_url must begin with https://"),
        ({"ca_file": "/no/such"}, "ca_file: there is no such file"),
        ({"poll_s": 0.0}, "poll_s must be more than 0"),
        ({"admin_password_env": "VMGATE_NO_SUCH"}, "admin_password_env: the variable .* not set"),
        (
            {"ssh_key_file": __file__, "admin_password_file": __file__},
            "only one of ssh_key_file, admin_password_env and admin_password_file",
        ),
    ],
)
def test_an_option_of_azure_that_is_wrong_is_named(wrong: dict[str, object], said: str):
    right = {"subscription": "s", "resource_group": "g", "sizes": "Standard_B1s"}
    assert parse_azure(right).scopes == "https://management.azure.com/.default"
    with pytest.raises(ValueError, match=f"^{said}$"):
        parse_azure({**right, **wrong})

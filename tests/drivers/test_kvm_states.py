"""Each state of libvirt keeps its reason, and something leads out of each (faults T2, L9)."""

import pytest

from drivers.facts import PowerState

pytest.importorskip("libvirt")

import libvirt

from drivers.kvm import states

STATES = (
    "NOSTATE",
    "RUNNING",
    "BLOCKED",
    "PAUSED",
    "SHUTDOWN",
    "SHUTOFF",
    "CRASHED",
    "PMSUSPENDED",
)
PLAIN = {
    *(("RUNNING", each) for each in ("UNKNOWN", "BOOTED", "MIGRATED", "RESTORED", "FROM_SNAPSHOT")),
    *(("RUNNING", each) for each in ("UNPAUSED", "MIGRATION_CANCELED", "SAVE_CANCELED")),
    *(("RUNNING", each) for each in ("WAKEUP", "CRASHED")),
    ("PAUSED", "USER"),
    *(("SHUTOFF", each) for each in ("UNKNOWN", "SHUTDOWN", "DESTROYED", "FROM_SNAPSHOT")),
}
# The flags of virDomainShutdown share the prefix of the reasons of the state SHUTDOWN.
NO_REASONS = {
    f"VIR_DOMAIN_SHUTDOWN_{each}"
    for each in (*("DEFAULT", "ACPI_POWER_BTN", "GUEST_AGENT", "INITCTL", "SIGNAL", "PARAVIRT"),)
} | {"VIR_DOMAIN_PMSUSPENDED_DISK_UNKNOWN"}


def enumerated() -> list[tuple[str, str, int, int]]:
    """Every state and reason of libvirt's own enumerations, as this libvirt has them."""
    return [
        (state, name.removeprefix(f"VIR_DOMAIN_{state}_"), number, getattr(libvirt, name))
        for state in STATES
        for number in (getattr(libvirt, f"VIR_DOMAIN_{state}"),)
        for name in dir(libvirt)
        if name.startswith(f"VIR_DOMAIN_{state}_") and name not in NO_REASONS
    ]


@pytest.mark.parametrize(("state", "reason", "number", "why"), enumerated())
def test_every_reason_of_libvirt_is_kept_and_has_a_way_out(
    state: str, reason: str, number: int, why: int
) -> None:
    found = states.condition(number, why)
    plain = (state, reason) in PLAIN
    assert (found.reason == "") == plain
    assert found.way_out in (("",) if plain else ("ON", "OFF", "RESUME", "wait"))
    assert "libvirt's state" not in found.reason  # none is told by its number


@pytest.mark.parametrize("state", STATES)
def test_a_reason_that_a_newer_libvirt_has_is_told_by_its_number(state: str) -> None:
    number = getattr(libvirt, f"VIR_DOMAIN_{state}")
    found = states.condition(number, 999)
    assert found.reason == f"libvirt's state {number}, reason 999"
    assert found.way_out == "OFF"
    assert found.power is states.condition(number, 0).power


def test_a_state_that_a_newer_libvirt_has_is_unknown() -> None:
    assert states.condition(77, 0).power is PowerState.UNKNOWN


@pytest.mark.parametrize(
    ("state", "reason", "power"),
    [
        ("PAUSED", "IOERROR", PowerState.PAUSED),
        ("PAUSED", "MIGRATION", PowerState.ON),
        ("PMSUSPENDED", "UNKNOWN", PowerState.PAUSED),
        ("SHUTDOWN", "USER", PowerState.ON),
        ("SHUTOFF", "SAVED", PowerState.OFF),
        ("CRASHED", "PANICKED", PowerState.PAUSED),  # its QEMU runs: it is not off
        ("NOSTATE", "UNKNOWN", PowerState.UNKNOWN),
    ],
)
def test_states_are_folded(state: str, reason: str, power: PowerState) -> None:
    found = states.condition(
        getattr(libvirt, f"VIR_DOMAIN_{state}"), getattr(libvirt, f"VIR_DOMAIN_{state}_{reason}")
    )
    assert found.power is power


def test_a_saved_image_is_told_whatever_the_reason_is() -> None:
    """After its daemon began anew libvirt knows no reason any more, but the image is there."""
    for reason in (libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN, libvirt.VIR_DOMAIN_SHUTOFF_SAVED):
        found = states.condition(libvirt.VIR_DOMAIN_SHUTOFF, reason, saved=True)
        assert (found.reason, found.way_out) == ("its memory is saved in a file of the host", "ON")


def test_an_error_names_the_reason_and_the_way_out() -> None:
    found = states.condition(libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR)
    assert found.sentence == "the VM is PAUSED (a disk failed (I/O error)); RESUME ends that"

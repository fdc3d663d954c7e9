"""Faults S6: a privilege that does not exist is an error, with the nearest name."""

import pytest

from gateway.config.privileges import ALL_PRIVILEGES
from tests.config.reading import NAME, read, refusal

USERS = """
[[enterprises]]
name = "acme"
[[users]]
login = "ada"
enterprise = "acme"
password_env = "ADA"
privileges = ["ALL"]
[[users]]
login = "bob"
enterprise = "acme"
password_env = "BOB"
privileges = {privileges}
"""


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("VM_RELOCTE", "VM_RELOCATE"),
        ("vm_relocate", "VM_RELOCATE"),
        ("PHYS_DC_MANGE", "PHYS_DC_MANAGE"),
        ("ENTERPRISE_ADMINISTER", "ENTERPRISE_ADMINISTER_ALL"),
        ("all", "ALL"),
        (" ALL", "ALL"),
    ],
)
def test_a_privilege_with_a_slip_is_refused_by_line_and_the_nearest_name(slip: str, meant: str):
    said = refusal(USERS.format(privileges=f'["VDC_MANAGE", "{slip}"]'))
    assert said == (
        f"{NAME}:13: users[1].privileges[1]: there is no privilege {slip!r}; did you mean {meant}?"
    )


@pytest.mark.parametrize("slip", ["", "ROOT", "*", "ж"])
def test_a_privilege_like_no_other_is_refused_as_well(slip: str):
    assert f"there is no privilege {slip!r}; did you mean " in refusal(
        USERS.format(privileges=f'["{slip}"]')
    )


def test_every_privilege_and_none_are_taken():
    for privileges in (["ALL"], sorted(ALL_PRIVILEGES), []):
        config = read(USERS.format(privileges=str(privileges).replace("'", '"')))
        assert config.users[1].privileges == privileges

"""The privileges that a configuration may name and that routes ask for; ALL is every one."""

from enum import StrEnum


class Privilege(StrEnum):
    """Abiquo's names where they are known."""

    VAPP_PERFORM_ACTIONS = "VAPP_PERFORM_ACTIONS"
    VAPP_CUSTOMISE_SETTINGS = "VAPP_CUSTOMISE_SETTINGS"
    VM_PROTECT_ACTION = "VM_PROTECT_ACTION"
    VM_RELOCATE = "VM_RELOCATE"
    VM_DELETE_UNKNOWN = "VM_DELETE_UNKNOWN"
    VDC_MANAGE = "VDC_MANAGE"
    ENTERPRISE_ADMINISTER_ALL = "ENTERPRISE_ADMINISTER_ALL"
    PHYS_DC_ENUMERATE = "PHYS_DC_ENUMERATE"
    PHYS_DC_MANAGE = "PHYS_DC_MANAGE"
    PHYS_DC_RULES = "PHYS_DC_RULES"


ALL_PRIVILEGES: frozenset[str] = frozenset(each.value for each in Privilege)
EVERYTHING = "ALL"
"""In a user's declared privileges: every one, also those that come later."""

"""The caller of a request, whom every layer below the API may ask what it may do."""

from dataclasses import dataclass

PROTECTED_PRIVILEGE = "VM_PROTECT_ACTION"
HOSTS_PRIVILEGE = "PHYS_DC_ENUMERATE"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as verified by the guard."""

    user_id: int
    enterprise_id: int
    nick: str
    privileges: frozenset[str] = frozenset()

    @property
    def sees_hosts(self) -> bool:
        """Whether the caller may know of hosts, datastores, and whose VMs are on them."""
        return HOSTS_PRIVILEGE in self.privileges

"""Candidates of a relocation: each host of the datacenter fits, or is rejected with its reasons."""

from dataclasses import dataclass

from scheduler.model.placement import HostVerdict
from scheduler.model.reason import ReasonCode
from scheduler.model.values import replace

_OF_TENANTS = (ReasonCode.RESERVED, ReasonCode.EXCLUDED, ReasonCode.REFUSED)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Hosts a VM may be relocated to, gladdest first, and why the others may not. REFUSED by all:
    the VM cannot be moved as it is."""

    fitting: tuple[int, ...]
    rejected: tuple[HostVerdict, ...]
    current: int | None

    def without_tenants(self) -> "Candidates":
        """The same, and no reason names another tenant or has words of a host."""
        rejected = tuple(
            replace(
                each,
                reasons=tuple(
                    replace(one, spare=None) if one.lack in _OF_TENANTS else one
                    for one in each.reasons
                ),
            )
            for each in self.rejected
        )
        return replace(self, rejected=rejected)

"""The fit policies by name; `scheduler.fleet.ranking` says how each one orders hosts."""

from enum import StrEnum


class FitPolicy(StrEnum):
    """How hosts that will do are ordered.

    PROGRESSIVE fills hosts one after the other, PERFORMANCE spreads over all of them. PACKING is
    PROGRESSIVE as an administrator may ask for it: it also minds what the leftover is good for.
    """

    PROGRESSIVE = "PROGRESSIVE"
    PERFORMANCE = "PERFORMANCE"
    PACKING = "PACKING"

    @property
    def fills(self) -> bool:
        """Whether the gladdest host is one that is in use."""
        return self is not FitPolicy.PERFORMANCE

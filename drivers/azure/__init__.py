"""VMs of an Azure subscription; needs the extra `azure` (azure-mgmt-compute, azure-identity)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drivers.azure.options import parse
from drivers.capabilities import HypervisorType

if TYPE_CHECKING:
    from drivers.azure.driver import AzureDriver


def open_driver(name: str, type_: HypervisorType, options: Mapping[str, Any]) -> "AzureDriver":
    """A driver for one subscription; raises ValueError for an option that is wrong."""
    # Not above: addresses are read, too, where the SDK is not installed.
    from drivers.azure.connection.credentials import credential_of
    from drivers.azure.driver import AzureDriver

    if type_ is not HypervisorType.AZURE:
        raise ValueError(f"VMs of Azure are of type {HypervisorType.AZURE}, not {type_}")
    found = parse(options)
    return AzureDriver(name, found, lambda: credential_of(found))

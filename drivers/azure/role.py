"""The custom role that vmgate's identity needs: these rights and no others, on the resource group
where VMs are made and, for listings, sizes and quotas, on the subscription.

`python -m drivers.azure.role SUBSCRIPTION` prints it for `az role definition create`.
"""

import json
import sys

READ = (
    "Microsoft.Authorization/locks/read",
    "Microsoft.Authorization/permissions/read",
    "Microsoft.Compute/locations/operations/read",
    "Microsoft.Compute/locations/usages/read",
    "Microsoft.Compute/skus/read",
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/vmSizes/read",
    "Microsoft.Compute/disks/read",
    "Microsoft.Network/locations/operations/read",
    "Microsoft.Network/networkInterfaces/read",
)
DO = (
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Compute/virtualMachines/start/action",
    "Microsoft.Compute/virtualMachines/powerOff/action",
    "Microsoft.Compute/virtualMachines/deallocate/action",
    "Microsoft.Compute/virtualMachines/restart/action",
    "Microsoft.Compute/virtualMachines/redeploy/action",
    "Microsoft.Compute/disks/write",
    "Microsoft.Compute/disks/delete",
    "Microsoft.Compute/images/read",
    "Microsoft.Compute/galleries/images/versions/read",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Network/networkInterfaces/delete",
    "Microsoft.Network/networkInterfaces/join/action",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
)
ACTIONS = (*READ, *DO)


def role(subscription: str) -> dict[str, object]:
    """The role as Azure reads it, to be assigned in that subscription."""
    return {
        "Name": "vmgate",
        "IsCustom": True,
        "Description": "Makes, runs and removes the VMs of vmgate.",
        "Actions": list(ACTIONS),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [f"/subscriptions/{subscription}"],
    }


if __name__ == "__main__":
    print(json.dumps(role(sys.argv[1] if len(sys.argv) > 1 else "SUBSCRIPTION"), indent=2))

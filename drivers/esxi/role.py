"""The privileges that the vCenter's user needs: these and no others, on the datacenter and all
that is below it."""

POOL = "Resource.AssignVMToPool"
READ = ("System.Anonymous", "System.View", "System.Read")
DO = (
    "Datastore.AllocateSpace",
    "Datastore.Browse",
    "Datastore.FileManagement",
    "Global.CancelTask",
    "Network.Assign",
    POOL,
    "Resource.ColdMigrate",
    "Resource.HotMigrate",
    "VirtualMachine.Config.AddRemoveDevice",
    "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Config.CPUCount",
    "VirtualMachine.Config.DiskExtend",
    "VirtualMachine.Config.EditDevice",
    "VirtualMachine.Config.Memory",
    "VirtualMachine.Config.RemoveDisk",
    "VirtualMachine.Config.Settings",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Interact.Reset",
    "VirtualMachine.Interact.Suspend",
    "VirtualMachine.Inventory.CreateFromExisting",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Provisioning.Clone",
    "VirtualMachine.Provisioning.DeployTemplate",
)
PRIVILEGES = (*READ, *DO)
ELSEWHERE = tuple(each for each in DO if not each.startswith("VirtualMachine."))
"""Those that are asked on datastores, networks, hosts and pools, and not on VMs and folders."""

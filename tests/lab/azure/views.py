"""VMs as Compute shows them: the 201 of a create, a GET, an instance view, a status-only list."""

from tests.lab.azure.cloud import Cloud, Vm, at
from tests.lab.azure.operations import now
from tests.lab.azure.replies import Body

EXTENSIONS = "Microsoft.Compute/virtualMachines/extensions"
_SECRETS = ("adminPassword", "customData")
_IMAGES = {"windows": ("Windows", 127), "linux": ("Linux", 30)}


def complete(vm: Vm) -> None:
    """Adds to a new VM what its maker left out, and takes away what is never shown again."""
    properties = vm.properties
    storage = properties.setdefault("storageProfile", {})
    windows = _is_windows(properties)
    system, size_gb = _IMAGES["windows" if windows else "linux"]
    if "publisher" in storage.get("imageReference", {}):
        storage["imageReference"]["exactVersion"] = "14393.4283.2103051830"
    disk = storage.setdefault("osDisk", {"createOption": "FromImage"})
    disk.setdefault("name", f"{vm.name}_OsDisk_1_{properties['vmId'].replace('-', '')}")
    disk.setdefault("caching", "ReadWrite")
    disk.setdefault("osType", system)
    disk.setdefault("managedDisk", {}).setdefault("storageAccountType", "Standard_LRS")
    disk.setdefault("diskSizeGB", size_gb)
    for each in storage.setdefault("dataDisks", []):
        each.setdefault("caching", "None")
        each.setdefault("managedDisk", {}).setdefault("storageAccountType", "Standard_LRS")
        each.setdefault("toBeDetached", False)
    profile = properties.get("osProfile")
    if profile is None:
        return
    for secret in _SECRETS:
        profile.pop(secret, None)
    kind, mode = ("windows", "AutomaticByOS") if windows else ("linux", "ImageDefault")
    system_body = profile.setdefault(f"{kind}Configuration", {})
    system_body.setdefault("provisionVMAgent", True)
    system_body.setdefault("patchSettings", {"patchMode": mode})
    if not windows:
        system_body.setdefault("disablePasswordAuthentication", False)
    profile.setdefault("secrets", [])
    profile.setdefault("allowExtensionOperations", True)
    profile.setdefault("requireGuestProvisionSignal", True)


def _is_windows(properties: Body) -> bool:
    publisher = at(properties, "storageProfile", "imageReference", "publisher") or ""
    return bool(
        at(properties, "osProfile", "windowsConfiguration") or "windows" in str(publisher).lower()
    )


def full(cloud: Cloud, vm: Vm, *, instance: bool = False, listed: bool = False) -> Body:
    """The VM; `instance` adds its instance view. Lists name its extensions by id only."""
    body = dict(vm.body)
    if instance:
        body["properties"] = {**vm.properties, "instanceView": instance_view(cloud, vm)}
    found = cloud.below(vm, "extensions")
    if found:
        body["resources"] = [{"id": one.id} if listed else one.body for one in found]
    return body


def status_only(vm: Vm) -> Body:
    """How it runs, without what it is; known from the documentation only."""
    body = {name: vm.body[name] for name in ("name", "id", "type", "location")}
    properties = {
        "vmId": vm.properties["vmId"],
        "provisioningState": vm.properties["provisioningState"],
        "instanceView": {"statuses": statuses(vm)},
    }
    return {**body, "properties": properties}


def shout(body: Body, vm: Vm) -> Body:
    """The same as lists over all groups have it: the group is in capitals."""
    quiet, loud = f"/resourceGroups/{vm.group}/", f"/resourceGroups/{vm.group.upper()}/"
    body["id"] = body["id"].replace(quiet, loud)
    if "resources" in body:
        body["resources"] = [{"id": one["id"].replace(quiet, loud)} for one in body["resources"]]
    return body


def statuses(vm: Vm) -> list[Body]:
    """Provisioning and, once it was ever on, power."""
    state = str(vm.properties["provisioningState"])
    found: list[Body] = [
        {
            "code": f"ProvisioningState/{state.lower()}",
            "level": "Error" if state == "Failed" else "Info",
            "displayStatus": f"Provisioning {state.lower()}",
            "time": now(),
        }
    ]
    if vm.power:
        shown = {
            "code": f"PowerState/{vm.power}",
            "level": "Info",
            "displayStatus": f"VM {vm.power}",
        }
        found.append(shown)
    return [*found, *({"code": code, "level": "Info"} for code in vm.codes)]


def _provisioned(shown: str = "Provisioning succeeded", **more: str) -> list[Body]:
    status = {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": shown}
    return [{**status, **more}]


def instance_view(cloud: Cloud, vm: Vm) -> Body:
    """How it runs; the guest's agent speaks only while it does."""
    storage = vm.properties["storageProfile"]
    disks = [storage["osDisk"], *storage["dataDisks"]]
    extensions = cloud.below(vm, "extensions")
    view: Body = {}
    if vm.power == "running" and "osProfile" in vm.properties:
        windows = storage["osDisk"]["osType"] == "Windows"
        view["computerName"] = vm.properties["osProfile"].get("computerName", vm.name)
        view["osName"] = "Windows Server 2016 Datacenter" if windows else "ubuntu"
        view["osVersion"] = "Microsoft Windows NT 10.0.14393.0" if windows else "18.04"
        agent = _provisioned("Ready", message="GuestAgent is running.", time=now())
        view["vmAgent"] = {
            "vmAgentVersion": "2.7.41491.1008",
            "statuses": agent,
            "extensionHandlers": [
                {**_version(one.body), "status": _provisioned("Ready", message="Plugin enabled")[0]}
                for one in extensions
            ],
        }
    view["disks"] = [
        {"name": disk["name"], "statuses": _provisioned(time=now())}
        for disk in disks
        if "name" in disk
    ]
    if extensions:
        view["extensions"] = [
            {
                "name": one.name,
                **_version(one.body),
                "statuses": _provisioned(message="Plugin enabled"),
            }
            for one in extensions
        ]
    view["hyperVGeneration"] = "V1"
    view["statuses"] = statuses(vm)
    return view


def _version(extension: Body) -> Body:
    properties = extension["properties"]
    return {
        "type": f"{properties['publisher']}.{properties['type']}",
        "typeHandlerVersion": f"{properties['typeHandlerVersion']}.0.0",
    }

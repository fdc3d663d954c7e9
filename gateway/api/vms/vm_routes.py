"""Every URL of VMs, tasks and events on one screen: method, path, function, privilege."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.api import events
from gateway.api.access import EVERYWHERE
from gateway.api.representations.vm_actions import ACT, PROTECT, RELOCATE
from gateway.api.vms import (
    nics,
    relocation,
    tasks,
    virtualappliance_actions,
    virtualmachine_actions,
    virtualmachine_state,
    virtualmachines,
)
from gateway.config.privileges import Privilege

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

EDIT = Privilege.VAPP_CUSTOMISE_SETTINGS.value
_V = "/cloud/virtualdatacenters/{vdc}"
_A = f"{_V}/virtualappliances/{{vapp}}"
_M = f"{_A}/virtualmachines/{{vm}}"
_T = f"{_M}/tasks/{{task}}"
_E = "/admin/enterprises/{enterprise}"
_U = f"{_E}/users/{{user}}"
_H = "/admin/datacenters/{dc}/racks/{rack}/machines/{machine}"

# Below /api. None: whoever is logged in, within its own enterprise.
VM_ROUTES: tuple[tuple[str, str, Handler, str | None], ...] = (
    ("GET", "/cloud/virtualmachines", virtualmachines.list_of_caller, None),
    ("GET", "/admin/virtualmachines", virtualmachines.list_of_all, EVERYWHERE),
    ("GET", f"{_V}/action/virtualmachines", virtualmachines.list_of_vdc, None),
    ("GET", f"{_E}/action/virtualmachines", virtualmachines.list_of_enterprise, None),
    ("GET", f"{_U}/action/virtualmachines", virtualmachines.list_of_user, None),
    ("GET", f"{_H}/virtualmachines", virtualmachines.list_of_machine, EVERYWHERE),
    ("GET", f"{_A}/virtualmachines", virtualmachines.list_of_appliance, None),
    ("POST", f"{_A}/virtualmachines", virtualmachines.create, EDIT),
    ("POST", f"{_A}/action/deploy", virtualappliance_actions.deploy, ACT),
    ("POST", f"{_A}/action/undeploy", virtualappliance_actions.undeploy, ACT),
    ("GET", _M, virtualmachines.read, None),
    ("PUT", _M, virtualmachines.edit, EDIT),
    ("DELETE", _M, virtualmachines.delete, EDIT),
    ("GET", f"{_M}/state", virtualmachine_state.read, None),
    ("PUT", f"{_M}/state", virtualmachine_state.change, ACT),
    # One public client sends it so.
    ("POST", f"{_M}/state", virtualmachine_state.change, ACT),
    ("POST", f"{_M}/action/deploy", virtualmachine_actions.deploy, ACT),
    ("POST", f"{_M}/action/undeploy", virtualmachine_actions.undeploy, ACT),
    ("POST", f"{_M}/action/reset", virtualmachine_actions.reset, ACT),
    ("POST", f"{_M}/action/redeploy", virtualmachine_actions.redeploy, ACT),
    ("POST", f"{_M}/action/protect", virtualmachine_actions.protect, PROTECT),
    ("POST", f"{_M}/action/unprotect", virtualmachine_actions.unprotect, PROTECT),
    ("GET", f"{_M}/action/relocatecandidates", relocation.candidates, RELOCATE),
    ("POST", f"{_M}/action/relocate", relocation.relocate, RELOCATE),
    ("GET", f"{_M}/network/nics", nics.list_of_vm, None),
    ("GET", f"{_V}/privatenetworks/{{network}}/ips/{{ip}}", nics.read, None),
    ("GET", f"{_M}/tasks", tasks.list_of_vm, None),
    ("GET", _T, tasks.read, None),
    ("POST", f"{_T}/action/ack", tasks.acknowledge, ACT),
    ("POST", f"{_T}/action/cancel", tasks.cancel, ACT),
    ("POST", f"{_T}/action/continue", tasks.go_on, ACT),
    ("POST", f"{_T}/action/resolve", tasks.resolve, EVERYWHERE),
    ("GET", f"{_E}/action/pendingtasks", tasks.pending, None),
    ("GET", f"{_U}/action/pendingtasks", tasks.pending, None),
    ("GET", f"{_M}/events", events.list_of_vm, None),
    ("GET", "/events", events.list_all, None),
    ("GET", "/events/{event}", events.read, None),
)

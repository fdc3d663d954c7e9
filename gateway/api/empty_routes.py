"""The URLs of what is there and empty, on one screen: method, path, function, needs."""

from gateway.api import empties
from gateway.api.auth.guard import Access
from gateway.api.http.problems import Handler
from gateway.config.privileges import Privilege

Route = tuple[str, str, Handler, str | Access]

_ANY = Access.LOGGED_IN
_SEE = Privilege.PHYS_DC_ENUMERATE.value
_EDIT = Privilege.VAPP_CUSTOMISE_SETTINGS.value
V = "/cloud/virtualdatacenters/{vdc}"
M = f"{V}/virtualappliances/{{vapp}}/virtualmachines/{{vm}}"
E = "/admin/enterprises/{enterprise}"
D = "/admin/datacenters/{dc}"
WRITTEN = [empties.OF_VM[rel] for rel in ("metadata", "tags")]
"""Of a VM: what clients also put, which is taken while there is nothing in it."""

EMPTY_ROUTES: tuple[Route, ...] = (
    *(("GET", f"{M}/{p}", empties.of_vm(m), _ANY) for p, m in empties.OF_VM.values()),
    *(("PUT", f"{M}/{p}", empties.of_vm(m), _EDIT) for p, m in WRITTEN),
    *(("GET", f"{V}/{p}", empties.of_vdc(m), _ANY) for p, m in empties.OF_VDC.values()),
    *(
        ("GET", f"{E}/{p}", empties.of_enterprise(m), _ANY)
        for p, m in empties.OF_ENTERPRISE.values()
    ),
    *(
        ("GET", f"{D}/{p}", empties.of_datacenter(m), _SEE)
        for p, m in empties.OF_DATACENTER.values()
    ),
)

"""A VM's interfaces and their addresses, to read."""

from aiohttp import web

from gateway.api.access import find_vm, readable
from gateway.api.representations.virtualmachines import private_ip
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.store import nics, vms


async def list_of_vm(request: web.Request) -> web.Response:
    """GET the interfaces of a VM."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
        found = (await nics.of_vms(c, [vm.id])).get(vm.id, ())
    return turn.whole("nics", [private_ip(turn.links, vm, nic) for nic in found])


async def read(request: web.Request) -> web.Response:
    """GET one address of a private network, with the interface that has it."""
    turn = RequestContext(request)
    vdc, network, nic_id = turn.ids("vdc", "network", "ip")
    async with turn.store.read() as c:
        nic = await nics.get(c, network, nic_id)
        if nic is None or nic.virtualdatacenter_id != vdc:
            raise ApiError(ErrorKind.ABSENT, "404-NOT-FOUND", "The address does not exist")
        vm = readable(await vms.get(c, nic.vm_id), turn.caller)
    return turn.ok("privateip", private_ip(turn.links, vm, nic))

"""Relocation: the hosts a VM may move to, and the move to one of them or to any."""

from typing import Any

from aiohttp import web

from drivers.facts import AT_POWER_ON
from gateway.api.access import conflict, find_vm, require_free, require_unprotected
from gateway.api.capacity.hold_body import hold_of
from gateway.api.capacity.hold_reading import require_hold
from gateway.api.representations.relocation import machines
from gateway.api.representations.tasks import accepted
from gateway.api.request_bodies import as_object, id_of, invalid, links
from gateway.api.request_context import RequestContext
from gateway.denial import ApiError, ErrorKind
from gateway.lifecycle import Operation, VmState, require
from gateway.placement.advice import refuse_on_record
from gateway.placement.candidates import Candidates
from gateway.placement.decision_log import Subject
from gateway.store.capacity import headroom
from gateway.store.vms import Vm
from gateway.tasks.submission import Order, submit
from scheduler.model.placement import HostVerdict
from scheduler.model.reason import ReasonCode

# Why a host will not do, in the order in which it is told; all else is VM-RELOCATE-2.
_CODES = {
    ReasonCode.SAME_HOST: ("VM-RELOCATE-8", "The virtual machine is on this machine already"),
    ReasonCode.DATACENTER: ("VM-RELOCATE-6", "The machine is in another datacenter"),
    ReasonCode.HYPERVISOR_TYPE: ("VM-RELOCATE-9", "The machine is of another hypervisor type"),
    ReasonCode.SAME_RACK: ("VM-RELOCATE-7", "The machine is in another rack"),
}
_REL = "links[machine]"
_MAY_MOVE_AGAIN = "{} moves virtual machines here automatically: it may move this one again"
_MAY_START_ELSEWHERE = "{}: when it starts, this one may be placed on another machine"


async def candidates(request: web.Request) -> web.Response:
    """GET the hosts that fit, those that do not with the reasons, and where the VM is."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    _require_relocatable(turn, vm)
    found = await turn.services.planner.candidates(vm.id)
    hosts = {*found.fitting, *(verdict.host for verdict in found.rejected)}
    if found.current is not None:
        hosts.add(found.current)
    async with turn.store.read() as c:
        rooms = await headroom.of_hosts(c, sorted(hosts))
    told = found if turn.caller.sees_hosts else found.without_tenants()
    return turn.ok("machines", machines(turn.links, vm, told, rooms))


async def relocate(request: web.Request) -> web.Response:
    """POST a link to the machine, a `hold`, or `?target=any`: 202 with the task that moves it."""
    turn = RequestContext(request)
    anywhere = _anywhere(turn)
    body = await turn.optional_json()
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    require_free(vm)
    require_unprotected(vm, turn.caller)
    _require_relocatable(turn, vm)
    hold = None if body is None else hold_of(body)
    _require_one_target(body, anywhere=anywhere, held=hold is not None)
    host = None if anywhere or hold is not None else _target(body)
    if host is not None:
        await _require_fitting(turn, vm, host)
    async with turn.store.read() as c:
        mover = await headroom.mover(c, vm.id, host)
    payload: dict[str, Any] = {"host_id": host}
    if hold is not None:
        async with turn.store.read() as c:
            await require_hold(c, hold, vm)
        payload["hold"] = str(hold)
    done = await submit(turn.store, Order(Operation.RELOCATE, vm.id, payload), turn.caller)
    turn.services.wake()
    return turn.accepted(accepted(turn.links, [(vm, done)]), _warning(mover, vm))


def _warning(mover: str, vm: Vm) -> str | None:
    """What somebody else may make of the move; who only places VMs at power on leaves one alone
    that runs."""
    if mover.endswith(AT_POWER_ON):
        return None if vm.state is VmState.ON else _MAY_START_ELSEWHERE.format(mover)
    return _MAY_MOVE_AGAIN.format(mover) if mover else None


def _anywhere(turn: RequestContext) -> bool:
    return turn.query_text("target") == "any"


def _require_one_target(body: object, *, anywhere: bool, held: bool) -> None:
    """Refuse a request that says twice where to go: one of them would be passed over."""
    if anywhere and held:
        raise invalid("hold", "the hold says where to go, so it does not go with target=any")
    given = () if body is None else links(as_object(body))
    if (anywhere or held) and any(link.rel == "machine" for link in given):
        raise invalid(_REL, "it goes neither with target=any nor with a hold")


def _require_relocatable(turn: RequestContext, vm: Vm) -> None:
    able = turn.services.capabilities.get(vm.type)
    if able is not None and not able.relocation:
        raise conflict("VM-RELOCATE-3", f"{vm.type} cannot relocate a virtual machine")
    require(Operation.RELOCATE, vm.state)


def _target(body: object) -> int:
    given = () if body is None else links(as_object(body))
    link = next((one for one in given if one.rel == "machine"), None)
    if link is None:
        raise conflict("VM-RELOCATE-1", f"{_REL}: a link to a machine is needed", _REL)
    return id_of(link, "machines")


async def _require_fitting(turn: RequestContext, vm: Vm, host: int) -> None:
    async with turn.store.read() as c:
        if not await headroom.exists(c, host):
            raise ApiError(
                ErrorKind.ABSENT, "MACHINE-0", f"{_REL}: the machine does not exist", field=_REL
            )
    found = await turn.services.planner.candidates(vm.id)
    refused = refusal(found if turn.caller.sees_hosts else found.without_tenants(), host)
    if refused is None:
        return
    subject = Subject("relocate", vm.id, vm.enterprise_id)
    services = turn.services
    record = await refuse_on_record(turn.store, services.planner, subject, host, services.adviser)
    if record is not None:
        refused.decision = str(record)
        raise refused


def refusal(found: Candidates, host: int) -> ApiError | None:
    """Why a VM cannot go to `host`, None when it can."""
    if host == found.current:
        return conflict(*_CODES[ReasonCode.SAME_HOST], _REL)
    if host in found.fitting:
        return None
    verdict = next((each for each in found.rejected if each.host == host), None)
    if verdict is None:
        return conflict(*_CODES[ReasonCode.DATACENTER], _REL)
    lacks = {reason.lack for reason in verdict.reasons}
    for lack, (code, message) in _CODES.items():
        if lack in lacks:
            return conflict(code, message, _REL)
    return conflict("VM-RELOCATE-2", _sentence(verdict), _REL)


def _sentence(verdict: HostVerdict) -> str:
    parts = []
    for reason in verdict.reasons:
        amounts = ""
        if reason.wanted is not None:
            amounts = f" (wanted {reason.wanted}, spare {reason.spare})"
        rule = f" by {reason.rule}" if reason.rule else ""
        parts.append(f"{reason.lack}{amounts}{rule}")
    return f"{verdict.name} will not do: {', '.join(parts)}"

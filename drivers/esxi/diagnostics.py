"""What an administrator should know of a vCenter before VMs are made there; looks only."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from drivers.contract import HostLink
from drivers.esxi import names, places
from drivers.esxi.connection.paging import PropertyPage, all_in, read_each
from drivers.esxi.connection.session import Service
from drivers.esxi.connection.vcenter import Vcenter
from drivers.esxi.options import EsxiOptions
from drivers.esxi.role import ELSEWHERE, POOL, PRIVILEGES
from drivers.esxi.survey import DRS, drs_mover, unread_sentence
from drivers.facts import AT_POWER_ON, Diagnostic
from drivers.faults import Fault

CLOCK_MAX_S = 5.0
_DRS_SAID = {
    "": "DRS moves no VM by itself",
    DRS: "DRS moves VMs by itself",
    DRS + AT_POWER_ON: "DRS moves no VM that runs, and chooses the host of one that is powered on",
}


async def examined(
    vcenter: Vcenter, options: EsxiOptions, links: Sequence[HostLink]
) -> tuple[Diagnostic, ...]:
    """API, clock, privileges, folder, clusters, and what hosts lack."""
    try:
        return await vcenter.look(lambda service: _examine(service, vcenter.name, options, links))
    except Fault as silent:
        return (Diagnostic(False, vcenter.name, silent.message),)


def _examine(
    service: Service, name: str, options: EsxiOptions, links: Sequence[HostLink]
) -> tuple[Diagnostic, ...]:
    about = service.content.about
    spoken = str(service.stub.versionId).strip('"').rpartition("/")[2]
    found = [Diagnostic(True, name, f"{about.fullName}, API {about.apiVersion}, spoken {spoken}")]
    found.append(_clock(service, name))
    found.append(_privileges(service, name, options))
    found.append(_folder(service, name, options))
    found += _clusters(service, options)
    found += _unread(service, name, options)
    for link in links:
        found += _networks(service, options, link)
    return tuple(found)


def _clock(service: Service, name: str) -> Diagnostic:
    before = datetime.now(UTC)
    theirs = vim.ServiceInstance("ServiceInstance", service.stub).CurrentTime()
    ours = before + (datetime.now(UTC) - before) / 2
    ahead_s = (theirs - ours).total_seconds()
    return Diagnostic(abs(ahead_s) <= CLOCK_MAX_S, name, f"its clock is {ahead_s:+.1f} s from ours")


def _privileges(service: Service, name: str, options: EsxiOptions) -> Diagnostic:
    """Those that are not held on the whole datacenter may be held where they are needed: on the
    folder that VMs are made in, and on the resource pools that they go to."""
    session = service.content.sessionManager.currentSession
    lacking = _lacking(service, places.datacenter(service, options), PRIVILEGES)
    with suppress(Fault):
        if lacking and options.folder:
            made_in = _lacking(service, places.folder(service, options), lacking)
            lacking = [each for each in lacking if each in made_in or each in ELSEWHERE]
        if options.resource_pool and POOL in lacking:
            pools = [_pool(service, options, each) for each in _clusters_of(service, options)]
            if pools and not any(_lacking(service, pool, [POOL]) for pool in pools):
                lacking.remove(POOL)
    if lacking:
        return Diagnostic(False, name, f"{session.userName} lacks {', '.join(lacking)}")
    return Diagnostic(True, name, f"{session.userName} has all privileges")


def _lacking(service: Service, on: Any, wanted: Sequence[str]) -> list[str]:
    session = service.content.sessionManager.currentSession
    (held,) = service.content.authorizationManager.HasPrivilegeOnEntities(
        [on], session.key, list(wanted)
    )
    return [each.privId for each in held.privAvailability if not each.isGranted]


def _folder(service: Service, name: str, options: EsxiOptions) -> Diagnostic:
    try:
        places.folder(service, options)
    except Fault as absent:
        return Diagnostic(False, name, absent.message)
    return Diagnostic(True, name, f"VMs are made in {options.datacenter}/vm/{options.folder}")


def _clusters_of(service: Service, options: EsxiOptions) -> list[PropertyPage]:
    view = places.view(service, options, [vim.ClusterComputeResource])
    paths = ("name", "configurationEx", "resourcePool")
    try:
        return read_each(service, [all_in(view)], {vim.ClusterComputeResource: paths})
    finally:
        view.DestroyView()


def _pool(service: Service, options: EsxiOptions, cluster: PropertyPage) -> Any:
    root, name = cluster.get("resourcePool"), str(cluster.get("name"))
    return places.nested_pool(service, root, options.resource_pool, name)


def _clusters(service: Service, options: EsxiOptions) -> Iterable[Diagnostic]:
    """DRS that chooses by itself chooses other hosts than the rules would."""
    for cluster in _clusters_of(service, options):
        name = str(cluster.get("name", cluster.id))
        if cluster.unread:
            yield Diagnostic(False, name, unread_sentence(cluster))
            continue
        drs: Any = getattr(cluster.get("configurationEx"), "drsConfig", None)
        mover = drs_mover(drs.enabled, drs.defaultVmBehavior) if drs is not None else ""
        yield Diagnostic(not mover, name, _DRS_SAID[mover])
        if options.resource_pool:
            try:
                _pool(service, options, cluster)
            except Fault as absent:
                yield Diagnostic(False, name, absent.message)


def _networks(service: Service, options: EsxiOptions, link: HostLink) -> Iterable[Diagnostic]:
    try:
        host = places.HostDirectory(options).host(service, link)
        at = places.ground(service, host, link.name, options)
    except Fault as unfit:
        yield Diagnostic(False, link.name, unfit.message)
        return
    for kind, wanted, there in (
        ("datastore", link.datastores, at.datastores),
        ("network", tuple(filter(None, link.networks.values())), at.networks),
    ):
        lacking = [each for each in wanted if not names.called(there, each)]
        if lacking:
            yield Diagnostic(False, link.name, f"it has no {kind} {', '.join(lacking)}")
        several = [each for each in wanted if len(names.called(there, each)) > 1]
        if several:
            said = f"it has several {kind}s called {', '.join(several)}: rename all but one"
            yield Diagnostic(False, link.name, said)


def _unread(service: Service, name: str, options: EsxiOptions) -> Iterable[Diagnostic]:
    """What the user may not read: VMs among it are UNKNOWN."""
    kinds = [vim.VirtualMachine, vim.HostSystem, vim.Datastore, vim.Network]
    view = places.view(service, options, kinds)
    try:
        found = read_each(service, [all_in(view)], dict.fromkeys(kinds, ("name",)))
    finally:
        view.DestroyView()
    for each in found:
        if each.unread:
            yield Diagnostic(False, name, unread_sentence(each))

"""What an administrator should know of a vCenter before VMs are made there; looks only."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from drivers.contract import HostLink
from drivers.esxi import places
from drivers.esxi.options import EsxiOptions
from drivers.esxi.reading import all_in, read
from drivers.esxi.role import PRIVILEGES
from drivers.esxi.session import Service
from drivers.esxi.surveying import moves_by_itself
from drivers.esxi.vcenter import Vcenter
from drivers.facts import Remark
from drivers.faults import Fault

CLOCK_MAX_S = 5.0


async def examined(
    vcenter: Vcenter, options: EsxiOptions, links: Sequence[HostLink]
) -> tuple[Remark, ...]:
    """API, clock, privileges, folder, clusters, and what hosts lack."""
    try:
        return await vcenter.look(lambda service: _examine(service, vcenter.name, options, links))
    except Fault as silent:
        return (Remark(False, vcenter.name, silent.message),)


def _examine(
    service: Service, name: str, options: EsxiOptions, links: Sequence[HostLink]
) -> tuple[Remark, ...]:
    about = service.content.about
    spoken = str(service.stub.versionId).strip('"').rpartition("/")[2]
    found = [Remark(True, name, f"{about.fullName}, API {about.apiVersion}, spoken {spoken}")]
    found.append(_clock(service, name))
    found.append(_privileges(service, name, options))
    found.append(_folder(service, name, options))
    found += _clusters(service, options)
    for link in links:
        found += _networks(service, options, link)
    return tuple(found)


def _clock(service: Service, name: str) -> Remark:
    before = datetime.now(UTC)
    theirs = vim.ServiceInstance("ServiceInstance", service.stub).CurrentTime()
    ours = before + (datetime.now(UTC) - before) / 2
    ahead_s = (theirs - ours).total_seconds()
    return Remark(abs(ahead_s) <= CLOCK_MAX_S, name, f"its clock is {ahead_s:+.1f} s from ours")


def _privileges(service: Service, name: str, options: EsxiOptions) -> Remark:
    session = service.content.sessionManager.currentSession
    (held,) = service.content.authorizationManager.HasPrivilegeOnEntities(
        [places.datacenter(service, options)], session.key, list(PRIVILEGES)
    )
    lacking = [each.privId for each in held.privAvailability if not each.isGranted]
    if lacking:
        return Remark(False, name, f"{session.userName} lacks {', '.join(lacking)}")
    return Remark(True, name, f"{session.userName} has all privileges")


def _folder(service: Service, name: str, options: EsxiOptions) -> Remark:
    try:
        places.folder(service, options)
    except Fault as absent:
        return Remark(False, name, absent.message)
    return Remark(True, name, f"VMs are made in {options.datacenter}/vm/{options.folder}")


def _clusters(service: Service, options: EsxiOptions) -> Iterable[Remark]:
    """DRS that moves VMs by itself chooses other hosts than the rules would."""
    view = places.view(service, options, [vim.ClusterComputeResource])
    paths = ("name", "configurationEx")
    try:
        clusters = read(service, [all_in(view)], {vim.ClusterComputeResource: paths})
    finally:
        view.DestroyView()
    for cluster in clusters:
        drs: Any = getattr(cluster.get("configurationEx"), "drsConfig", None)
        by_itself = drs is not None and moves_by_itself(drs.enabled, drs.defaultVmBehavior)
        said = "DRS moves VMs by itself" if by_itself else "DRS moves no VM by itself"
        yield Remark(not by_itself, cluster.get("name"), said)


def _networks(service: Service, options: EsxiOptions, link: HostLink) -> Iterable[Remark]:
    try:
        host = places.Places(options).host(service, link)
        at = places.ground(service, host, link.name)
    except Fault as unfit:
        yield Remark(False, link.name, unfit.message)
        return
    for kind, names, there in (
        ("datastore", link.datastores, at.datastores),
        ("network", filter(None, link.networks.values()), at.networks),
    ):
        lacking = [each for each in names if each not in there]
        if lacking:
            yield Remark(False, link.name, f"it has no {kind} {', '.join(lacking)}")

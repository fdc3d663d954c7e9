"""What can be said of any driver's hosts to whoever sets them up: they are seen, or why not."""

from drivers.contract import Driver
from drivers.facts import Diagnostic, Facts
from drivers.faults import said_of


async def hosts_seen(driver: Driver) -> tuple[Diagnostic, ...]:
    """A remark for each host, in the order of endpoints."""
    found: list[Diagnostic] = []
    for endpoint, hosts in driver.endpoints().items():
        try:
            facts = await driver.survey(endpoint)
        except Exception as silent:  # whatever one endpoint raises, the others are told of
            found += [Diagnostic(False, host, said_of(silent)) for host in hosts]
            continue
        found += [_of(host, facts) for host in hosts]
    return tuple(found)


def _of(name: str, facts: Facts) -> Diagnostic:
    host = next((each for each in facts.hosts if each.name == name), None)
    if host is None:
        return Diagnostic(False, name, f"{facts.endpoint} does not see it")
    vms = sum(1 for vm in facts.vms if vm.host == name)
    stores = ", ".join(store.name for store in host.datastores) or "no datastore"
    said = f"{host.hypervisor} {host.version}, {host.cpus} CPUs, {host.memory_mib} MiB"
    if not host.accepting:
        return Diagnostic(False, name, f"{said}: it is in maintenance")
    return Diagnostic(bool(host.datastores), name, f"{said}, {vms} VMs, {stores}")

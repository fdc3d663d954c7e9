"""The fields of Abiquo's own resources, by resource: what its clients send whether they mean it
or not. Where vmgate does not drive one it is passed over at its default, and refused otherwise.

A default that is not empty (null, 0, false, "", [], {}) stands beside the name.
"""

from collections.abc import Mapping
from typing import Any


def _fields(names: str, **defaults: Any) -> Mapping[str, Any]:
    return {**dict.fromkeys(names.split()), **defaults}


_LIMITS = (
    "cpuSoft cpuHard ramSoft ramHard vmsSoft vmsHard vlansSoft vlansHard publicIpsSoft "
    "publicIpsHard diskSoftLimitInMb diskHardLimitInMb storageSoftInMb storageHardInMb "
    "repositorySoftInMb repositoryHardInMb HDSoft HDHard volSoft volHard ipSoft ipHard "
    "cpuCountSoftLimit cpuCountHardLimit ramSoftLimitInMb ramHardLimitInMb "
)

VIRTUAL_MACHINE = _fields(
    "id uuid name label description cpu coresPerSocket ram state idState highDisponibility "
    "monitored monitoringLevel protected protectedCause protectedBy variables backuppolicies "
    "backupPolicies natrules lastSynchronize creationTimestamp birthdate "
    "generateGuestInitialPassword vdrpEnabled vdrpPort vdrpIP password keymap deallocated "
    "usageStatistics metadata metrics fqdn iconUrl layer runlist bootstrap userData "
    "lastMonitoringStatus providerId ethernetDriverType expands",
    type="MANAGED",
    idType=1,
)
VIRTUAL_MACHINE_TASK = _fields("forceEnterpriseSoftLimits forceVdcLimits forceUndeploy")
VIRTUAL_APPLIANCE = _fields(
    "id uuid name description iconUrl state error publicApp highDisponibility restricted "
    "subState expands nodeconnections lastPrice providerId specId"
)
VIRTUAL_DATACENTER = _fields(
    _LIMITS + "id uuid name hypervisorType network vlan providerId syncState creationTimestamp "
    "restricted"
)
NETWORK = _fields(
    "id address gateway mask name tag primaryDNS secondaryDNS sufixDNS dhcpOptions ipv6 strict "
    "unmanaged providerId availabilityZone globalNetwork internet",
    type="INTERNAL",
    defaultNetwork=True,
    default=True,
)
ENTERPRISE = _fields(
    _LIMITS + "id uuid name isReservationRestricted workflow twoFactorAuthenticationMandatory "
    "idPricingTemplate theme reseller keyNode properties"
)
MACHINE = _fields(
    "id name description ip ipService managerIp managerPort managerUser managerPassword agentIp "
    "agentPort agentUser agentPassword ipmiIp ipmiPort ipmiUser ipmiPassword user password port "
    "hostname initiatorIQN type state cpu cpuUsed ram ramUsed virtualCpuCores virtualCpusUsed "
    "virtualRamInMb virtualRamUsedInMb datastores networkInterfaces"
)
DATASTORE = _fields(
    "id name rootPath directory datastoreUUID enabled size usedSize shared castorOverrides"
)
DATASTORE_TIER = _fields(
    "id name description enabled defaultAllowed defaultForDatacenter storageAllocationPolicy"
)
CLUSTER = _fields("id name providerId providerType")
TEMPLATE = _fields(
    "id uuid name description cpuRequired ramRequired hdRequired diskFormatType diskFileSize "
    "osType osVersion state shared chefEnabled coresPerSocket costCode creationDate creationUser "
    "enableCpuHotAdd enableRamHotAdd enableDisksHotReconfigure enableNicsHotReconfigure "
    "enableRemoteAccessHotReconfigure ethernetDriverType iconUrl loginUser loginPassword "
    "variables guestSetup generateGuestInitialPassword lastTouched"
)
LAYER = _fields("id name")
MACHINE_LOAD_RULE = _fields("id cpuLoadPercentage ramLoadPercentage aggregated")
DATASTORE_LOAD_RULE = _fields("id storageLoadPercentage")
FIT_POLICY_RULE = _fields("id fitPolicy")
ENTERPRISE_EXCLUSION_RULE = _fields("id")
# One public client writes a capital letter less.
RULES = _fields("fitPolicyrules")

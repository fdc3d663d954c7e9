"""Somebody logged in at the rig's vCenter through pyvmomi: looks, and changes things by hand."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyVmomi import SoapStubAdapter, vim

from tests.lab.vcenter import VCenter

API = "vim.version.version11"  # 6.5, which is what the rig serves
_LOOK_EACH_S = 0.01
_PATIENCE_S = 20.0


def stub(vc: VCenter, *, trust: Path | None = None) -> Any:
    """A connection that verifies; pyvmomi would not, on loopback, without a context."""
    context = ssl.create_default_context(cafile=str(trust or vc.certificate))
    return SoapStubAdapter(
        host=vc.host,
        port=vc.port,
        path="/sdk",
        version=API,
        sslContext=context,
        httpConnectionTimeout=_PATIENCE_S,
    )


def until(what: Callable[[], object]) -> None:
    """Comes back once it is true; AssertionError when it does not become so."""
    end_s = time.monotonic() + _PATIENCE_S
    while not what():
        assert time.monotonic() < end_s, "it did not become true"
        time.sleep(_LOOK_EACH_S)


class Administrator:
    """One session."""

    def __init__(self, vc: VCenter) -> None:
        self.vc = vc
        self.stub = stub(vc)
        self.content: Any = vim.ServiceInstance("ServiceInstance", self.stub).RetrieveContent()
        self.login()

    def login(self) -> None:
        """Logs in, again too."""
        self.content.sessionManager.Login(self.vc.user, self.vc.password)

    @contextmanager
    def hasty(self, timeout_s: float = 0.5) -> Iterator[None]:
        """Inside `with` it waits no longer for any answer."""
        self.stub.DropConnections()
        self.stub.schemeArgs["timeout"] = timeout_s
        try:
            yield
        finally:
            self.stub.DropConnections()
            self.stub.schemeArgs["timeout"] = _PATIENCE_S

    def close(self) -> None:
        """Closes its connections; the session is left to the server."""
        self.stub.DropConnections()

    def _named(self, kind: type, name: str) -> Any:
        return kind(self.vc.named(kind.__name__.rpartition(".")[2])[name], self.stub)

    def vm(self, name: str) -> Any:
        """A VM or a template."""
        return self._named(vim.VirtualMachine, name)

    def host(self, name: str) -> Any:
        """A host."""
        return self._named(vim.HostSystem, name)

    def datastore(self, name: str) -> Any:
        """A datastore."""
        return self._named(vim.Datastore, name)

    def cluster(self, name: str) -> Any:
        """A cluster."""
        return self._named(vim.ClusterComputeResource, name)

    @property
    def folder(self) -> Any:
        """The folder of all VMs."""
        return self._named(vim.Folder, "vm")

    def clone(self, name: str, host: str, datastore: str, **config: Any) -> Any:
        """The task that clones template-1 onto a host and a datastore."""
        on = self.host(host)
        location = vim.vm.RelocateSpec(
            pool=on.parent.resourcePool, host=on, datastore=self.datastore(datastore)
        )
        spec = vim.vm.CloneSpec(location=location, config=vim.vm.ConfigSpec(**config))
        return self.vm("template-1").CloneVM_Task(folder=self.folder, name=name, spec=spec)

    def relocate(self, vm: str, host: str, datastore: str | None = None) -> Any:
        """The task that moves a VM."""
        spec = vim.vm.RelocateSpec(host=self.host(host))
        if datastore is not None:
            spec.datastore = self.datastore(datastore)
        return self.vm(vm).RelocateVM_Task(spec)

    def ended(self, task: Any) -> Any:
        """What is known of a task once it has ended."""
        until(lambda: task.info.state in ("success", "error"))
        return task.info


@contextmanager
def watch(who: Administrator, of: Any, *properties: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Waits for changes of an object's properties; each call waits for some and returns them."""
    collector = who.content.propertyCollector.CreatePropertyCollector()
    kind = vim.PropertyCollector
    what = kind.PropertySpec(type=type(of), pathSet=list(properties))
    collector.CreateFilter(
        kind.FilterSpec(objectSet=[kind.ObjectSpec(obj=of)], propSet=[what]), True
    )
    version = ""

    def changes() -> dict[str, Any]:
        nonlocal version
        found = collector.WaitForUpdatesEx(version, kind.WaitOptions(maxWaitSeconds=10))
        assert found is not None, "nothing was told"
        version = found.version
        told = [each for part in found.filterSet for each in part.objectSet]
        return {change.name: change.val for each in told for change in each.changeSet}

    changes()
    yield changes

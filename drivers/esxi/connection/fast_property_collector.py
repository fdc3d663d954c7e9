"""The property collector over a parser in C, for listings of leaf properties.

pyvmomi makes each element of a reply an object in Python: 10,000 VMs are 400,000 elements, which
took 12 s. Here a reply becomes a tree in C, piece by piece, and only values become objects. They
are named as pyvmomi names them, so that either collector may be asked.
"""

import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from functools import lru_cache
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple

from pyVmomi import vmodl
from pyVmomi.SoapAdapter import SoapResponseDeserializer
from pyVmomi.VmomiSupport import GetWsdlType

from drivers.esxi.connection.session import Service

_PIECE = 16_384
"""Bytes that are parsed at once: the parser lets nobody else run meanwhile."""
_NS = "urn:vim25"
_TAG = "{" + _NS + "}"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_VALUE = f"{_TAG}val"
_PROPERTY, _MISSING, _CHANGE = (f"{_TAG}{name}Set" for name in ("prop", "missing", "change"))


class Property(NamedTuple):
    """A property's path and value; None where it is unset."""

    name: str
    val: Any


class MissingProperty(NamedTuple):
    """A property that was not told, and why."""

    path: str
    fault: Any


class ObjectContent(NamedTuple):
    """One object of a listing."""

    obj: Any
    propSet: list[Property]
    missingSet: list[MissingProperty]


class Listing(NamedTuple):
    """One page of a listing, and the way to the next."""

    objects: list[ObjectContent]
    token: str | None


class Update(NamedTuple):
    """What is new of one object."""

    kind: str
    obj: Any
    changeSet: list[Property]


class FilterUpdate(NamedTuple):
    """What is new in one filter."""

    objectSet: list[Update]


class UpdateSet(NamedTuple):
    """What is new in a collector."""

    version: str
    filterSet: list[FilterUpdate]
    truncated: bool


class Option(NamedTuple):
    """One extra option of a VM."""

    key: str
    value: str


def collector(service: Service, like: Any = None) -> Any:
    """The session's property collector, or the one `like` it, over the parser in C."""
    ref = service.content.propertyCollector if like is None else like
    return vmodl.query.PropertyCollector(ref._moId, _Stub(service.stub))


class _Stub:
    """What pyvmomi's objects call; the connections are those of pyvmomi's own stub."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self._refs = _Refs(stub)

    def InvokeMethod(self, ref: Any, method: Any, given: list[Any]) -> Any:
        """One call and what it returns; raises what the vCenter answers, OSError, HTTPException,
        or ValueError for a reply that is no listing."""
        stub = self._stub
        headers = {
            "Cookie": stub.cookie,
            "SOAPAction": stub.versionId,
            "Content-Type": "text/xml; charset=UTF-8",
        }
        connection = stub.GetConnection()
        try:
            connection.request(
                "POST", stub.path, stub.SerializeRequest(ref, method, given), headers
            )
            answer = connection.getresponse()
            found = self._answered(answer, method)
        except BaseException:
            connection.close()
            stub.DropConnections()  # as pyvmomi does: who lost one will lose the others
            raise
        stub.ReturnConnection(connection)
        if isinstance(found, Exception):
            raise found
        return found

    def _answered(self, answer: HTTPResponse, method: Any) -> Any:
        if answer.status == 500:
            body = io.BytesIO(answer.read())
            return SoapResponseDeserializer(self._stub).Deserialize(body, method.result)
        if answer.status != 200:
            raise HTTPException(f"{answer.status} {answer.reason}")
        parser = ET.XMLParser()
        try:
            while piece := answer.read(_PIECE):
                parser.feed(piece)
            reply = parser.close().find(f".//{_TAG}returnval")
        except ET.ParseError as wrong:
            raise ValueError(f"its response is not XML: {wrong}") from wrong
        if reply is None:
            return None
        if method.wsdlName == "WaitForUpdatesEx":
            return _news(reply, _Refs(self._stub))  # for each anew: tasks come and go for ever
        return _listing(reply, self._refs)


class _Refs:
    """The objects that a listing names, each made once: VMs share hosts and datastores."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self._made: dict[tuple[str, str], Any] = {}

    def of(self, element: ET.Element) -> Any:
        """The object."""
        key = element.get("type", ""), element.text or ""
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = _type_of(key[0])(key[1], self._stub)
        return found


def _listing(reply: ET.Element, refs: _Refs) -> Listing:
    contents = [
        ObjectContent(
            refs.of(_child(each, "obj")),
            [_property(one, refs) for one in each if one.tag == _PROPERTY],
            [
                MissingProperty(_text(one, "path"), _fault(_child(_child(one, "fault"), "fault")))
                for one in each
                if one.tag == _MISSING
            ],
        )
        for each in reply.iterfind(f"{_TAG}objects")
    ]
    return Listing(contents, _text(reply, "token") or None)


def _news(reply: ET.Element, refs: _Refs) -> UpdateSet:
    filters = [
        FilterUpdate(
            [
                Update(
                    _text(each, "kind"),
                    refs.of(_child(each, "obj")),
                    [_property(one, refs) for one in each if one.tag == _CHANGE],
                )
                for each in one.iterfind(f"{_TAG}objectSet")
            ]
        )
        for one in reply.iterfind(f"{_TAG}filterSet")
    ]
    return UpdateSet(_text(reply, "version"), filters, _text(reply, "truncated") == "true")


def _property(element: ET.Element, refs: _Refs) -> Property:
    """Name and value, which come in this order; a change has what is done between them."""
    value = element[-1]
    unset = value.tag != _VALUE
    return Property(element[0].text or "", None if unset else _value(value, refs))


def _value(element: ET.Element, refs: _Refs) -> Any:
    """A leaf; other than these are the words of enumerations."""
    convert = _converter(element.get(_TYPE, ""))
    if convert is not None:
        return convert(element, refs)
    if len(element):
        raise ValueError(f"a listing holds a {element.get(_TYPE)}, which is no leaf")
    return element.text or ""


@lru_cache(maxsize=256)
def _converter(kind: str) -> Callable[[ET.Element, _Refs], Any] | None:
    """By the type as an element has it, with the prefix that the reply uses."""
    return _CONVERT.get(kind.rpartition(":")[2])


def _number(element: ET.Element, _: _Refs) -> int:
    return int(element.text or "")


def _boolean(element: ET.Element, _: _Refs) -> bool:
    return element.text in ("true", "1")


def _option(element: ET.Element) -> Option:
    return Option(_text(element, "key"), _text(element, "value"))


def _fault(element: ET.Element) -> Any:
    """The fault, without what it says of itself; `obj` is not needed where a property misses."""
    try:
        return _type_of(element.get(_TYPE, ""))()
    except ValueError:
        return vmodl.MethodFault()


@lru_cache(maxsize=256)
def _type_of(name: str) -> Any:
    try:
        return GetWsdlType(_NS, name.rpartition(":")[2])
    except KeyError as unknown:
        raise ValueError(f"it tells of a {name}, which is not known") from unknown


def _child(element: ET.Element, name: str) -> ET.Element:
    tag = _TAG + name
    found = next((each for each in element if each.tag == tag), None)
    if found is None:
        raise ValueError(f"a {name} is missing in a listing")
    return found


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(_TAG + name, "")


_CONVERT: Mapping[str, Callable[[ET.Element, _Refs], Any]] = {
    "ManagedObjectReference": lambda element, refs: refs.of(element),
    "ArrayOfManagedObjectReference": lambda many, refs: [refs.of(each) for each in many],
    "ArrayOfOptionValue": lambda many, _: [_option(each) for each in many],
    "boolean": _boolean,
    **dict.fromkeys(("byte", "short", "int", "long"), _number),
}

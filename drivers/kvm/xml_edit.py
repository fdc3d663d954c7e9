"""Values of an XML text are replaced in place, so that every other byte of it stays as it was.

A parser that writes the whole text anew would change prefixes, comments and line ends that others
rely on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

_HEAD = re.compile(rb"""<[^\s/>]+(?:\s+[^\s=]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/?>""")
_VALUE = rb"""\s%s\s*=\s*("[^"]*"|'[^']*')"""
_QUOTED = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


@dataclass(slots=True)
class XmlElement:
    """An element at its place in the text: `begin` to `inner` is its head, `end` where its
    content ends."""

    name: str
    attributes: dict[str, str]
    begin: int
    inner: int = 0
    end: int = 0
    children: list["XmlElement"] = field(default_factory=list)

    def all(self, path: str) -> Iterator["XmlElement"]:
        """The elements below at a path such as `devices/disk`, in their order."""
        name, _, rest = path.partition("/")
        for child in self.children:
            if child.name == name:
                yield from child.all(rest) if rest else (child,)

    def first(self, path: str) -> "XmlElement | None":
        """The first of them."""
        return next(self.all(path), None)

    def get(self, path: str, attribute: str) -> str:
        """An attribute of the first one; empty where there is none."""
        found = self.first(path)
        return found.attributes.get(attribute, "") if found is not None else ""


class Text:
    """An XML text with changes to make; raises ValueError for what is no XML, or has a DTD."""

    def __init__(self, xml: str) -> None:
        self._bytes = xml.encode()
        self._changes: list[tuple[int, int, bytes]] = []
        self.root = self._read()

    def set(self, element: XmlElement, attribute: str, value: str) -> None:
        """Give an attribute another value; an element that lacks it gets it."""
        begin, end = self._attribute(element, attribute)
        quoted = f'"{escape(value, _QUOTED)}"'
        fresh = quoted if end > begin else f" {attribute}={quoted}"
        self._changes.append((begin, end, fresh.encode()))

    def drop(self, element: XmlElement, attribute: str) -> None:
        """Take an attribute away."""
        begin, end = self._attribute(element, attribute)
        if end > begin:
            head = self._bytes[element.begin : begin]
            named = re.search(rb"\s+" + attribute.encode() + rb"\s*=\s*$", head)
            assert named is not None
            self._changes.append((element.begin + named.start(), end, b""))

    def write(self, element: XmlElement, content: str) -> None:
        """Give an element other text in place of all that is in it."""
        written = escape(content)
        if self._bytes.endswith(b"/>", element.begin, element.inner):
            closed = f">{written}</{element.name}>".encode()
            self._changes.append((element.inner - 2, element.inner, closed))
        else:
            self._changes.append((element.inner, element.end, written.encode()))

    def changed(self) -> str:
        """The text with all changes made."""
        found = self._bytes
        for begin, end, fresh in sorted(self._changes, reverse=True):
            found = found[:begin] + fresh + found[end:]
        return found.decode()

    def _attribute(self, element: XmlElement, name: str) -> tuple[int, int]:
        """Where the attribute's quoted value is; if none, where one could be added, twice."""
        head = self._bytes[element.begin : element.inner]
        found = re.search(_VALUE % re.escape(name.encode()), _without_values(head))
        if found is not None:
            return element.begin + found.start(1), element.begin + found.end(1)
        at = element.begin + 1 + len(element.name.encode())
        return at, at

    def _read(self) -> XmlElement:
        top = XmlElement("", {}, 0)
        open_ = [top]
        parser = expat.ParserCreate("utf-8")

        def began(name: str, attributes: dict[str, str]) -> None:
            begin = parser.CurrentByteIndex
            head = _HEAD.match(self._bytes, begin)
            if head is None:
                raise ValueError(f"the element {name} cannot be read")
            element = XmlElement(name, attributes, begin, head.end(), head.end())
            open_[-1].children.append(element)
            open_.append(element)

        def ended(_: str) -> None:
            element = open_.pop()
            if not self._bytes.endswith(b"/>", element.begin, element.inner):
                element.end = parser.CurrentByteIndex

        def refused(*_: object) -> None:
            raise ValueError("a document type is not read")

        parser.StartElementHandler, parser.EndElementHandler = began, ended
        parser.StartDoctypeDeclHandler = refused
        try:
            parser.Parse(self._bytes, True)
        except expat.ExpatError as error:
            raise ValueError(f"it is no XML: {error}") from error
        return top.children[0]


def _without_values(head: bytes) -> bytes:
    """The head with what is in quotes blanked, so that no name is found in there."""
    return re.sub(rb"""(["'])(.*?)\1""", lambda m: m[1] + b"x" * len(m[2]) + m[1], head, flags=re.S)

"""Names as people write them, and as a vCenter keeps them: it escapes `/`, `\\` and `%`.

Two objects may have one name: a host's plain network and a distributed port group, for example.
Then the name says nothing, and whoever asks for it is refused.
"""

import re
from collections.abc import Collection, Iterable
from itertools import product

from drivers.esxi.connection.paging import PropertyPage
from drivers.faults import Rejected

SPLITS_MAX = 6
"""Slashes of a path that are tried as parts of names too."""
_KEPT = {"/": "%2f", "\\": "%5c", "%": "%25"}
_MEANT = {kept: meant for meant, kept in _KEPT.items()}


def decoded(name: str) -> str:
    """A name as it is meant: `lan/1` for `lan%2f1`."""
    return re.sub("%(2f|5c|25)", lambda found: _MEANT[found[0].lower()], name, flags=re.IGNORECASE)


def encoded(name: str) -> str:
    """A name as the vCenter keeps it: `lan%2f1` for `lan/1`."""
    return re.sub(r"[/\\%]", lambda found: _KEPT[found[0]], name)


def called(found: Iterable[PropertyPage], name: str) -> list[PropertyPage]:
    """The objects that are called so; the vCenter's own spelling is understood too."""
    all_ = list(found)
    meant = [each for each in all_ if decoded(str(each.get("name"))) == name]
    return meant or [each for each in all_ if str(each.get("name")) == name]


def only(found: Iterable[PropertyPage], name: str, kind: str, host: str) -> PropertyPage:
    """The one object of a host that is called so; raises Rejected for none or several."""
    named = called(found, name)
    if not named:
        raise Rejected(f"{host} has no {kind} {name}", host=host)
    if len(named) > 1:
        raise Rejected(
            f"{host} has {len(named)} {kind}s called {name}: rename all but one", host=host
        )
    return named[0]


def as_configured(name: str, configured: Collection[str]) -> str:
    """How the configuration calls what the vCenter calls `name`."""
    return name if name in configured and decoded(name) not in configured else decoded(name)


def spellings(path: str) -> Iterable[str]:
    """How an inventory may keep what is at a path: as it is written, then each name encoded, with
    slashes that may be parts of names."""
    parts = path.split("/")
    found = [path]
    if len(parts) - 1 <= SPLITS_MAX:
        for splits in product("/\n", repeat=len(parts) - 1):
            text = parts[0] + "".join(a + b for a, b in zip(splits, parts[1:], strict=True))
            names = (encoded(each.replace("\n", "/")) for each in text.split("/"))
            found.append("/".join(names))
    return dict.fromkeys(found)

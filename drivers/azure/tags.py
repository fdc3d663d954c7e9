"""Tags that the configuration gives to what is made, as a policy may require; ours go beside them.

Azure's limits, for virtual machines, disks and interfaces alike. It compares names of tags without
case, so that two that differ in case only are one.
"""

from collections.abc import Mapping

from drivers.azure.marker import OURS, PREFIX

TAGS_MAX = 50
NAME_MAX, VALUE_MAX = 512, 256
_FORBIDDEN = "<>%&\\?/"


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise ValueError that names the tag which Azure, or we, would not take."""
    room = TAGS_MAX - len(OURS)
    if len(tags) > room:
        raise ValueError(f"tags: at most {room} beside the {len(OURS)} of vmgate")
    seen: dict[str, str] = {}
    for name, value in tags.items():
        wrong = _wrong_name(name) or _wrong_value(value)
        if wrong:
            raise ValueError(f"tags: {name[:60]!r} {wrong}")
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(f"tags: {name!r} and {other!r} are one name to Azure")


def _wrong_name(name: str) -> str:
    if not name.strip():
        return "is no name: it is empty"
    if name != name.strip():
        return "begins or ends with a space"
    if len(name) > NAME_MAX:
        return f"is longer than {NAME_MAX} characters"
    if any(each in _FORBIDDEN or not each.isprintable() for each in name):
        return f"holds one of {' '.join(_FORBIDDEN)} or a control character"
    if name.lower().startswith(PREFIX):
        return f"is reserved: names that begin with {PREFIX} are vmgate's own"
    return ""


def _wrong_value(value: str) -> str:
    if len(value) > VALUE_MAX:
        return f"has a value of more than {VALUE_MAX} characters"
    if not value.isprintable():
        return "has a value with a control character"
    return ""


def beside(tags: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The tags with those of the configuration that are not among them, whatever their case."""
    held = {name.lower() for name in tags}
    return {**{n: value for n, value in given.items() if n.lower() not in held}, **tags}

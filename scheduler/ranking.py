"""A ranking keeps the hosts of one datacenter in the order in which a policy tries them."""

from bisect import bisect_left, insort
from collections.abc import Iterator


class Ranking:
    """Host ids, highest score first, ties to the lowest id; always sorted."""

    __slots__ = ("_keys", "_order")

    def __init__(self) -> None:
        """An empty ranking."""
        self._keys: dict[int, tuple[int, int]] = {}
        self._order: list[tuple[int, int]] = []

    def put(self, host: int, score: int) -> None:
        """Ranks the host, or moves it to where its new score belongs."""
        key = (-score, host)
        if self._keys.get(host) == key:
            return
        self.drop(host)
        self._keys[host] = key
        insort(self._order, key)

    def drop(self, host: int) -> None:
        """Takes the host out; nothing happens when it is not ranked."""
        key = self._keys.pop(host, None)
        if key is not None:
            del self._order[bisect_left(self._order, key)]

    def __iter__(self) -> Iterator[int]:
        """The host ids, gladdest first."""
        return (host for _, host in self._order)

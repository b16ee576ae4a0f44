"""How many MESSAGEs may be under way to whom (RFC 3428 8).

No new MESSAGE goes to a URI while one to it is pending, so the window of a Request-URI is 1.

# Deviates from RFC 3428 8: towards a partner that is reached over TCP or TLS and configured for
# it, more may be pending; the connection does the congestion control that the RFC asks for.

A peer that answered 503 with Retry-After is left alone for that long: the peer, not the row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from acm_sip.procedures.records import DestinationKind, OutboxRow

__all__ = ["Plan", "Windows"]

_SERVERS: Final = frozenset({DestinationKind.PARTNER, DestinationKind.SERVER})
_LONGEST_PAUSE_S: Final = 300.0  # ours: no peer silences us for longer than this


class Windows:
    """What is under way, by destination and by Request-URI; used by the engine thread.

    :param window_of: how many may be pending towards a destination of an outbox row.
    :param lease_s: after which a row counts as ended even if nobody said so.
    """

    def __init__(self, window_of: Callable[[str], int], lease_s: float) -> None:
        self._window_of = window_of
        self._lease_s = lease_s
        self._under_way: dict[int, tuple[str, str, float]] = {}
        self._by_destination: dict[str, int] = {}
        self._by_uri: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}

    def plan(self, now: float) -> Plan:
        """Return what may be added now."""
        for destination in [d for d, at in self._paused_until.items() if at <= now]:
            del self._paused_until[destination]
        # An end that nobody told us of must not hold its place longer than its lease.
        for number in [n for n, (_, _, until) in self._under_way.items() if until <= now]:
            self._free(number)
        return Plan(self._window_of, self._by_destination, self._by_uri, self._paused_until)

    def started(self, row: OutboxRow, request_uri: str, now: float) -> None:
        """Note that a row is under way."""
        destination = str(row.destination)
        self._under_way[row.number] = (destination, request_uri, now + self._lease_s)
        self._by_destination[destination] = self._by_destination.get(destination, 0) + 1
        self._by_uri[request_uri] = self._by_uri.get(request_uri, 0) + 1

    def ended(self, row: OutboxRow, retry_after_s: float | None, now: float) -> None:
        """Note that an attempt ended."""
        if not self._free(row.number):
            return
        # A contact that asks for time leaves the other contacts of its user alone.
        if retry_after_s is not None and row.destination.kind in _SERVERS:
            pause_s = min(retry_after_s, _LONGEST_PAUSE_S)
            self._paused_until[str(row.destination)] = now + pause_s

    def _free(self, number: int) -> bool:
        """Give a place back; False where the row had none."""
        place = self._under_way.pop(number, None)
        if place is None:
            return False
        destination, request_uri, _ = place
        for counts, name in ((self._by_destination, destination), (self._by_uri, request_uri)):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]
        return True


class Plan:
    """What may be added in one batch."""

    def __init__(
        self,
        window_of: Callable[[str], int],
        by_destination: dict[str, int],
        by_uri: dict[str, int],
        paused: Collection[str],
    ) -> None:
        self._window_of = window_of
        self._by_destination = by_destination
        self._uris = dict(by_uri)
        self._paused = paused

    @property
    def blocked(self) -> list[str]:
        """Destinations that take nothing now."""
        full = [d for d, count in self._by_destination.items() if count >= self._window_of(d)]
        return [*full, *self._paused]

    def left_for(self, destination: str) -> int:
        """Return how many more a destination takes."""
        return self._window_of(destination) - self._by_destination.get(destination, 0)

    def take(self, row: OutboxRow, request_uri: str) -> bool:
        """Take a place for a row; False when its Request-URI has none left."""
        count = self._uris.get(request_uri, 0)
        if count >= self._window_of(str(row.destination)):
            return False
        self._uris[request_uri] = count + 1
        return True

"""Who takes part: from addresses and ports to the clients and servers behind them.

One entity speaks from many ports: a new one for each TCP connection, another where it listens.
Two endpoints are one entity when a message shows it: the sent-by of its Via or a Contact at the
same address, or the same identity from the same address. A given name joins endpoints too.

What an entity is follows from what it sends and gets: REGISTER and P-Preferred-Identity come
from clients and go to servers, P-Asserted-Identity and process indications come from servers
(clause numbers of the hops: TS 23.280 10.17.6.2).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from acm_sip.capture.summary import bare_uri

if TYPE_CHECKING:
    from acm_sip.capture.pcapng import Endpoint
    from acm_sip.capture.summary import Summary

__all__ = ["Casting", "Entity", "Role", "format_endpoint"]

Role = Literal["client", "server"]

_DEFAULT_PORT: Final = 5060  # RFC 3261 19.1.2
PROCESS_INDICATION: Final = "process-indication"


@dataclass(frozen=True, slots=True)
class Entity:
    """A column of the picture.

    :param name: given, or the identity it uses, or its first endpoint.
    :param role: what it was seen to be, or None.
    :param system: ``primary`` or ``partner`` when the steps of the procedure tell, else "".
    :param endpoints: every endpoint it spoke from or was spoken to at, the busiest listener first.
    """

    name: str
    role: Role | None
    system: str
    endpoints: tuple[Endpoint, ...]


class Casting:
    """Learns from messages which endpoints belong together and what they are.

    :param names: ``{"host:port": name}``, brackets around an IPv6 host.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = dict(names or {})
        self._parents: dict[Hashable, Hashable] = {}
        self._endpoints: dict[Endpoint, None] = {}
        self._groups: dict[Hashable, list[Endpoint]] = {}
        self._listened: Counter[Endpoint] = Counter()
        self._clients: Counter[Endpoint] = Counter()
        self._servers: Counter[Endpoint] = Counter()
        self._identities: dict[Endpoint, str] = {}
        self._service_identities: dict[Endpoint, str] = {}

    def learn(self, source: Endpoint, destination: Endpoint, summary: Summary) -> None:
        """Take what one message tells."""
        self._groups.clear()
        for endpoint in (source, destination):
            self._see(endpoint)
        if summary.method is None:
            return
        self._listened[destination] += 1
        if summary.sent_by is not None:
            self._join_address(source, *summary.sent_by)
        for host, port in summary.contacts:
            self._join_address(source, host, port)
        self._learn_roles(source, destination, summary)
        if summary.identity:
            self._identities.setdefault(source, summary.identity)

    def _see(self, endpoint: Endpoint) -> None:
        if endpoint in self._endpoints:
            return
        self._endpoints[endpoint] = None
        name = self._names.get(format_endpoint(endpoint))
        if name is not None:
            self._join(endpoint, ("name", name))

    def _join_address(self, source: Endpoint, host: str, port: int | None) -> None:
        # Another host than the source's is NAT, a proxy or a mistake: it proves nothing.
        if host.strip("[]").lower() == source[0]:
            self._join(source, (source[0], port or _DEFAULT_PORT))
        elif port is not None and re.search(r"[g-z]", host) and not host.endswith(".invalid"):
            self._join(source, ("host", source[0], host, port))

    def _learn_roles(self, source: Endpoint, destination: Endpoint, summary: Summary) -> None:
        is_client = summary.method == "REGISTER" or summary.is_preferred
        if is_client:
            self._clients[source] += 1
            self._servers[destination] += 1
            self._join(source, ("client", source[0], summary.identity))
            if summary.method == "MESSAGE":
                self._service_identities.setdefault(destination, bare_uri(summary.request_uri))
        elif summary.is_asserted:
            self._servers[source] += 1
            self._join(source, ("server", source[0], summary.identity))
        if summary.flow is not None and summary.flow.name == PROCESS_INDICATION:
            self._servers[source] += 1
            self._servers[destination] += 1

    def _find(self, node: Hashable) -> Hashable:
        while (parent := self._parents.get(node, node)) != node:
            self._parents[node] = self._parents.get(parent, parent)
            node = parent
        return node

    def _join(self, one: Hashable, other: Hashable) -> None:
        self._parents[self._find(one)] = self._find(other)

    def key(self, endpoint: Endpoint) -> Hashable:
        """Return what is equal for all endpoints of one entity, as far as is known by now."""
        return self._find(endpoint)

    def role(self, key: Hashable) -> Role | None:
        """Return what the entity was seen to be."""
        members = self._members(key)
        clients = sum(self._clients[member] for member in members)
        servers = sum(self._servers[member] for member in members)
        if clients == servers:
            return None
        return "client" if clients > servers else "server"

    def entity(self, key: Hashable, role: Role | None, system: str) -> Entity:
        """Return the entity of that key."""
        members = sorted(self._members(key), key=lambda member: -self._listened[member])
        return Entity(self._name(members), role, system, tuple(members))

    def _members(self, key: Hashable) -> list[Endpoint]:
        if not self._groups:
            for endpoint in self._endpoints:
                self._groups.setdefault(self._find(endpoint), []).append(endpoint)
        return self._groups[key]

    def _name(self, members: list[Endpoint]) -> str:
        sources = (
            {member: self._names.get(format_endpoint(member), "") for member in members},
            self._identities,
            self._service_identities,
        )
        for source in sources:
            for member in members:
                if source.get(member):
                    return source[member]
        return format_endpoint(members[0])


def format_endpoint(endpoint: Endpoint) -> str:
    """Return ``host:port`` with brackets around an IPv6 host."""
    host, port = endpoint
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

"""The ACM server: configuration, store, role and node put together."""

from __future__ import annotations

import asyncio
from typing import Final, Self

from acm_sip.identities import FunctionalAlias
from acm_sip.procedures.effects import ReleaseRows, RemoveBinding
from acm_sip.procedures.records import Destination, DestinationKind
from acm_sip.procedures.server_role import AcmServerRole
from acm_sip.runtime.configuration import ServerConfiguration
from acm_sip.runtime.endpoint import ListenAddress, Peer
from acm_sip.runtime.flow_names import is_connection_of_other_node, udp_flow
from acm_sip.runtime.log import get_logger
from acm_sip.runtime.node import AcmNode
from acm_sip.sip.routing import Flow
from acm_sip.stores import AcmStore

__all__ = ["AcmServer"]

_MANY: Final = 1_000_000  # every binding: a registrar holds less

log = get_logger("acm_sip.server")


class AcmServer:
    """The ACM server of one MC system, primary and partner in one.

    :param configuration: see :mod:`acm_sip.runtime.configuration`.

    Use it as ``async with AcmServer(configuration) as server:``; it serves until the block ends.

    :raises StoreError: the store is in use, of a newer release, or cannot be opened.
    :raises ConfigurationError: an address cannot be bound.
    """

    def __init__(self, configuration: ServerConfiguration) -> None:
        self._configuration = configuration
        self._partners = {partner.name: partner for partner in configuration.partners}
        self._node: AcmNode

    @property
    def bound(self) -> tuple[ListenAddress, ...]:
        """The addresses it listens on, with the ports that the system chose."""
        return self._node.endpoint.bound

    @property
    def failed(self) -> asyncio.Event:
        """Set when nothing can be decided any more and the process has to be restarted."""
        return self._node.failed

    async def start(self) -> None:
        """Open the store, bind, and serve."""
        configuration = self._configuration
        configuration.store.path.parent.mkdir(parents=True, exist_ok=True)
        store = AcmStore.open(configuration.store.path)
        try:
            role = AcmServerRole(
                configuration.mc_system(),
                configuration.aliases(),
                configuration.registration_limits(),
            )
            self._node = AcmNode(
                role,
                store,
                configuration.sip.listen,
                methods=frozenset({"MESSAGE", "REGISTER"}),
                media_type=configuration.names.media_type,
                find_hop=self._find_hop,
                window_of=self._window_of,
                retention_s=configuration.transactions.retention_s,
                capture=configuration.capture,
                capacity=configuration.sip.transaction_capacity,
            )
            self._wake(store)
            await self._node.start()
        except BaseException:
            store.close()
            raise
        log.info("ready", system=configuration.system.name, listen=[str(a) for a in self.bound])

    async def stop(self) -> None:
        """Answer what was accepted, then close everything."""
        await self._node.stop()
        log.info("stopped", system=self._configuration.system.name)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _wake(self, store: AcmStore) -> None:
        """Make the store fit this process.

        Bindings are durable, connections are not: their clients register again. Rows for partners
        and aliases were parked under a configuration that may have changed.
        """
        with store.read() as reader:
            dead = [
                binding
                for binding in reader.list_bindings(_MANY)
                if is_connection_of_other_node(binding.flow, self._node.node)
            ]
        to_partners = [Destination(DestinationKind.PARTNER, name) for name in self._partners]
        to_aliases = [
            Destination(DestinationKind.ALIAS, FunctionalAlias(alias).canonical)
            for alias in self._configuration.functional_aliases
        ]
        with store.transact() as batch:
            for binding in dead:
                batch.apply(RemoveBinding(binding))
            batch.apply(ReleaseRows(tuple(str(to) for to in (*to_partners, *to_aliases))))

    def _find_hop(self, hop: str) -> Flow | Peer | None:
        kind, _, name = hop.partition(":")
        if kind == "partner":
            partner = self._partners.get(name)
            return None if partner is None else partner.peer
        flow = udp_flow(name)
        if flow is not None:
            accepts_large = self._configuration.sip.clients_accept_large_datagrams
            return Peer("UDP", *flow.remote, accepts_large)
        transport, node, number = name.split(":")
        if node != self._node.node:
            return None
        assert transport == "tcp"
        return Flow("TCP", ("", 0), ("", 0), int(number))

    def _window_of(self, destination: str) -> int:
        kind, _, name = destination.partition(":")
        partner = self._partners.get(name) if kind == "partner" else None
        return 1 if partner is None else partner.window

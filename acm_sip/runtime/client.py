"""The ACM client: registers at its own server, requests, is asked, and learns outcomes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Self

from acm_sip.codec import names
from acm_sip.codec.body import BodyPart, decode_body, encode_body
from acm_sip.codec.completion import complete_request
from acm_sip.codec.flows import AcmRequest, UpdateMcServiceUeInitialConfigurationRequest
from acm_sip.errors import LocalProtocolError, StoreError
from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId
from acm_sip.procedures import client as decisions
from acm_sip.procedures.client_role import AcmClientRole
from acm_sip.procedures.effects import Effect, ReleaseRows
from acm_sip.procedures.events import DecisionMade
from acm_sip.procedures.ports import Records
from acm_sip.procedures.records import (
    AcmTransaction,
    AcmTransactionState,
    Destination,
    DestinationKind,
    Side,
)
from acm_sip.runtime.configuration import ClientConfiguration
from acm_sip.runtime.endpoint import ListenAddress, Peer
from acm_sip.runtime.node import AcmNode
from acm_sip.runtime.registration_keeper import RegistrationKeeper
from acm_sip.sip.routing import Flow
from acm_sip.stores import AcmStore

__all__ = ["AcmClient"]

_DAY_S: Final = 86_400.0
_STORE_AWAY_S: Final = 1.0  # as long as the engine leaves a store alone that failed
_RETENTION_S: Final = 30 * _DAY_S  # ours: what a user has decided stays in sight for a month


class AcmClient:
    """An ACM client of one MC service user.

    :param configuration: see :mod:`acm_sip.runtime.configuration`.

    Use it as ``async with AcmClient(configuration) as client:``. It registers and stays
    registered until the block ends.

    :raises StoreError: the store is in use, of a newer release, or cannot be opened.
    """

    def __init__(self, configuration: ClientConfiguration) -> None:
        self._configuration = configuration
        section = configuration.client
        self._names = configuration.names.wire_names()
        self._server = section.server.text
        self._role = AcmClientRole(
            section.public_identity,
            section.mc_service_ids,
            self._server,
            server_hosts=(),  # nobody is believed before the server was found
            wire_names=self._names,
        )
        self._hop: Flow | Peer | None = None
        self._registered = asyncio.Event()
        self._requests: asyncio.Queue[AcmTransaction] = asyncio.Queue()
        self._waiting: dict[str, list[asyncio.Future[AcmTransaction]]] = {}
        self._releasing: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[AcmTransaction], None]] = []
        self._node: AcmNode
        self._keeper: RegistrationKeeper

    async def start(self) -> None:
        """Open the store, bind, and begin to register."""
        configuration = self._configuration
        section = configuration.client
        configuration.store.path.parent.mkdir(parents=True, exist_ok=True)
        store = AcmStore.open(configuration.store.path)
        try:
            for transaction in _undecided(store):
                self._requests.put_nowait(transaction)
            host = "::" if ":" in section.next_hop.host else "0.0.0.0"  # noqa: S104
            listen = [ListenAddress("UDP", host, 0)] if section.next_hop.transport == "UDP" else []
            self._node = AcmNode(
                self._role,
                store,
                listen,
                methods=frozenset({"MESSAGE"}),
                media_type=self._names.media_type,
                find_hop=lambda _hop: self._hop,
                window_of=lambda _destination: 1,
                retention_s=_RETENTION_S,
                capture=configuration.capture,
                tell=self._told,
                register_again=self._register_again,
                flow_closed=self._flow_closed,
            )
            await self._node.start()
        except BaseException:
            store.close()
            raise
        # The same client after a restart, and another one for every user and store.
        name = f"{section.public_identity.canonical} {configuration.store.path.resolve()}"
        self._keeper = RegistrationKeeper(
            section,
            uuid.uuid5(uuid.NAMESPACE_URL, name),
            self._node.endpoint,
            self._server_found,
            self._registration_changed,
            self._names,
        )
        self._keeper.start()

    async def stop(self) -> None:
        """De-register and close everything; what is not delivered yet leaves at the next start."""
        await self._keeper.stop()
        await self._node.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def is_registered(self) -> bool:
        """Whether the own server can reach this client now."""
        return self._registered.is_set()

    @property
    def last_refusal(self) -> str | None:
        """Why the last attempt to register failed, None for none."""
        return self._keeper.last_refusal

    async def wait_registered(self, within_s: float | None = None) -> bool:
        """Wait until registered; False when that took too long."""
        try:
            async with asyncio.timeout(within_s):
                await self._registered.wait()
        except TimeoutError:
            return False
        return True

    # As requester

    async def update_ue_initial_configuration(
        self,
        users: Sequence[McServiceId],
        document: bytes,
        *,
        target: McServiceId | FunctionalAlias,
        functional_alias: FunctionalAlias | None = None,
        expires_s: float = _DAY_S,
    ) -> AcmTransactionId:
        """Ask the partner MC system to update the UE initial configuration of migrating users.

        Returns as soon as the request is durable; it leaves when the client is registered.

        :param users: migrating users of the own MC system, each once.
        :param document: the TS 24.484 document; its labels leave blank (NOTE 2).
        :param target: the user, or the functional alias, at the partner MC system.
        :param functional_alias: of the requester.
        :raises LocalProtocolError: the document is not XML of that kind, a user is listed twice.
        """
        request = UpdateMcServiceUeInitialConfigurationRequest(
            acm_transaction_id=AcmTransactionId(uuid.uuid4().urn),
            requesting_mc_service_id=self._configuration.client.mc_service_ids[0],
            requesting_functional_alias=functional_alias,
            target_mc_service_id=target if isinstance(target, McServiceId) else None,
            target_functional_alias=target if isinstance(target, FunctionalAlias) else None,
            mc_service_id_list=tuple(users),
            mc_service_ue_initial_configuration_data=document,
            expires_at=datetime.fromtimestamp(int(self._node.clock.now() + expires_s), UTC),
        )
        await self._request(request)
        return request.acm_transaction_id

    async def wait_outcome(
        self, acm_transaction_id: AcmTransactionId, within_s: float | None = None
    ) -> AcmTransaction | None:
        """Wait for the outcome of an own request; None when that took too long."""
        outcome: asyncio.Future[AcmTransaction] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(acm_transaction_id.text, []).append(outcome)
        await self._node.call(self._tell_again(acm_transaction_id))
        try:
            async with asyncio.timeout(within_s):
                return await outcome
        except TimeoutError:
            return None

    async def _request(self, request: AcmRequest) -> None:
        octets = complete_request(encode_body(request), expires_at=None)
        body = decode_body((BodyPart(names.MEDIA_TYPE, octets),))
        assert request.expires_at is not None
        expires_at = request.expires_at.timestamp()

        def decide(records: Records, at: float) -> Sequence[Effect]:
            return decisions.on_own_request(
                self._server,
                records.allocate_numbers(1),
                self._configuration.client.service,
                body,
                at,
                expires_at,
            )

        await self._node.call(decide)

    # As handler

    async def requests(self) -> AsyncIterator[AcmTransaction]:
        """Give every request that waits for a decision of the user, the oldest first."""
        while True:
            transaction = await self._requests.get()
            if transaction.expires_at > self._node.clock.now():
                yield transaction

    async def accept(self, transaction: AcmTransaction) -> None:
        """Accept a request."""
        await self._decide(transaction, is_accepted=True)

    async def reject(
        self, transaction: AcmTransaction, cause: str | None = None, text: str | None = None
    ) -> None:
        """Reject a request.

        :param cause: a token; ``rejected-by-user`` where none is given.
        :param text: for people.
        """
        await self._decide(transaction, is_accepted=False, cause=cause, text=text)

    async def _decide(
        self,
        transaction: AcmTransaction,
        *,
        is_accepted: bool,
        cause: str | None = None,
        text: str | None = None,
    ) -> None:
        if transaction.side is not Side.HANDLER:
            raise LocalProtocolError("not a request to decide")
        target = transaction.target_mc_service_id
        own = self._configuration.client.mc_service_ids
        handler = target if target in own else own[0]

        def decide(records: Records, at: float) -> Sequence[Effect]:
            decision = DecisionMade(
                at=at,
                acm_transaction_id=transaction.acm_transaction_id,
                requesting_mc_service_id=transaction.requesting_mc_service_id,
                handling_mc_service_id=handler,
                is_accepted=is_accepted,
                cause=cause,
                text=text,
            )
            return decisions.on_decision(self._server, records, decision)

        await self._node.call(decide)

    # What happens

    def on_told(self, listener: Callable[[AcmTransaction], None]) -> None:
        """Call a listener with every transaction whose user is to be told something."""
        self._listeners.append(listener)

    def _told(self, transaction: AcmTransaction) -> None:
        for listener in self._listeners:
            listener(transaction)
        if transaction.side is Side.HANDLER:
            if transaction.state is AcmTransactionState.UNDECIDED:
                self._requests.put_nowait(transaction)
            return
        for outcome in self._waiting.pop(transaction.acm_transaction_id.text, ()):
            if not outcome.done():
                outcome.set_result(transaction)

    def _tell_again(
        self, acm_transaction_id: AcmTransactionId
    ) -> Callable[[Records, float], Sequence[Effect]]:
        requester = self._configuration.client.mc_service_ids[0]

        def decide(records: Records, _at: float) -> Sequence[Effect]:
            return decisions.on_outcome_wanted(records, acm_transaction_id, requester)

        return decide

    def _server_found(self, host: str) -> None:
        self._role.server_hosts = frozenset({host})

    def _registration_changed(self, hop: Flow | Peer | None) -> None:
        self._hop = hop
        self._role.is_registered = hop is not None
        if hop is None:
            self._registered.clear()
            return
        self._registered.set()
        self._releasing = asyncio.get_running_loop().create_task(self._release())

    async def _release(self) -> None:
        """Let what is kept for the server leave now; again where the store is not ready."""
        server = str(Destination(DestinationKind.SERVER, self._server))
        while self._hop is not None:
            try:
                await self._node.call(lambda _records, _at: (ReleaseRows((server,)),))
            except StoreError:
                await asyncio.sleep(_STORE_AWAY_S)
            except LocalProtocolError:  # stopped meanwhile
                return
            else:
                return

    def _register_again(self) -> None:
        self._keeper.register_again()

    def _flow_closed(self, flow: Flow) -> None:
        self._keeper.flow_closed(flow)


def _undecided(store: AcmStore) -> list[AcmTransaction]:
    """Return the requests that were taken before a restart and that nobody decided."""
    with store.read() as reader:
        return [
            transaction
            for transaction in reader.list_transactions(limit=10_000, side=Side.HANDLER)
            if transaction.state is AcmTransactionState.UNDECIDED
        ]

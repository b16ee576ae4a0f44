"""An ACM client as the engine runs it: it listens to its own server and to nobody else."""

from __future__ import annotations

from collections.abc import Sequence

from acm_sip import errors
from acm_sip.codec.body import decode_body
from acm_sip.codec.names import McService
from acm_sip.errors import Refused, RemoteProtocolError
from acm_sip.identities import McServiceId, SipIdentity
from acm_sip.procedures import client
from acm_sip.procedures.answers import refuse
from acm_sip.procedures.authentication import Source
from acm_sip.procedures.binding import Addressing, read_parts, read_service
from acm_sip.procedures.delivery import is_binding_lost
from acm_sip.procedures.effects import Effect, Log, RegisterAgain, RemoveOutboxRow
from acm_sip.procedures.events import DeliveryEnded, FlowReceived
from acm_sip.procedures.ports import Records
from acm_sip.procedures.records import AcmTransaction, OutboxRow
from acm_sip.procedures.role import ReadRequest, Sending
from acm_sip.procedures.screening import inspect_extensions, inspect_method, read_request_uri
from acm_sip.procedures.wire_names import USUAL_NAMES, WireNames
from acm_sip.sip.message import Request

__all__ = ["AcmClientRole"]

_METHODS = frozenset({"MESSAGE"})


class AcmClientRole:
    """Every decision of an ACM client that does not come from its user.

    :param public_identity: that registers.
    :param mc_service_ids: for which it speaks.
    :param server: PSI of the own ACM server.
    :param server_hosts: its source addresses.
    :param wire_names: media type and ICSIs, where they are not the usual ones.
    """

    def __init__(
        self,
        public_identity: SipIdentity,
        mc_service_ids: Sequence[McServiceId],
        server: str,
        server_hosts: Sequence[str],
        wire_names: WireNames = USUAL_NAMES,
    ) -> None:
        self._wire_names = wire_names
        self._public_identity = public_identity
        self._mc_service_ids = tuple(mc_service_ids)
        self._server = server
        self.server_hosts = frozenset(server_hosts)  # written by the shell when it found the server
        self.is_registered = False  # written by the shell; rows wait for it

    def read(self, request: Request, source: Source, at: float) -> ReadRequest | Sequence[Effect]:
        """Read a request without the store; what is refused already is its answer."""
        try:
            answer = inspect_method(request, _METHODS)
            if answer is None:
                read_request_uri(request)
                answer = inspect_extensions(request)
            if answer is not None:
                return (answer,)
            if source.host not in self.server_hosts:
                raise Refused(errors.FORBIDDEN, "not from the own ACM server")
            # The document is shown to the user with its faults, so it is read leniently.
            body = decode_body(
                read_parts(request),
                document_mode="report",
                media_type=self._wire_names.media_type,
            )
            return ReadRequest(request, source, at, body)
        except RemoteProtocolError as error:
            return self._refused(source, error)

    def decide(self, records: Records, read: ReadRequest) -> Sequence[Effect]:
        """Decide a request that was read; the effects hold exactly one answer."""
        assert read.body is not None
        service = (
            read_service(read.request, is_asserted=True, wire_names=self._wire_names)
            or McService.MCPTT.value
        )
        try:
            event = FlowReceived(read.at, read.body, service, read.request.expires)
            return client.on_flow(self._server, self._mc_service_ids, records, event)
        except RemoteProtocolError as error:
            return self._refused(read.source, error)

    def resolve(self, records: Records, row: OutboxRow, now: float) -> Sending | None:
        """Return how a row leaves now: to the own server, once registered there."""
        if not self.is_registered:
            return None
        transaction = records.transaction_by_number(row.transaction_number)
        is_request = transaction is not None and transaction.request_flow == row.flow
        return Sending(
            Addressing(
                row.destination.name,
                self._public_identity.text,
                is_asserted=False,
                wire_names=self._wire_names,
            ),
            "server:",
            transaction.expires_at if transaction is not None and is_request else None,
        )

    def on_delivery_ended(self, records: Records, ended: DeliveryEnded) -> Sequence[Effect]:
        """Decide what the end of an attempt means."""
        transaction = records.transaction_by_number(ended.row.transaction_number)
        if transaction is None:
            return (RemoveOutboxRow(ended.row.number),)
        effects = client.on_delivery_ended(records, transaction, ended)
        return (*effects, RegisterAgain()) if is_binding_lost(ended) else effects

    def on_row_deadline(self, records: Records, row: OutboxRow, at: float) -> Sequence[Effect]:
        """Decide what a row means whose time is over."""
        transaction = records.transaction_by_number(row.transaction_number)
        if transaction is None:
            return (RemoveOutboxRow(row.number),)
        return client.on_row_deadline(transaction, row, at)

    def on_deadline(
        self, records: Records, transaction: AcmTransaction, at: float
    ) -> Sequence[Effect]:
        """Decide what a transaction means whose ``due_at`` has come."""
        return client.on_deadline(transaction, at)

    def on_flow_closed(self, records: Records, flow: str) -> Sequence[Effect]:
        """Nothing to decide: the client registers again by itself (RFC 5626 4.5)."""
        return ()

    def _refused(self, source: Source, error: RemoteProtocolError) -> Sequence[Effect]:
        refused = error if isinstance(error, Refused) else Refused(errors.MALFORMED, error.text)
        answer = refuse(refused, self._public_identity.domain, self._wire_names.media_type)
        facts = (("source", source.flow), ("reason", refused.text))
        return (answer, Log("request refused", facts, is_warning=True))

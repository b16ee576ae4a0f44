"""The ACM server of one MC system, primary and partner in one: which decision a request meets.

    MESSAGE   Request-URI -> Require -> body -> who sent it -> the procedure of its flow
    REGISTER  Request-URI -> Require -> the registrar; a log-on releases what is kept
    all else  405, 501 (RFC 3261 8.2.1)

OPTIONS is answered by the SIP shell: it asks nothing of the store.
"""

from __future__ import annotations

from collections.abc import Sequence

from acm_sip import errors
from acm_sip.codec.body import decode_body
from acm_sip.codec.flows import AcmRequest, AcmResponse, InformationFlow, ProcessIndication
from acm_sip.codec.names import McService
from acm_sip.errors import Refused, RemoteProtocolError
from acm_sip.procedures import partner, primary
from acm_sip.procedures.answers import refuse
from acm_sip.procedures.authentication import Sender, Source, authenticate_sender
from acm_sip.procedures.binding import Addressing, read_parts, read_service
from acm_sip.procedures.delivery import resolve
from acm_sip.procedures.effects import (
    AnswerRequest,
    Effect,
    Log,
    RemoveBinding,
    RemoveOutboxRow,
    UpdateTransaction,
)
from acm_sip.procedures.events import DeliveryEnded, FlowReceived
from acm_sip.procedures.mc_system import LocalUser, McSystem, PartnerSystem
from acm_sip.procedures.ports import AliasDirectory, Records
from acm_sip.procedures.records import (
    AcmTransaction,
    DestinationKind,
    OutboxRow,
    Side,
    TransactionKey,
)
from acm_sip.procedures.registration import RegistrationLimits, on_register
from acm_sip.procedures.role import ReadRequest, Sending
from acm_sip.procedures.screening import inspect_extensions, inspect_method, read_request_uri
from acm_sip.sip.message import Request

__all__ = ["AcmServerRole"]

_METHODS = frozenset({"MESSAGE", "REGISTER"})


class AcmServerRole:
    """Every decision of an ACM server.

    :param system: the own MC system; replaced as a whole when the configuration changes.
    :param aliases: the state of the system's functional aliases.
    :param limits: what its registrar grants.
    """

    def __init__(
        self,
        system: McSystem,
        aliases: AliasDirectory,
        limits: RegistrationLimits | None = None,
    ) -> None:
        self._system = system
        self._aliases = aliases
        self._limits = limits or RegistrationLimits()
        self._warn_agent = system.psi.domain

    def read(self, request: Request, source: Source, at: float) -> ReadRequest | Sequence[Effect]:
        """Read a request without the store; what is refused already is its answer."""
        try:
            answer = inspect_method(request, _METHODS)
            if answer is None:
                self._inspect_request_uri(request)
                answer = inspect_extensions(request)
            if answer is not None:
                return (answer, _refusal_log(request, source, answer.status_code, ""))
            if request.method == "REGISTER":
                return ReadRequest(request, source, at, None)
            body = decode_body(
                read_parts(request),
                document_mode=self._system.document_mode,
                media_type=self._system.wire_names.media_type,
            )
            key = _likely_key(request, body.flow)
            return ReadRequest(request, source, at, body, (key,) if key is not None else ())
        except RemoteProtocolError as error:
            return self._refused(request, source, error)

    def decide(self, records: Records, read: ReadRequest) -> Sequence[Effect]:
        """Decide a request that was read; the effects hold exactly one answer."""
        try:
            if read.body is None:
                return self._register(records, read)
            sender = authenticate_sender(self._system, records, read.request, read.source, read.at)
            is_asserted = (
                isinstance(sender, PartnerSystem)
                or read.source.host in self._system.trusted_proxies
            )
            service = read_service(
                read.request, is_asserted=is_asserted, wire_names=self._system.wire_names
            )
            event = FlowReceived(read.at, read.body, service or McService.MCPTT.value)
            effects = self._decide_flow(records, sender, event)
            return (*effects, *_oddities(read, service))
        except RemoteProtocolError as error:
            return self._refused(read.request, read.source, error)

    def resolve(self, records: Records, row: OutboxRow, now: float) -> Sending | None:
        """Return how a row leaves now; None parks it."""
        attempt = resolve(self._system, self._aliases, records, row, now)
        if attempt is None:
            return None
        psi = self._system.psi.text
        transaction = records.transaction_by_number(row.transaction_number)
        is_request = transaction is not None and transaction.request_flow == row.flow
        expires_at = transaction.expires_at if transaction is not None and is_request else None
        if row.destination.kind is DestinationKind.PARTNER:
            next_system = self._system.partner(row.destination.name)
            if next_system is None:
                return None
            addressing = Addressing(
                next_system.psi.text, psi, is_asserted=True, wire_names=self._system.wire_names
            )
            return Sending(addressing, f"partner:{next_system.name}", expires_at)
        assert attempt.binding is not None
        updates: tuple[Effect, ...] = ()
        if is_request and transaction is not None and attempt.receiver is not None:
            after = partner.offered_to(transaction, attempt.receiver)
            updates = () if after is transaction else (UpdateTransaction(after),)
        return Sending(
            Addressing(
                attempt.binding.contact,
                psi,
                is_asserted=True,
                forbids_forking=True,
                routes=attempt.binding.path,  # RFC 3327 5.3
                wire_names=self._system.wire_names,
            ),
            f"flow:{attempt.binding.flow}",
            expires_at,
            updates,
        )

    def on_delivery_ended(self, records: Records, ended: DeliveryEnded) -> Sequence[Effect]:
        """Decide what the end of an attempt means."""
        transaction = records.transaction_by_number(ended.row.transaction_number)
        if transaction is None:
            return (RemoveOutboxRow(ended.row.number),)
        if transaction.side is Side.PRIMARY:
            return primary.on_delivery_ended(self._system, records, transaction, ended)
        return partner.on_delivery_ended(self._system, records, transaction, ended)

    def on_row_deadline(self, records: Records, row: OutboxRow, at: float) -> Sequence[Effect]:
        """Decide what a row means whose time is over."""
        transaction = records.transaction_by_number(row.transaction_number)
        if transaction is not None and transaction.side is Side.PRIMARY:
            return primary.on_row_deadline(self._system, transaction, row, at)
        return (RemoveOutboxRow(row.number),)

    def on_deadline(
        self, records: Records, transaction: AcmTransaction, at: float
    ) -> Sequence[Effect]:
        """Decide what a transaction means whose ``due_at`` has come."""
        if transaction.side is Side.PRIMARY:
            return primary.on_deadline(self._system, transaction, at)
        return partner.on_deadline(self._system, transaction, at)

    def on_flow_closed(self, records: Records, flow: str) -> Sequence[Effect]:
        """Remove the bindings of a connection that is gone (RFC 5626 5.3); their rows park."""
        return [RemoveBinding(binding) for binding in records.bindings_on(flow)]

    def _inspect_request_uri(self, request: Request) -> None:
        uri = read_request_uri(request)
        if request.method == "REGISTER":
            # RFC 3261 10.2: the domain of the location service; "@" and user are absent.
            if uri.host not in self._system.domains and uri.host != self._system.psi.domain:
                raise Refused(errors.REQUEST_URI_UNKNOWN)
        elif uri.canonical.partition(";")[0] != self._system.psi.canonical.partition(";")[0]:
            raise Refused(errors.REQUEST_URI_UNKNOWN)

    def _register(self, records: Records, read: ReadRequest) -> Sequence[Effect]:
        registered = on_register(
            self._system, self._limits, records, read.request, read.source.flow, read.at
        )
        if not registered.is_log_on:
            return registered.effects
        released = partner.on_log_on(self._system, self._aliases, records, registered.user, read.at)
        return (*registered.effects, *released)

    def _decide_flow(
        self, records: Records, sender: Sender, event: FlowReceived
    ) -> Sequence[Effect]:
        flow = event.body.flow
        if isinstance(sender, LocalUser):
            if isinstance(flow, AcmRequest):
                return primary.on_request(self._system, self._aliases, records, sender, event)
            if isinstance(flow, AcmResponse):
                return partner.on_response(self._system, self._aliases, records, sender, event)
        elif isinstance(flow, AcmRequest):
            return partner.on_request(self._system, self._aliases, records, sender, event)
        elif isinstance(flow, AcmResponse):
            return primary.on_response(records, sender, event)
        elif isinstance(flow, ProcessIndication):
            return primary.on_process_indication(records, sender, event)
        raise Refused(errors.FORBIDDEN, "the information flow is not one for this server")

    def _refused(
        self, request: Request, source: Source, error: RemoteProtocolError
    ) -> Sequence[Effect]:
        refused = error if isinstance(error, Refused) else Refused(errors.MALFORMED, error.text)
        answer: AnswerRequest = refuse(
            refused, self._warn_agent, self._system.wire_names.media_type
        )
        return (answer, _refusal_log(request, source, answer.status_code, refused.text))


def _likely_key(request: Request, flow: InformationFlow) -> TransactionKey | None:
    """Guess under which key the decision will look; a wrong guess costs one more look-up."""
    is_from_server = request.headers.get("P-Asserted-Identity") is not None
    if isinstance(flow, AcmRequest):
        side = Side.PARTNER if is_from_server else Side.PRIMARY
        requester = flow.requesting_mc_service_id
    elif isinstance(flow, AcmResponse):
        side = Side.PRIMARY if is_from_server else Side.PARTNER
        requester = flow.target_mc_service_id
    elif isinstance(flow, ProcessIndication):
        side, requester = Side.PRIMARY, flow.requesting_mc_service_id
    else:
        return None
    return TransactionKey(side, flow.acm_transaction_id.text, requester.canonical)


def _oddities(read: ReadRequest, service: str | None) -> Sequence[Log]:
    """Note what is accepted although a sender should not do it."""
    assert read.body is not None
    logs = []
    if service is None:
        logs.append(Log("no MC service named", (("source", read.source.flow),)))
    if read.body.ignored_parts:
        facts = (("source", read.source.flow), ("parts", ", ".join(read.body.ignored_parts)))
        logs.append(Log("body parts ignored", facts))
    if read.body.document_warnings:
        first = read.body.document_warnings[0]
        logs.append(
            Log(
                "faults in the document",
                (
                    ("acm_transaction_id", read.body.flow.acm_transaction_id.text),
                    ("count", str(len(read.body.document_warnings))),
                    ("path", first.path),
                    ("rule", first.rule),
                    ("reason", first.message),
                ),
                is_warning=True,
            )
        )
    return logs


def _refusal_log(request: Request, source: Source, status_code: int, text: str) -> Log:
    return Log(
        "request refused",
        (
            ("method", request.method),
            ("source", source.flow),
            ("status_code", str(status_code)),
            ("reason", text),
        ),
        is_warning=True,
    )

"""Information flow <-> SIP MESSAGE: the only module that knows both.

Who says what on which hop (provisional, in the manner of TS 24.379 11.1.5 and 6.3):

    client -> own server      Request-URI: PSI of the server; P-Preferred-Identity and -Service
    server -> partner server  Request-URI: PSI of the partner; P-Asserted-Identity: own PSI
    server -> client          Request-URI: the registered contact; the same; no-fork

MESSAGE makes no dialog (RFC 3428 4): every attempt has a Call-ID and a From tag of its own, and
what belongs together is told by the acm-transaction-id in the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from acm_sip import errors
from acm_sip.codec.body import BodyPart
from acm_sip.errors import Refused, RemoteProtocolError
from acm_sip.procedures.wire_names import USUAL_NAMES, WireNames
from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request
from acm_sip.sip.multipart import split_multipart

__all__ = ["Addressing", "read_parts", "read_service", "write_message"]


@dataclass(frozen=True, slots=True)
class Addressing:
    """The header fields of a MESSAGE that depend on the hop.

    :param request_uri: the next entity, or a registered contact.
    :param sender: public identity or PSI of the sender, for From and for the identity field.
    :param is_asserted: True between servers and towards clients (P-Asserted-*), False from a
        client (P-Preferred-*).
    :param forbids_forking: towards a client (Request-Disposition, RFC 3841).
    :param routes: values of Route, topmost first: the Path of the contact (RFC 3327 5.1).
    :param wire_names: media type and ICSIs.
    """

    request_uri: str
    sender: str
    is_asserted: bool
    forbids_forking: bool = False
    routes: tuple[str, ...] = ()
    wire_names: WireNames = USUAL_NAMES


def write_message(
    addressing: Addressing,
    octets: bytes,
    *,
    service: str,
    at: float,
    expires_at: float | None,
    call_id: str,
    from_tag: str,
) -> Request:
    """Return the MESSAGE for one hop, without Via (the transport adds it).

    :param octets: the acm-info document.
    :param service: MC service, for the ICSI and the feature tag.
    :param at: UTC epoch seconds, for Date.
    :param expires_at: end of a request, for Expires; None for other flows.
    """
    wire_names = addressing.wire_names
    kind = "Asserted" if addressing.is_asserted else "Preferred"
    fields = [
        *(("Route", value) for value in addressing.routes),
        ("Max-Forwards", "70"),
        ("From", f"<{addressing.sender}>;tag={from_tag}"),
        ("To", f"<{addressing.request_uri}>"),
        ("Call-ID", call_id),
        ("CSeq", "1 MESSAGE"),
        (f"P-{kind}-Identity", f"<{addressing.sender}>"),
        (f"P-{kind}-Service", wire_names.icsi(service)),
        # Two fields, each require;explicit (TS 24.379 6.3.2.1); merged forms are read as well.
        *(("Accept-Contact", value) for value in wire_names.accept_contacts(service)),
    ]
    if addressing.forbids_forking:
        fields.append(("Request-Disposition", "no-fork"))
    fields.append(("Date", _sip_date(at)))
    if expires_at is not None:
        fields.append(("Expires", str(max(0, min(int(expires_at - at), 2**32 - 1)))))
    fields.append(("Content-Type", wire_names.media_type))
    return Request("MESSAGE", addressing.request_uri, HeaderFields.from_canonical(fields), octets)


def read_service(
    request: Request, *, is_asserted: bool, wire_names: WireNames = USUAL_NAMES
) -> str | None:
    """Return the MC service that the sender named; None where it named none that we know.

    :param is_asserted: the sender is trusted to assert it (RFC 6050 4.1); a client only prefers.
    """
    value = request.headers.get("P-Asserted-Service" if is_asserted else "P-Preferred-Service")
    return None if value is None else wire_names.service_of(value)


def read_parts(request: Request) -> tuple[BodyPart, ...]:
    """Return the body parts of a MESSAGE for the codec.

    :raises Refused: 403 for no body, 415 for an encoding or a part that cannot be understood and
        is not optional (RFC 3261 8.2.3), 400 for a multipart that breaks its own syntax.
    """
    if not request.body:
        raise Refused(errors.BODY_MISSING)
    encoding = request.headers.get("Content-Encoding")
    if encoding is not None and encoding.lower() != "identity":
        raise Refused(errors.MEDIA_TYPE_UNSUPPORTED)
    media_type = request.content_type
    if media_type is None:
        # RFC 3261 20.15: Content-Type MUST be present where the body is not empty.
        raise Refused(errors.MALFORMED, "Missing Content-Type header field")
    if media_type.type != "multipart":
        return (BodyPart(media_type.essence, request.body),)
    if media_type.essence != "multipart/mixed":
        raise Refused(errors.MEDIA_TYPE_UNSUPPORTED)
    try:
        parts = split_multipart(media_type, request.body)
    except RemoteProtocolError as error:
        if error.status_code == 415:
            raise Refused(errors.MEDIA_TYPE_UNSUPPORTED) from None
        raise Refused(errors.MALFORMED, error.text) from None
    return tuple(
        BodyPart(
            part.content_type.essence,
            part.body,
            content_id=part.content_id,
            handling_optional=part.is_optional,
        )
        for part in parts
    )


def _sip_date(at: float) -> str:
    """RFC 3261 20.17: the preferred form of RFC 1123, always GMT."""
    moment = datetime.fromtimestamp(int(at), UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{day}, {moment.day:02} {months[moment.month - 1]} {moment:%Y %H:%M:%S} GMT"

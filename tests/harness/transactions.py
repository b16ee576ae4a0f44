"""Requests, responses and flows for transaction tests."""

from __future__ import annotations

from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.message import Request, Response, create_response
from acm_sip.sip.routing import Flow, Transport

CLIENT = ("192.0.2.1", 5070)
SERVER = ("192.0.2.2", 5060)


def make_flow(transport: Transport = "UDP", connection: int | None = None) -> Flow:
    """The way from CLIENT to SERVER, as the server sees it."""
    if connection is None and transport != "UDP":
        connection = 1
    return Flow(transport, SERVER, CLIENT, connection)


def reverse(flow: Flow) -> Flow:
    return Flow(flow.transport, flow.remote, flow.local, flow.connection)


def make_request(
    branch: str | None = "z9hG4bK-1",
    *,
    method: str = "MESSAGE",
    transport: str = "UDP",
    sent_by: str = "192.0.2.1:5070",
    via_parameters: str = "",
    request_uri: str = "sip:acm@mc2.example",
    cseq: int = 1,
    call_id: str = "1@192.0.2.1",
    from_tag: str = "a",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
) -> Request:
    branch_parameter = "" if branch is None else f";branch={branch}"
    return Request(
        method,
        request_uri,
        HeaderFields(
            [
                ("Via", f"SIP/2.0/{transport} {sent_by}{branch_parameter}{via_parameters}"),
                ("Max-Forwards", "70"),
                ("From", f"<sip:acm@mc1.example>;tag={from_tag}"),
                ("To", "<sip:acm@mc2.example>"),
                ("Call-ID", call_id),
                ("CSeq", f"{cseq} {method}"),
                *headers,
            ]
        ),
        body,
    )


def make_response(request: Request, status_code: int = 200) -> Response:
    return create_response(request, status_code, to_tag="b")

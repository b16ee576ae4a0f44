"""The way into the SIP layer: one message out of a datagram, or messages out of a stream.

RFC 3261 18.3: in a datagram Content-Length may be missing and octets behind the body are noise
(RFC 4475 3.1.1.8); a body that the datagram does not hold is an error. All other rules are those
of :mod:`acm_sip.sip.framing`.
"""

from __future__ import annotations

from typing import Final

from acm_sip.errors import RemoteProtocolError
from acm_sip.sip.framing import KeepAlive, Limits, MalformedMessage, read_head
from acm_sip.sip.message import Message
from acm_sip.sip.stream import StreamEvent, StreamParser

__all__ = [
    "KeepAlive",
    "Limits",
    "MalformedMessage",
    "StreamEvent",
    "StreamParser",
    "parse_datagram",
]

_DEFAULT_LIMITS: Final = Limits()


def parse_datagram(octets: bytes, limits: Limits = _DEFAULT_LIMITS) -> Message | KeepAlive:
    """Read one datagram.

    :returns: the message, or KeepAlive for an empty datagram and one of CRLF only.
    :raises MalformedMessage: with the answer to send, if one may be sent.
    """
    start = 0
    while octets.startswith(b"\r\n", start):  # RFC 3261 7.5
        start += 2
    if start == len(octets):
        return KeepAlive(is_ping=start >= 4)
    end = octets.find(b"\r\n\r\n", start)
    limit = limits.header_section_octets
    too_long = (end if end >= 0 else len(octets)) - start > limit
    if too_long:
        section = octets[start : start + limit]
    else:
        section = octets[start : end if end >= 0 else len(octets)].removesuffix(b"\r\n")
    head = read_head(section, limits, is_stream=False)
    if too_long:
        head.fault = RemoteProtocolError("Header section too long", 513)
    elif end < 0:
        head.break_rule(RemoteProtocolError("Missing empty line"), is_fatal=True)
    if head.fault is None:
        body = octets[end + 4 :]
        if head.content_length is not None:
            if head.content_length > len(body):  # RFC 3261 18.3
                head.break_rule(
                    RemoteProtocolError("Content-Length larger than message"), is_fatal=True
                )
            body = body[: head.content_length]
        elif len(body) > limits.body_octets:
            head.break_rule(RemoteProtocolError("Body too large", 413), is_fatal=False)
    if head.fault is not None:
        raise head.refusal()
    assert head.message is not None
    head.message.body = body
    return head.message

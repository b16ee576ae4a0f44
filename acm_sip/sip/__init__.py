"""The SIP layer: RFC 3261 without INVITE, pure.

Octets become messages in :mod:`~acm_sip.sip.parser`, messages belong to transactions in
:mod:`~acm_sip.sip.transaction`. Nothing here reads a clock, owns a socket or makes a random
identifier: instants and identifiers are arguments.
"""

from __future__ import annotations

from acm_sip.sip.header_fields import HeaderFields
from acm_sip.sip.headers import AcceptContact, CSeq, MediaType, NameAddr, Via, WarningValue
from acm_sip.sip.message import Message, Request, Response, create_response, stateless_to_tag
from acm_sip.sip.multipart import BodyPart, encode_multipart, split_multipart
from acm_sip.sip.parser import KeepAlive, Limits, MalformedMessage, StreamParser, parse_datagram

__all__ = [
    "AcceptContact",
    "BodyPart",
    "CSeq",
    "HeaderFields",
    "KeepAlive",
    "Limits",
    "MalformedMessage",
    "MediaType",
    "Message",
    "NameAddr",
    "Request",
    "Response",
    "StreamParser",
    "Via",
    "WarningValue",
    "create_response",
    "encode_multipart",
    "parse_datagram",
    "split_multipart",
    "stateless_to_tag",
]

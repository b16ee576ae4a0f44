"""Typed header fields: RFC 3261 20 and 25.1, RFC 3581 (rport), RFC 3841, RFC 3325.

One frozen dataclass for each kind of value, and one function that reads it from the values of
all field lines of its name. What is malformed raises RemoteProtocolError naming the field.

Deliberately absent: credentials and challenges, and SIP-date (a wrong time zone is ignored, RFC
4475 3.1.2.12).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from acm_sip.errors import RemoteProtocolError
from acm_sip.sip.grammar import (
    GENERIC_VALUE,
    LWS,
    MAX_UINT32,
    QUOTED_STRING,
    TOKEN,
    TOKEN_PATTERN,
    Parameters,
    format_parameters,
    malformed,
    parse_decimal,
    quote,
    read_parameters,
    split_list,
    unquote,
)
from acm_sip.uri import SipUri, parse_hostport

__all__ = [
    "AcceptContact",
    "CSeq",
    "MediaType",
    "NameAddr",
    "Via",
    "WarningValue",
]

_MAX_CACHED_CHARACTERS: Final = 256  # ours: bounds the memory of the caches below
SIP_SCHEMES: Final = frozenset(("sip", "sips"))

_PARAMETERS: Final = rf"(?:;{LWS}{TOKEN}{LWS}(?:={LWS}{GENERIC_VALUE}{LWS})?)*"
# absoluteURI and SIP-URI share these characters; spaces and brackets can never be inside.
_URI: Final = r"[A-Za-z][A-Za-z0-9+.\-]*+:[!#-;=?-Z\[\]_a-z~]++"
_BARE_URI: Final = r"[A-Za-z][A-Za-z0-9+.\-]*+:[!#-+\--:=@-Z\[\]_a-z~]++"
_NAME_ADDR: Final = re.compile(
    rf"(?:(?P<quoted>{QUOTED_STRING}){LWS}|(?P<words>(?:{TOKEN}{LWS})*))"
    rf"<(?P<uri>{_URI})>{LWS}(?P<parameters>{_PARAMETERS})"
)
# RFC 3261 20.10: without brackets what follows ";" belongs to the field, "?" and "," cannot be.
_ADDR_SPEC: Final = re.compile(rf"(?P<uri>{_BARE_URI}){LWS}(?P<parameters>{_PARAMETERS})")
_VIA_VALUE: Final = rf"(?:[0-9A-Fa-f]*+:[0-9A-Fa-f:.]++|{GENERIC_VALUE})"  # RFC 5118 4.5
_VIA_PARAMETERS: Final = re.compile(rf"(?:;{LWS}{TOKEN}{LWS}(?:={LWS}{_VIA_VALUE}{LWS})?)*")
_VIA_HOP: Final = re.compile(
    rf"(?P<name>{TOKEN}){LWS}/{LWS}(?P<version>{TOKEN}){LWS}/{LWS}(?P<transport>{TOKEN})[ \t]++"
    rf"(?P<host>[A-Za-z0-9.\-]++|\[[0-9A-Fa-f:.]++\]){LWS}(?::{LWS}(?P<port>[0-9]++){LWS})?"
)
_CSEQ: Final = re.compile(rf"([0-9]++)[ \t]++({TOKEN})")
_MEDIA_TYPE: Final = re.compile(
    rf"({TOKEN}){LWS}/{LWS}({TOKEN}){LWS}((?:;{LWS}{TOKEN}{LWS}={LWS}{GENERIC_VALUE}{LWS})*)"
)
_ACCEPT_CONTACT: Final = re.compile(rf"\*{LWS}({_PARAMETERS})")
_WARNING: Final = re.compile(rf"([0-9]{{3}}) ([!-~]++) ({QUOTED_STRING})")
_RETRY_AFTER: Final = re.compile(rf"([0-9]++){LWS}(?:\(.*\){LWS})?{_PARAMETERS}")
_CALL_ID: Final = re.compile(
    r"[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]++(?:@[A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}]++)?"
)


class _WithParameters:
    """What values with parameters share."""

    __slots__ = ()
    parameters: Parameters

    def parameter(self, name: str) -> str | None:
        """Return the unquoted value ("" for a flag), or None when the parameter is absent."""
        wanted = name.lower()
        for parameter_name, value in self.parameters:
            if parameter_name == wanted or parameter_name.lower() == wanted:
                return "" if value is None else unquote(value)
        return None


@dataclass(frozen=True, slots=True)
class NameAddr(_WithParameters):
    """A name-addr or addr-spec with the parameters of its header field.

    :param display_name: without quotes, or None.
    :param uri: as it stood between the brackets; any scheme.
    """

    display_name: str | None
    uri: str
    parameters: Parameters = ()

    @property
    def tag(self) -> str | None:
        """The tag parameter of From and To."""
        return self.parameter("tag")

    @property
    def sip_uri(self) -> SipUri:
        """The URI, read; raises RemoteProtocolError when it is no SIP URI."""
        return SipUri.parse(self.uri)

    def __str__(self) -> str:
        display = "" if self.display_name is None else f"{quote(self.display_name)} "
        return f"{display}<{self.uri}>{format_parameters(self.parameters)}"


@dataclass(frozen=True, slots=True)
class Via(_WithParameters):
    """One hop of RFC 3261 20.42.

    :param transport: upper case.
    :param sent_by_host: lower case; an IPv6 reference keeps its brackets.
    :param sent_by_port: None when there is none (never the default port).
    """

    transport: str
    sent_by_host: str
    sent_by_port: int | None = None
    parameters: Parameters = ()
    protocol_name: str = "SIP"
    protocol_version: str = "2.0"

    @property
    def branch(self) -> str | None:
        """The transaction identifier of the client (17.1.3)."""
        return self.parameter("branch")

    @property
    def received(self) -> str | None:
        """The source address a server saw, an IPv6 address without brackets."""
        value = self.parameter("received")
        return None if value is None else value.strip("[]")

    @property
    def has_rport(self) -> bool:
        """True when the client asked for RFC 3581, with or without a value."""
        return self.parameter("rport") is not None

    @property
    def rport(self) -> int | None:
        """The source port a server saw; None when absent or still without a value."""
        value = self.parameter("rport")
        return parse_decimal(value, 65535, "rport in Via") if value else None

    def with_received(self, host: str, rport: int | None = None) -> Via:
        """Return the Via as a server annotates it (18.2.1, RFC 3581 4).

        :param host: source address; replaces whatever the sender wrote there.
        :param rport: source port, or None to leave rport as it is.
        """
        parameters = _replace(self.parameters, "received", host)
        if rport is not None:
            parameters = _replace(parameters, "rport", str(rport))
        return Via(
            self.transport,
            self.sent_by_host,
            self.sent_by_port,
            parameters,
            self.protocol_name,
            self.protocol_version,
        )

    def __str__(self) -> str:
        port = "" if self.sent_by_port is None else f":{self.sent_by_port}"
        return (
            f"{self.protocol_name}/{self.protocol_version}/{self.transport} "
            f"{self.sent_by_host}{port}{format_parameters(self.parameters)}"
        )


@dataclass(frozen=True, slots=True)
class CSeq:
    """Sequence number and method (20.16)."""

    sequence_number: int
    method: str

    def __str__(self) -> str:
        return f"{self.sequence_number} {self.method}"


@dataclass(frozen=True, slots=True)
class MediaType(_WithParameters):
    """A media type (20.15); type and subtype in lower case."""

    type: str
    subtype: str
    parameters: Parameters = ()

    @property
    def essence(self) -> str:
        """Type and subtype without parameters, such as ``multipart/mixed``."""
        return f"{self.type}/{self.subtype}"

    def __str__(self) -> str:
        return self.essence + format_parameters(self.parameters)


@dataclass(frozen=True, slots=True)
class AcceptContact(_WithParameters):
    """One value of Accept-Contact (RFC 3841 9.2)."""

    parameters: Parameters = ()

    def __str__(self) -> str:
        return "*" + format_parameters(self.parameters)


@dataclass(frozen=True, slots=True)
class WarningValue:
    """One value of Warning (20.43); the text without its quotes."""

    code: int
    agent: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.agent} {quote(self.text)}"


def only_value(values: list[str], field: str) -> str:
    """Return the value of a field that a message has exactly once."""
    if len(values) == 1:
        return values[0]
    raise RemoteProtocolError(f"{'Repeated' if values else 'Missing'} {field} header field")


def read_vias(values: list[str]) -> tuple[Via, ...]:
    """Read every Via, the topmost first."""
    if not values:
        raise RemoteProtocolError("Missing Via header field")
    if len(values) == 1 and "," not in values[0]:
        return (_read_via(values[0]),)
    return tuple([_read_via(item) for value in values for item in split_list(value, "Via")])


def read_name_addr(values: list[str], field: str) -> NameAddr:
    """Read From or To."""
    text = only_value(values, field)
    if len(text) > _MAX_CACHED_CHARACTERS:
        return _parse_name_addr(text, field)
    # All but the tag repeats from message to message.
    address, separator, tag = text.rpartition(">;tag=")
    if not separator or TOKEN_PATTERN.fullmatch(tag) is None:
        return _short_name_addr(text, field)
    known = _short_name_addr(f"{address}>", field)
    return NameAddr(known.display_name, known.uri, (("tag", tag),))


def read_name_addrs(values: list[str], field: str) -> tuple[NameAddr, ...]:
    """Read a list of addresses: Contact, Route, Path, P-Asserted-Identity, ..."""
    addresses: list[NameAddr] = []
    for value in values:
        parse = _short_name_addrs if len(value) <= _MAX_CACHED_CHARACTERS else _parse_name_addrs
        addresses += parse(value, field)
    return tuple(addresses)


def read_call_id(values: list[str]) -> str:
    """Read Call-ID: word ["@" word], which compares octet by octet (20.8)."""
    value = only_value(values, "Call-ID")
    if _CALL_ID.fullmatch(value) is None:
        raise malformed("Call-ID")
    return value


def read_cseq(values: list[str]) -> CSeq:
    """Read CSeq; the number fits 32 bits (20.16)."""
    match = _CSEQ.fullmatch(only_value(values, "CSeq"))
    if match is None:
        raise malformed("CSeq")
    return CSeq(parse_decimal(match[1], MAX_UINT32, "CSeq"), match[2])


def read_number(values: list[str], field: str, maximum: int = MAX_UINT32) -> int | None:
    """Read a field that is one number; None when it is absent."""
    return parse_decimal(only_value(values, field), maximum, field) if values else None


def read_retry_after(values: list[str]) -> int | None:
    """Read the seconds of Retry-After (20.33); comment and parameters are dropped."""
    if not values:
        return None
    match = _RETRY_AFTER.fullmatch(only_value(values, "Retry-After"))
    if match is None:
        raise malformed("Retry-After")
    return parse_decimal(match[1], MAX_UINT32, "Retry-After")


def read_media_type(values: list[str]) -> MediaType | None:
    """Read Content-Type; None when it is absent."""
    return parse_media_type(only_value(values, "Content-Type")) if values else None


def read_tokens(values: list[str], field: str) -> tuple[str, ...]:
    """Read a list of tokens, such as Require, Supported or Allow; a value may be empty."""
    tokens = [item.strip(" \t") for value in values if value for item in value.split(",")]
    if any(TOKEN_PATTERN.fullmatch(token) is None for token in tokens):
        raise malformed(field)
    return tuple(tokens)


def read_accept_contacts(values: list[str]) -> tuple[AcceptContact, ...]:
    """Read Accept-Contact, on one line or several."""
    return tuple([contact for value in values for contact in _accept_contact_list(value)])


def read_warnings(values: list[str]) -> tuple[WarningValue, ...]:
    """Read Warning."""
    found: list[WarningValue] = []
    for value in values:
        for item in split_list(value, "Warning"):
            match = _WARNING.fullmatch(item)
            if match is None:
                raise malformed("Warning")
            found.append(WarningValue(int(match[1]), match[2], unquote(match[3])))
    return tuple(found)


@lru_cache(maxsize=1024)  # ours: a peer uses a handful of media types
def parse_media_type(text: str, field: str = "Content-Type") -> MediaType:
    """Read one media type."""
    match = _MEDIA_TYPE.fullmatch(text)
    if match is None:
        raise malformed(field)
    parameters = read_parameters(match[3], field) if match[3] else ()
    return MediaType(match[1].lower(), match[2].lower(), parameters)


def _read_via(text: str) -> Via:
    # No character before the first semicolon can be one: up to there messages repeat.
    hop, separator, rest = text.partition(";")
    read_hop = _short_via_hop if len(hop) <= _MAX_CACHED_CHARACTERS else _via_hop
    name, version, transport, host, port = read_hop(hop)
    rest = separator + rest
    if _VIA_PARAMETERS.fullmatch(rest) is None:
        raise malformed("Via")
    return Via(transport, host, port, read_parameters(rest, "Via"), name, version)


def _via_hop(text: str) -> tuple[str, str, str, str, int | None]:
    match = _VIA_HOP.fullmatch(text)
    if match is None:
        raise malformed("Via")
    name, version, transport, host, digits = match.groups()
    try:
        host, port = parse_hostport(host if digits is None else f"{host}:{digits}")
    except RemoteProtocolError as error:
        raise malformed("Via", error.text) from None
    return name, version, transport.upper(), host, port


_short_via_hop: Final = lru_cache(maxsize=2048)(_via_hop)  # ours: the peers of a busy server


def _parse_name_addr(text: str, field: str) -> NameAddr:
    match = _NAME_ADDR.fullmatch(text)
    if match is not None:
        quoted, words, uri, parameters = match.groups()
        display = unquote(quoted) if quoted is not None else words.rstrip(" \t") or None
    else:
        match = _ADDR_SPEC.fullmatch(text)
        if match is None:
            raise malformed(field)
        uri, parameters = match.groups()
        display = None
    if uri.partition(":")[0].lower() in SIP_SCHEMES:
        try:
            SipUri.parse(uri)
        except RemoteProtocolError as error:
            raise malformed(field, error.text) from None
    return NameAddr(display, uri, read_parameters(parameters, field) if parameters else ())


def _parse_name_addrs(text: str, field: str) -> tuple[NameAddr, ...]:
    return tuple([_parse_name_addr(item, field) for item in split_list(text, field)])


# Ours: the identities and routes of a busy server.
_short_name_addr: Final = lru_cache(maxsize=2048)(_parse_name_addr)
_short_name_addrs: Final = lru_cache(maxsize=2048)(_parse_name_addrs)


@lru_cache(maxsize=256)  # ours: a peer sends the same feature tags every time
def _accept_contact_list(text: str) -> tuple[AcceptContact, ...]:
    found: list[AcceptContact] = []
    for item in split_list(text, "Accept-Contact"):
        match = _ACCEPT_CONTACT.fullmatch(item)
        if match is None:
            raise malformed("Accept-Contact")
        found.append(AcceptContact(read_parameters(match[1], "Accept-Contact")))
    return tuple(found)


def _replace(parameters: Parameters, name: str, value: str) -> Parameters:
    if any(parameter_name.lower() == name for parameter_name, _ in parameters):
        return tuple([(old, value if old.lower() == name else text) for old, text in parameters])
    return (*parameters, (name, value))

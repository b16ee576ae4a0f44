"""SIP and SIPS URIs: RFC 3261 19.1 and 25.1, IPv6 after RFC 5118 and RFC 5954.

A URI is split, not decoded: the user part keeps its escapes, so that what was received can be
written again and ``%00`` never cuts an address (RFC 4475 3.1.1.4). Two URIs are compared by
:attr:`SipUri.canonical`.

Deliberately absent: tel URIs, resolution (that is routing), and IPv6 zone identifiers, which
RFC 3261 does not have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Self

from acm_sip.errors import RemoteProtocolError

__all__ = ["SipUri", "parse_hostport"]

_MAX_CACHED_CHARACTERS: Final = 256  # ours: bounds the cache; addresses of record are far below
_MAX_HOST_CHARACTERS: Final = 255  # RFC 1035 2.3.4

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+:")
# The character sets of RFC 3261 25.1; an escape is written out so that a bare "%" never passes.
_USER: Final = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]++|%[0-9A-Fa-f]{2})+"
_PASSWORD: Final = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,]++|%[0-9A-Fa-f]{2})*"  # noqa: S105 - a grammar
_PARAMETER: Final = r"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]++|%[0-9A-Fa-f]{2})+"
_HEADER: Final = r"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$]++|%[0-9A-Fa-f]{2})"
_SIP_URI: Final = re.compile(
    rf"(?P<scheme>[Ss][Ii][Pp][Ss]?):"
    rf"(?:(?P<user>{_USER})(?::(?P<password>{_PASSWORD}))?@)?"
    rf"(?P<hostport>[A-Za-z0-9.\-]++(?::[0-9]++)?|\[[0-9A-Fa-f:.]++\](?::[0-9]++)?)"
    rf"(?P<parameters>(?:;{_PARAMETER}(?:={_PARAMETER})?)*)"
    rf"(?:\?(?P<headers>{_HEADER}+={_HEADER}*(?:&{_HEADER}+={_HEADER}*)*))?"
)
_HOSTPORT: Final = re.compile(
    r"(?P<host>[A-Za-z0-9.\-]++|\[[0-9A-Fa-f:.]++\])(?::(?P<port>[0-9]++))?"
)
_IPV4_SHAPED: Final = re.compile(r"[0-9.]++")
_IPV4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}")
_HOSTNAME: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?\.)*"
    r"[A-Za-z](?:[A-Za-z0-9\-]*[A-Za-z0-9])?\.?"
)
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()"
)


@dataclass(frozen=True, slots=True)
class SipUri:
    """A SIP or SIPS URI.

    :param scheme: ``sip`` or ``sips``.
    :param user: the user part with its escapes as they stood, or None.
    :param host: lower case; an IPv6 reference keeps its brackets.
    :param port: as given; None when there is none (never the default port).
    :param parameters: pairs as they stood; the value is None for a parameter without ``=``.
    :param headers: what follows ``?``, still escaped; empty when there is none.
    """

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None
    parameters: tuple[tuple[str, str | None], ...] = ()
    headers: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URI.

        :raises RemoteProtocolError: 400 for bad syntax, 416 for a scheme other than these two.
        """
        if len(text) <= _MAX_CACHED_CHARACTERS and cls is SipUri:
            return _parse_short(text)  # type: ignore[return-value]
        return cls(*_split(text))

    def parameter(self, name: str) -> str | None:
        """Return the value of a parameter ("" when it has none), or None when it is absent."""
        wanted = name.lower()
        for parameter_name, value in self.parameters:
            if parameter_name.lower() == wanted:
                return "" if value is None else value
        return None

    @property
    def canonical(self) -> str:
        """The form in which equal URIs are equal text (RFC 3261 19.1.4).

        # Deviates from RFC 3261 19.1.4: a parameter that only one URI has makes them differ;
        # the RFC's rule is not transitive and so cannot be a key.
        """
        parts = [self.scheme, ":"]
        if self.user is not None:
            parts.append(_canonical_escapes(self.user))
            if self.password is not None:
                parts += [":", _canonical_escapes(self.password)]
            parts.append("@")
        parts.append(_canonical_host(self.host))
        if self.port is not None:
            parts.append(f":{self.port}")
        parameters = [
            _canonical_escapes(name).lower()
            + ("" if value is None else "=" + _canonical_escapes(value).lower())
            for name, value in self.parameters
        ]
        parts += [f";{parameter}" for parameter in sorted(parameters)]
        if self.headers:
            parts += ["?", "&".join(sorted(map(_canonical_header, self.headers.split("&"))))]
        return "".join(parts)

    def __str__(self) -> str:
        userinfo = ""
        if self.user is not None:
            userinfo = self.user if self.password is None else f"{self.user}:{self.password}"
            userinfo += "@"
        port = "" if self.port is None else f":{self.port}"
        parameters = "".join(
            f";{name}" if value is None else f";{name}={value}" for name, value in self.parameters
        )
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{userinfo}{self.host}{port}{parameters}{headers}"


def parse_hostport(text: str) -> tuple[str, int | None]:
    """Read ``host [":" port]``; the host in lower case, an IPv6 reference in brackets.

    :raises RemoteProtocolError: no such host or port can exist.
    """
    if len(text) <= _MAX_CACHED_CHARACTERS:
        return _parse_short_hostport(text)
    return _split_hostport(text)


@lru_cache(maxsize=4096)  # ours: the addresses of a busy server, about 4 MiB at the most
def _parse_short(text: str) -> SipUri:
    return SipUri(*_split(text))


_Fields = tuple[
    str, str | None, str | None, str, int | None, tuple[tuple[str, str | None], ...], str
]


def _split(text: str) -> _Fields:
    match = _SIP_URI.fullmatch(text)
    if match is None:
        scheme = _SCHEME.match(text)
        if scheme is not None and scheme[0].lower() not in ("sip:", "sips:"):
            raise RemoteProtocolError("Unsupported URI scheme", 416)  # RFC 3261 8.2.2.1
        raise RemoteProtocolError("Malformed SIP URI")
    host, port = parse_hostport(match["hostport"])
    parameters = match["parameters"]
    return (
        match["scheme"].lower(),
        match["user"],
        match["password"],
        host,
        port,
        _read_parameters(parameters) if parameters else (),
        match["headers"] or "",
    )


@lru_cache(maxsize=4096)  # ours: as above
def _parse_short_hostport(text: str) -> tuple[str, int | None]:
    return _split_hostport(text)


def _split_hostport(text: str) -> tuple[str, int | None]:
    match = _HOSTPORT.fullmatch(text)
    if match is None:
        raise RemoteProtocolError("Malformed host or port")
    digits = match["port"]
    return _read_host(match["host"]), None if digits is None else _read_port(digits)


def _read_parameters(text: str) -> tuple[tuple[str, str | None], ...]:
    parameters: list[tuple[str, str | None]] = []
    seen: set[str] = set()
    for item in text[1:].split(";"):
        name, equals, value = item.partition("=")
        key = _canonical_escapes(name).lower()
        if key in seen:  # RFC 3261 19.1.1: a name MUST NOT appear more than once
            raise RemoteProtocolError("Repeated URI parameter")
        seen.add(key)
        parameters.append((name, value if equals else None))
    return tuple(parameters)


def _read_port(digits: str) -> int:
    significant = digits.lstrip("0")
    if not significant or len(significant) > 5 or int(significant) > 65535:
        raise RemoteProtocolError("Port out of range")
    return int(significant)


def _read_host(text: str) -> str:
    if len(text) > _MAX_HOST_CHARACTERS:
        raise RemoteProtocolError("Host name too long")
    if text[0] == "[":
        # RFC 5118 4.10: the extra colon that the ABNF of RFC 3261 allows is tolerated.
        address = text[1:-1].replace(":::", "::")
        try:
            IPv6Address(address)
        except AddressValueError:
            raise RemoteProtocolError("Malformed IPv6 reference") from None
        return f"[{address.lower()}]"
    if (_IPV4 if _IPV4_SHAPED.fullmatch(text) else _HOSTNAME).fullmatch(text) is None:
        raise RemoteProtocolError("Malformed host")
    return text.lower()


def _canonical_host(host: str) -> str:
    # RFC 5954 4.2: IPv6 addresses compare by their binary value.
    return f"[{IPv6Address(host[1:-1]).compressed}]" if host[0] == "[" else host


def _canonical_escapes(text: str) -> str:
    # RFC 3261 19.1.4: only what is not reserved equals its escape; one pass, never recursive.
    return _ESCAPE.sub(_canonical_escape, text) if "%" in text else text


def _canonical_escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _canonical_header(header: str) -> str:
    name, _, value = header.partition("=")
    return f"{_canonical_escapes(name).lower()}={_canonical_escapes(value)}"

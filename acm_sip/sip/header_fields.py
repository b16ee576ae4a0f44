"""The ordered header fields of one message: RFC 3261 7.3.

A value is text decoded as UTF-8 with surrogateescape, so that every octet survives being
forwarded. Names that RFC 3261 and its extensions know get their long spelling; unknown ones keep
their own. What a typed reading found is remembered until the fields change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar, cast

from acm_sip.errors import LocalProtocolError, RemoteProtocolError
from acm_sip.sip.grammar import LWS, TOKEN, TOKEN_PATTERN

__all__ = ["HeaderFields", "canonical_name"]

T = TypeVar("T")

# RFC 3261 7.3.3 and 20, RFC 3265/6665, 3325, 3327, 3515, 3608, 3841, 3891, 3892, 4028, 4412, 6050.
_COMPACT: Final = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
}
_LONG: Final = (
    "Accept", "Accept-Contact", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow",
    "Allow-Events", "Authentication-Info", "Authorization", "CSeq", "Call-ID", "Call-Info",
    "Contact", "Content-Disposition", "Content-Encoding", "Content-ID",
    "Content-Language", "Content-Length",
    "Content-Transfer-Encoding", "Content-Type", "Date", "Error-Info", "Event", "Expires", "From",
    "In-Reply-To",
    "MIME-Version", "Max-Forwards", "Min-Expires", "Organization", "P-Access-Network-Info",
    "P-Asserted-Identity", "P-Asserted-Service", "P-Associated-URI", "P-Charging-Vector",
    "P-Preferred-Identity", "P-Preferred-Service", "Path", "Priority", "Privacy",
    "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "RAck", "RSeq", "Reason",
    "Record-Route", "Refer-To", "Referred-By", "Reject-Contact", "Replaces", "Reply-To",
    "Request-Disposition", "Require", "Resource-Priority", "Retry-After", "Route", "SIP-ETag",
    "SIP-If-Match", "Server", "Service-Route", "Session-Expires", "Subject",
    "Subscription-State", "Supported", "Timestamp", "To", "Unsupported", "User-Agent", "Via",
    "WWW-Authenticate", "Warning",
)  # fmt: skip
# Every usual spelling, so that one look-up both checks and translates a name.
KNOWN_NAMES: Final[dict[str, str]] = {
    spelling: name
    for short, name in [*((name, name) for name in _LONG), *_COMPACT.items()]
    for spelling in (short, short.lower(), short.upper(), short.title())
}
_NAME_BEFORE_COLON: Final = re.compile(rf"({TOKEN}){LWS}")
_UNREAD: Final = object()
_FORBIDDEN: Final = re.compile(r"[\r\n\x00]")


def canonical_name(name: str) -> str:
    """Return the long name of a known header field in any spelling; unknown names unchanged."""
    return KNOWN_NAMES.get(name) or KNOWN_NAMES.get(name.lower(), name)


class _NamesOnReceipt(dict[str, str]):
    """What stands before a colon -> canonical name; raises for what is no name.

    The usual spellings are found as items, the others are worked out, and not kept.
    """

    def __missing__(self, spelling: str) -> str:
        match = _NAME_BEFORE_COLON.fullmatch(spelling)  # RFC 3261 25.1, HCOLON
        if match is None:
            raise RemoteProtocolError("Malformed header field line")
        return canonical_name(match[1])


NAMES_ON_RECEIPT: Final = _NamesOnReceipt(KNOWN_NAMES)


class HeaderFields:
    """Header fields in their order; names compare without case and in both forms."""

    __slots__ = ("_index", "_pairs", "_readings")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs: list[tuple[str, str]] = [_checked(name, value) for name, value in pairs]
        self._index: dict[str, list[str]] | None = None
        self._readings: dict[str, object] = {}

    @classmethod
    def from_canonical(cls, pairs: list[tuple[str, str]]) -> HeaderFields:
        """Take pairs that a parser has checked and named, without copying them."""
        fields = cls.__new__(cls)
        fields._pairs = pairs
        fields._index = None
        fields._readings = {}
        return fields

    def get(self, name: str) -> str | None:
        """Return the value of the first field of that name, or None."""
        values = self._values(name)
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        """Return one value for each field line of that name."""
        return list(self._values(name))

    def read(self, name: str, parse: Callable[[list[str]], T]) -> T:
        """Return what ``parse`` makes of the values; asked once until the fields change.

        :param name: the canonical name; one name always goes with one ``parse``.
        """
        reading = self._readings.get(name, _UNREAD)
        if reading is _UNREAD:
            index = self._index
            if index is None:
                index = self._make_index()
            reading = self._readings[name] = parse(index.get(name) or [])
        return cast(T, reading)

    def append(self, name: str, value: str) -> None:
        """Add a field after all others.

        :raises LocalProtocolError: the name is no token, or the value holds CR, LF or NUL.
        """
        self._pairs.append(_checked(name, value))
        self._changed()

    def prepend(self, name: str, value: str) -> None:
        """Add a field before all others; errors as :meth:`append`."""
        self._pairs.insert(0, _checked(name, value))
        self._changed()

    def set(self, name: str, value: str) -> None:
        """Replace the first field of that name and drop the others, or append it."""
        pair = _checked(name, value)
        places = self._places(name)
        if not places:
            self._pairs.append(pair)
        else:
            self._pairs[places[0]] = pair
            for place in reversed(places[1:]):
                del self._pairs[place]
        self._changed()

    def remove(self, name: str) -> None:
        """Drop every field of that name."""
        for place in reversed(self._places(name)):
            del self._pairs[place]
        self._changed()

    def replace_first(self, name: str, value: str) -> None:
        """Replace the first field line of that name and leave the others, or prepend it."""
        places = self._places(name)
        if not places:
            self.prepend(name, value)
            return
        self._pairs[places[0]] = _checked(name, value)
        self._changed()

    def copy(self) -> HeaderFields:
        """Return fields of their own with the same content."""
        return HeaderFields.from_canonical(list(self._pairs))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._values(name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HeaderFields) and self._pairs == other._pairs

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"HeaderFields({self._pairs!r})"

    def _changed(self) -> None:
        self._index = None
        self._readings = {}

    def _values(self, name: str) -> list[str]:
        key = canonical_name(name)
        if key not in KNOWN_NAMES:  # names of no standard keep their case, so they are not keys
            return [self._pairs[place][1] for place in self._places(name)]
        index = self._index
        if index is None:
            index = self._make_index()
        return index.get(key) or []

    def _make_index(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for name, value in self._pairs:
            if name in index:
                index[name].append(value)
            else:
                index[name] = [value]
        self._index = index
        return index

    def _places(self, name: str) -> list[int]:
        key = _key(name)
        return [
            place for place, (field_name, _) in enumerate(self._pairs) if _key(field_name) == key
        ]


def _key(name: str) -> str:
    return KNOWN_NAMES.get(name) or KNOWN_NAMES.get(lowered := name.lower(), lowered)


def _checked(name: str, value: str) -> tuple[str, str]:
    if TOKEN_PATTERN.fullmatch(name) is None:
        raise LocalProtocolError(f"{name!r} is no header field name")
    if _FORBIDDEN.search(value) is not None:
        raise LocalProtocolError(f"{name} would hold CR, LF or NUL")
    return canonical_name(name), value

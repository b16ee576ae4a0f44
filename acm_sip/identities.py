"""Identities of TS 23.280: who asks, who is asked, what is configured, which transaction.

An identity is a SIP URI (RFC 3261 19.1). It is kept as it was received, for the wire, and
compares by its canonical form, which is also its key in the store. Passwords, header fields
and control characters are refused: an identity is an address of record, not a request.

# Deviates from RFC 3261 19.1.4: a URI parameter that only one side carries makes two
# identities differ. The RFC's rule is not transitive and so cannot be a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Final

from acm_sip.errors import RemoteProtocolError
from acm_sip.uri import SipUri

__all__ = ["AcmTransactionId", "FunctionalAlias", "McServiceGroupId", "McServiceId", "SipIdentity"]

_MAX_IDENTITY_OCTETS: Final = 1024  # ours: far above any address of record seen in the field
# RFC 8141 2: urn ":" NID ":" NSS; the characters are those of RFC 3986 pchar and "/".
_URN: Final = re.compile(
    r"urn:[a-z0-9][a-z0-9-]{0,30}[a-z0-9]:[a-z0-9\-._~!$&'()*+,;=:@/%]{1,255}", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class SipIdentity:
    """A SIP or SIPS URI that names somebody.

    :param text: the URI as it was received.
    :cvar term: what TS 23.280 calls this kind of identity.
    :raises RemoteProtocolError: the text is no SIP URI, or carries what an identity may not.
    """

    term: ClassVar[str] = "identity"

    text: str = field(compare=False)
    canonical: str = field(init=False)
    domain: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.text) > _MAX_IDENTITY_OCTETS:
            raise RemoteProtocolError(f"{self.term} is longer than {_MAX_IDENTITY_OCTETS}")
        try:
            uri = SipUri.parse(self.text)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{self.term} is not a SIP URI: {error.text}") from None
        if uri.password is not None or uri.headers:
            raise RemoteProtocolError(f"{self.term} carries a password or header fields")
        object.__setattr__(self, "canonical", uri.canonical)
        object.__setattr__(self, "domain", uri.host)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class McServiceId(SipIdentity):
    """MC service ID: the identity of an MC service user (TS 23.280 8.1.2)."""

    term: ClassVar[str] = "MC service ID"


@dataclass(frozen=True, slots=True)
class FunctionalAlias(SipIdentity):
    """Functional alias: a role that one or more users hold (TS 23.280 8.1.5)."""

    term: ClassVar[str] = "functional alias"


@dataclass(frozen=True, slots=True)
class McServiceGroupId(SipIdentity):
    """MC service group ID (TS 23.280 8.1.3)."""

    term: ClassVar[str] = "MC service group ID"


@dataclass(frozen=True, slots=True)
class AcmTransactionId:
    """Correlates request, process indication and response of one ACM transaction.

    Stage 2 names no such element; it is made by the requesting ACM client (provisional).

    :param text: a URN, ``urn:uuid:`` by our own clients.
    :raises RemoteProtocolError: the text is no URN.
    """

    text: str

    def __post_init__(self) -> None:
        if _URN.fullmatch(self.text) is None:
            raise RemoteProtocolError("acm-transaction-id is not a URN")

    def __str__(self) -> str:
        return self.text

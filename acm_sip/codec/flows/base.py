"""What the information flows of TS 23.280 10.17.2 have in common.

One information flow is one frozen dataclass whose fields are named after the elements. A flow
keeps the extensions of its own level, so that XML -> object -> XML says the same (prefixes
become our own); an extension that sits deeper lives in the octets only, which is what servers
store and forward.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, Self

from acm_sip.errors import LocalProtocolError
from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId

if TYPE_CHECKING:
    from acm_sip.codec.flows.elements import FlowElement, FlowWriter

__all__ = [
    "AcmRequest",
    "AcmResponse",
    "Cause",
    "InformationFlow",
    "Outcome",
    "Result",
    "collapse",
    "reject_duplicates",
]

# RFC 5646 as xs:language has it; empty means "no language" (XML 1.0 2.12).
_LANGUAGE: Final = re.compile(r"(?:[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)?")
_SPACES: Final = re.compile(r"[ \t\r\n]+")


class Outcome(Enum):
    """How an ACM transaction ended; the values are the element names."""

    SUCCESS = "success"
    FAILURE = "failure"


class Cause(StrEnum):
    """The known causes of a failure (provisional); an unknown one is shown as it is."""

    REJECTED_BY_USER = "rejected-by-user"
    NOT_AUTHORIZED = "not-authorized"
    UNKNOWN_MC_SERVICE_ID = "unknown-mc-service-id"
    UNKNOWN_FUNCTIONAL_ALIAS = "unknown-functional-alias"
    INVALID_CONFIGURATION = "invalid-configuration"
    LOCAL_POLICY = "local-policy"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    PARTNER_UNREACHABLE = "partner-unreachable"
    INTERNAL_ERROR = "internal-error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The information element Result of a response (TS 23.280 table 10.17.2.14-1).

    :param cause: a value of :class:`Cause` or any other token.
    :param mc_service_ids: the users concerned, for instance those that are unknown.
    :param text: for people; ``language`` is its xml:lang.
    :raises LocalProtocolError: a text that XML cannot carry, a language without a text.
    """

    outcome: Outcome
    cause: str | None = None
    mc_service_ids: tuple[McServiceId, ...] = ()
    text: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if self.cause is not None and self.cause != collapse(self.cause):
            raise LocalProtocolError("cause is not a token")
        if self.language is not None:
            if self.text is None:
                raise LocalProtocolError("a language without a text")
            if _LANGUAGE.fullmatch(self.language) is None:
                raise LocalProtocolError("language is not a language tag")
        reject_duplicates(self.mc_service_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationFlow:
    """One information flow of TS 23.280 10.17.2.

    :param acm_transaction_id: the same in request, process indication and response.
    :param extensions: foreign elements of the flow, in order, in exclusive canonical form.
    :param any_ext: the element anyExt of the flow in exclusive canonical form, or None.
    """

    element_name: ClassVar[str]

    acm_transaction_id: AcmTransactionId
    extensions: tuple[bytes, ...] = ()
    any_ext: bytes | None = None

    @classmethod
    def read(cls, element: FlowElement) -> Self:
        """Read the flow from its element, which is valid by the schema.

        :raises Refused: an identity cannot be read, or is protected.
        """
        raise NotImplementedError

    def write(self, writer: FlowWriter) -> None:
        """Write the elements of this flow, without the extensions."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmRequest(InformationFlow):
    """What every request that a user triggers carries (TS 23.280 10.17.2, requester and target).

    :param requesting_mc_service_id: the user at the primary MC system.
    :param target_mc_service_id: the user at the partner MC system; it or the alias is present
        (NOTE 1). Both may be read; our own client sends one.
    :param expires_at: aware UTC; after it the request is not applied (provisional).
    :raises LocalProtocolError: no target, an instant without a zone.
    """

    requesting_mc_service_id: McServiceId
    requesting_functional_alias: FunctionalAlias | None = None
    target_mc_service_id: McServiceId | None = None
    target_functional_alias: FunctionalAlias | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        # TS 23.280 table 10.17.2.13-1 NOTE 1
        if self.target_mc_service_id is None and self.target_functional_alias is None:
            raise LocalProtocolError("either the MC service ID or the functional alias is needed")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise LocalProtocolError("expires-at has no time zone")

    @property
    def users_of_requester(self) -> tuple[McServiceId, ...]:
        """The listed users that have to be of the requesting MC system; none by default."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmResponse(InformationFlow):
    """What every response carries (TS 23.280 10.17.2, handler, target and Result).

    :param handling_mc_service_id: the user, or the server, that handled the request.
    :param target_mc_service_id: the requester in the primary MC system.
    """

    handling_mc_service_id: McServiceId
    handling_functional_alias: FunctionalAlias | None = None
    target_mc_service_id: McServiceId
    result: Result


def collapse(text: str) -> str:
    """Collapse white space as xs:token does; what Unicode calls a space stays."""
    return _SPACES.sub(" ", text).strip(" ")


def reject_duplicates(mc_service_ids: Sequence[McServiceId]) -> None:
    """Refuse our own caller's list that names a user twice."""
    if len(set(mc_service_ids)) != len(mc_service_ids):
        raise LocalProtocolError("an MC service ID is listed twice")

"""The information element Result of a response: TS 23.280 table 10.17.2.14-1.

Stage 2 gives it no values: success or failure, cause, users and text are provisional.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from acm_sip.errors import LocalProtocolError
from acm_sip.identities import McServiceId

__all__ = ["Cause", "Outcome", "Result", "collapse", "reject_duplicates"]

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


def collapse(text: str) -> str:
    """Collapse white space as xs:token does; what Unicode calls a space stays."""
    return _SPACES.sub(" ", text).strip(" ")


def reject_duplicates(mc_service_ids: Sequence[McServiceId]) -> None:
    """Refuse our own caller's list that names a user twice."""
    if len(set(mc_service_ids)) != len(mc_service_ids):
        raise LocalProtocolError("an MC service ID is listed twice")

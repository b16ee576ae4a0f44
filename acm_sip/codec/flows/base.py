"""What the information flows of TS 23.280 10.17.2 have in common.

One information flow is one frozen dataclass whose fields are named after the elements. A flow
keeps the extensions of its own level, so that XML -> object -> XML says the same (prefixes
become our own); an extension that sits deeper lives in the octets only, which is what servers
store and forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from acm_sip.codec.flows.elements import FlowElement, FlowWriter
from acm_sip.codec.flows.result import Result
from acm_sip.errors import LocalProtocolError
from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceId

__all__ = ["AcmRequest", "AcmResponse", "InformationFlow"]


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

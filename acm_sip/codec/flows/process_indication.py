"""Process indication: TS 23.280 10.17.6.2 step 4.

Its table was not at hand: the elements are inferred from the procedure (provisional).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from acm_sip.codec.flows.base import InformationFlow
from acm_sip.codec.flows.elements import FlowElement, FlowWriter
from acm_sip.identities import FunctionalAlias, McServiceId

__all__ = ["ProcessIndication"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIndication(InformationFlow):
    """The partner ACM server has the request and is processing it; no decision yet.

    :param requesting_mc_service_id: the user at the primary MC system.
    """

    element_name: ClassVar[str] = "process-indication"

    requesting_mc_service_id: McServiceId
    target_mc_service_id: McServiceId | None = None
    target_functional_alias: FunctionalAlias | None = None

    @classmethod
    def read(cls, element: FlowElement) -> Self:
        """Read the flow from its element, which is valid by the schema."""
        return cls(
            acm_transaction_id=element.transaction_id(),
            requesting_mc_service_id=element.mc_service_id("requesting-mc-service-id"),
            target_mc_service_id=element.optional_mc_service_id("target-mc-service-id"),
            target_functional_alias=element.functional_alias("target-functional-alias"),
            extensions=element.extensions,
            any_ext=element.any_ext,
        )

    def write(self, writer: FlowWriter) -> None:
        """Write the elements."""
        writer.identity("requesting-mc-service-id", self.requesting_mc_service_id)
        writer.identity("target-mc-service-id", self.target_mc_service_id)
        writer.identity("target-functional-alias", self.target_functional_alias)

"""Update MC service UE initial configuration: TS 23.280 10.17.2.13 and 10.17.2.14."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from acm_sip.codec import xml
from acm_sip.codec.flows.base import AcmRequest, AcmResponse
from acm_sip.codec.flows.elements import FlowElement, FlowWriter, format_instant
from acm_sip.codec.flows.result import reject_duplicates
from acm_sip.errors import LocalProtocolError
from acm_sip.identities import McServiceId

__all__ = [
    "UpdateMcServiceUeInitialConfigurationRequest",
    "UpdateMcServiceUeInitialConfigurationResponse",
]

_DATA = "mc-service-ue-initial-configuration-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateMcServiceUeInitialConfigurationRequest(AcmRequest):
    """Update MC service UE initial configuration request (table 10.17.2.13-1).

    :param mc_service_id_list: the migrating users, each once.
    :param mc_service_ue_initial_configuration_data: the TS 24.484 7.2 document as octets, empty
        when the flow was read while the document was still a body part of its own.
    :raises LocalProtocolError: no target, no user, a user twice, an instant without a zone.
    """

    element_name: ClassVar[str] = "update-mc-service-ue-initial-configuration-request"

    mc_service_id_list: tuple[McServiceId, ...]
    mc_service_ue_initial_configuration_data: bytes

    def __post_init__(self) -> None:
        AcmRequest.__post_init__(self)  # super() is lost in a dataclass with slots
        if not self.mc_service_id_list:
            raise LocalProtocolError("mc-service-id-list is empty")
        reject_duplicates(self.mc_service_id_list)

    @property
    def users_of_requester(self) -> tuple[McServiceId, ...]:
        """The migrating users belong to the primary MC system (table 10.17.2.13-1)."""
        return self.mc_service_id_list

    @classmethod
    def read(cls, element: FlowElement) -> Self:
        """Read the flow from its element, which is valid by the schema."""
        data = element.child(_DATA)
        return cls(
            acm_transaction_id=element.transaction_id(),
            requesting_mc_service_id=element.mc_service_id("requesting-mc-service-id"),
            requesting_functional_alias=element.functional_alias("requesting-functional-alias"),
            target_mc_service_id=element.optional_mc_service_id("target-mc-service-id"),
            target_functional_alias=element.functional_alias("target-functional-alias"),
            mc_service_id_list=element.mc_service_id_list(),
            mc_service_ue_initial_configuration_data=(
                xml.serialize(data[0]) if data is not None and len(data) else b""
            ),
            expires_at=element.instant("expires-at"),
            extensions=element.extensions,
            any_ext=element.any_ext,
        )

    def write(self, writer: FlowWriter) -> None:
        """Write the elements of the table."""
        writer.identity("requesting-mc-service-id", self.requesting_mc_service_id)
        writer.identity("requesting-functional-alias", self.requesting_functional_alias)
        writer.identity("target-mc-service-id", self.target_mc_service_id)
        writer.identity("target-functional-alias", self.target_functional_alias)
        writer.mc_service_id_list(self.mc_service_id_list)
        writer.ue_initial_configuration(_DATA, self.mc_service_ue_initial_configuration_data)
        if self.expires_at is not None:
            writer.text("expires-at", format_instant(self.expires_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateMcServiceUeInitialConfigurationResponse(AcmResponse):
    """Update MC service UE initial configuration response (table 10.17.2.14-1)."""

    element_name: ClassVar[str] = "update-mc-service-ue-initial-configuration-response"

    @classmethod
    def read(cls, element: FlowElement) -> Self:
        """Read the flow from its element, which is valid by the schema."""
        return cls(
            acm_transaction_id=element.transaction_id(),
            handling_mc_service_id=element.mc_service_id("handling-mc-service-id"),
            handling_functional_alias=element.functional_alias("handling-functional-alias"),
            target_mc_service_id=element.mc_service_id("target-mc-service-id"),
            result=element.result(),
            extensions=element.extensions,
            any_ext=element.any_ext,
        )

    def write(self, writer: FlowWriter) -> None:
        """Write the elements of the table."""
        writer.identity("handling-mc-service-id", self.handling_mc_service_id)
        writer.identity("handling-functional-alias", self.handling_functional_alias)
        writer.identity("target-mc-service-id", self.target_mc_service_id)
        writer.result(self.result)

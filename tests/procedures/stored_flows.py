"""Reading flows back from rows and records, for comparison."""

from __future__ import annotations

from dataclasses import replace

from acm_sip.codec.flows import (
    AcmRequest,
    AcmResponse,
    InformationFlow,
    UpdateMcServiceUeInitialConfigurationRequest,
)
from acm_sip.codec.ue_init_config import document_digest
from acm_sip.procedures.records import OutboxRow
from acm_sip.procedures.stored import decode_stored
from tests.harness.interworking import Entity


def comparable(flow: InformationFlow) -> InformationFlow:
    """The flow with its document by digest: prefixes around it may differ."""
    if not isinstance(flow, UpdateMcServiceUeInitialConfigurationRequest):
        return flow
    digest = document_digest(flow.mc_service_ue_initial_configuration_data)
    return replace(flow, mc_service_ue_initial_configuration_data=digest)


def row_flow(row: OutboxRow) -> InformationFlow:
    return decode_stored(row.octets).flow


def stored_request(entity: Entity) -> AcmRequest:
    flow = decode_stored(entity.transaction.request).flow
    assert isinstance(flow, AcmRequest)
    return flow


def stored_response(entity: Entity) -> AcmResponse:
    octets = entity.transaction.response
    assert octets is not None
    flow = decode_stored(octets).flow
    assert isinstance(flow, AcmResponse)
    return flow

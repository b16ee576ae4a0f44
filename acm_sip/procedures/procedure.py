"""The table of ACM procedures: what a flow adds to the ten steps that all of them share.

A row names the request and the response, says how the partner verifies a request once it is
stored (step 4) and what an acceptance stores. The ten steps themselves are told once, in
:mod:`~acm_sip.procedures.primary` and :mod:`~acm_sip.procedures.partner`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from acm_sip.codec.body import DecodedBody
from acm_sip.codec.flows import (
    AcmRequest,
    AcmResponse,
    Cause,
    UpdateMcServiceUeInitialConfigurationRequest,
    UpdateMcServiceUeInitialConfigurationResponse,
)
from acm_sip.codec.ue_init_config import document_digest
from acm_sip.identities import McServiceId
from acm_sip.procedures.effects import StoreConfiguration, Update
from acm_sip.procedures.mc_system import PartnerSystem
from acm_sip.procedures.ports import Records
from acm_sip.procedures.records import AcmTransaction, Side

__all__ = ["PROCEDURES", "AcmProcedure", "Failure", "procedure_of"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request fails: the result that goes back to the requester."""

    cause: str
    text: str | None = None
    mc_service_ids: tuple[McServiceId, ...] = ()


@dataclass(frozen=True, slots=True)
class AcmProcedure:
    """One procedure of TS 23.280 10.17.

    :param request: the class of its request; ``response`` likewise.
    :param verify: at the partner, whether the stored request is usable (users, document): on
        receipt, and again at acceptance.
    :param find_later: when something was accepted, the failure that names those of its users to
        whom a later request was already applied on this side; None where there are none.
    :param apply: what an acceptance stores, on the side that is given, but for the users for
        whom something later holds.
    """

    request: type[AcmRequest]
    response: type[AcmResponse]
    verify: Callable[[PartnerSystem, DecodedBody], Failure | None]
    find_later: Callable[[Records, AcmTransaction, AcmRequest], Failure | None]
    apply: Callable[
        [AcmTransaction, AcmRequest, Side, float, Collection[McServiceId]], tuple[Update, ...]
    ]


def procedure_of(request_flow: str) -> AcmProcedure:
    """Return the procedure whose request has this element name."""
    return PROCEDURES[request_flow]


def _verify_update(partner: PartnerSystem, body: DecodedBody) -> Failure | None:
    """Verify users and document (10.17.6.2 pre-condition 3; all or nothing)."""
    request = body.flow
    assert isinstance(request, UpdateMcServiceUeInitialConfigurationRequest)
    unknown = tuple(
        entry for entry in request.mc_service_id_list if entry not in partner.migrating_users
    )
    if unknown:
        return Failure(
            Cause.UNKNOWN_MC_SERVICE_ID, "not known as migrating users of this system", unknown
        )
    if body.document_faults:
        fault = body.document_faults[0]
        return Failure(Cause.INVALID_CONFIGURATION, f"{fault.path}: {fault.message}")
    return None


def _find_later_update(
    records: Records, transaction: AcmTransaction, request: AcmRequest
) -> Failure | None:
    """Find users to whom a later request, by order of receipt, was applied already."""
    assert isinstance(request, UpdateMcServiceUeInitialConfigurationRequest)
    stored = records.configurations(
        transaction.side, transaction.counterpart, request.mc_service_id_list
    )
    later = tuple(
        entry
        for entry in request.mc_service_id_list
        if entry.canonical in stored
        and stored[entry.canonical].transaction_number > transaction.number
    )
    if later:
        return Failure(Cause.SUPERSEDED, "a later request was applied", later)
    return None


def _apply_update(
    transaction: AcmTransaction,
    request: AcmRequest,
    side: Side,
    at: float,
    but_for: Collection[McServiceId],
) -> tuple[Update, ...]:
    assert isinstance(request, UpdateMcServiceUeInitialConfigurationRequest)
    users = tuple(entry for entry in request.mc_service_id_list if entry not in but_for)
    if not users:
        return ()
    document = request.mc_service_ue_initial_configuration_data
    return (
        StoreConfiguration(
            side=side,
            system=transaction.counterpart,
            users=users,
            digest=document_digest(document),
            document=document,
            transaction_number=transaction.number,
            applied_at=at,
        ),
    )


PROCEDURES: Final[dict[str, AcmProcedure]] = {
    row.request.element_name: row
    for row in (
        AcmProcedure(
            request=UpdateMcServiceUeInitialConfigurationRequest,
            response=UpdateMcServiceUeInitialConfigurationResponse,
            verify=_verify_update,
            find_later=_find_later_update,
            apply=_apply_update,
        ),
    )
}

"""Whether a user may: TS 23.280 10.17.6.2 step 2 at the primary, step 4 to 7 at the partner.

Every question here ends in a positive answer or in :class:`Refused`; there is no third way, so
that a question nobody answered lets nobody in.
"""

from __future__ import annotations

from acm_sip import errors
from acm_sip.codec.flows import AcmRequest, AcmResponse
from acm_sip.errors import Refused
from acm_sip.procedures.mc_system import LocalUser, McSystem, PartnerSystem
from acm_sip.procedures.ports import AliasDirectory

__all__ = [
    "authorize_local_request",
    "authorize_local_response",
    "authorize_partner_request",
    "authorize_partner_response",
]


def authorize_local_request(
    system: McSystem, aliases: AliasDirectory, user: LocalUser, request: AcmRequest
) -> PartnerSystem:
    """Check a request of an own user; return the partner system it is for (step 2).

    :raises Refused: the row of the table of refusals that applies.
    """
    if request.requesting_mc_service_id not in user.mc_service_ids:
        raise Refused(errors.USER_NOT_AUTHORISED)
    if request.element_name not in user.may_request:
        raise Refused(errors.USER_NOT_AUTHORISED)
    alias = request.requesting_functional_alias
    if alias is not None:
        holders = aliases.holders(alias)
        if holders is None:
            raise Refused(errors.UNAVAILABLE, "the state of the functional alias is not known")
        if request.requesting_mc_service_id not in holders:
            raise Refused(errors.FORBIDDEN, "the functional alias is not active for the requester")
    _refuse_both_targets(system, request)
    target, target_alias = request.target_mc_service_id, request.target_functional_alias
    if target is None and not aliases.is_subscribed():
        # 10.17.6.2, last pre-condition: an alias as target needs the subscription on both sides.
        raise Refused(errors.UNAVAILABLE, "no subscription to the functional aliases")
    if system.is_own_target(target, target_alias):
        raise Refused(errors.FORBIDDEN, "the target is of the requesting MC system")
    if any(entry.domain not in system.domains for entry in request.users_of_requester):
        raise Refused(errors.LOCAL_POLICY)
    partner = system.partner_of(target, target_alias)
    if partner is None:
        raise Refused(errors.PARTNER_UNKNOWN)
    return partner


def authorize_partner_request(
    system: McSystem, partner: PartnerSystem, request: AcmRequest
) -> None:
    """Check that a partner asks for its own users, and asks us (step 4, verification).

    :raises Refused: identities on the wrong side.
    """
    if request.requesting_mc_service_id.domain not in partner.domains:
        raise Refused(errors.NOT_INTERCONNECTED)
    alias = request.requesting_functional_alias
    if alias is not None and alias.domain not in partner.alias_domains:
        raise Refused(errors.NOT_INTERCONNECTED)
    _refuse_both_targets(system, request)
    if not system.is_own_target(request.target_mc_service_id, request.target_functional_alias):
        raise Refused(errors.FORBIDDEN, "the target is not of this MC system")
    if any(entry.domain not in partner.domains for entry in request.users_of_requester):
        raise Refused(errors.LOCAL_POLICY)


def authorize_local_response(
    aliases: AliasDirectory, user: LocalUser, request_flow: str, response: AcmResponse
) -> None:
    """Check a response of an own user (step 7).

    :raises Refused: the handler is not this user, or may not answer this flow.
    """
    if response.handling_mc_service_id not in user.mc_service_ids:
        raise Refused(errors.USER_NOT_AUTHORISED)
    if request_flow not in user.may_answer:
        raise Refused(errors.USER_NOT_AUTHORISED)
    alias = response.handling_functional_alias
    if alias is not None:
        holders = aliases.holders(alias)
        if holders is None:
            raise Refused(errors.UNAVAILABLE, "the state of the functional alias is not known")
        if response.handling_mc_service_id not in holders:
            raise Refused(errors.FORBIDDEN, "the functional alias is not active for the handler")


def authorize_partner_response(partner: PartnerSystem, response: AcmResponse) -> None:
    """Check that a partner answers in the name of its own (step 8).

    :raises Refused: the handler is none of its users.
    """
    if response.handling_mc_service_id.domain not in partner.domains:
        raise Refused(errors.NOT_INTERCONNECTED)
    alias = response.handling_functional_alias
    if alias is not None and alias.domain not in partner.alias_domains:
        raise Refused(errors.NOT_INTERCONNECTED)


def _refuse_both_targets(system: McSystem, request: AcmRequest) -> None:
    has_both = (
        request.target_mc_service_id is not None and request.target_functional_alias is not None
    )
    if has_both and system.refuses_both_targets:
        raise Refused(errors.BODY_INVALID, "both targets are present (table 10.17.2.13-1 NOTE 1)")

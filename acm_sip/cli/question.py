"""A received request as its user is asked about it: who, for whom, and what would change."""

from __future__ import annotations

from collections.abc import Iterator

from acm_sip.cli.printing import instant, printable
from acm_sip.codec.flows import AcmRequest, UpdateMcServiceUeInitialConfigurationRequest
from acm_sip.codec.ue_init_config import (
    UeInitialConfiguration,
    describe_changes,
    find_faults,
    read_ue_initial_configuration,
)
from acm_sip.identities import McServiceId
from acm_sip.procedures.records import AcmTransaction, Side
from acm_sip.procedures.stored import decode_stored_request
from acm_sip.stores import AcmStore, StoreReader

__all__ = ["describe_request"]

_MANY = 100_000  # configurations that one client has accepted


def describe_request(store: AcmStore, transaction: AcmTransaction) -> list[str]:
    """Return what the user has to know to decide, line by line.

    :param store: of this client: what it accepted last is what the request is compared with.
    """
    request = decode_stored_request(transaction)
    alias = request.requesting_functional_alias
    requester = request.requesting_mc_service_id.text + (f" as {alias}" if alias else "")
    lines = [
        f"request {transaction.acm_transaction_id}",
        f"  from: {printable(requester)}",
        f"  flow: {transaction.request_flow}",
        f"  received: {instant(transaction.received_at)}, ends {instant(transaction.expires_at)}",
    ]
    if isinstance(request, UpdateMcServiceUeInitialConfigurationRequest):
        with store.read() as reader:
            lines += _describe_update(reader, request)
    return lines


def _describe_update(
    reader: StoreReader, request: UpdateMcServiceUeInitialConfigurationRequest
) -> Iterator[str]:
    octets = request.mc_service_ue_initial_configuration_data
    new = read_ue_initial_configuration(octets)
    for fault in find_faults(octets, "report"):
        yield f"  the document breaks a rule: {printable(f'{fault.path}: {fault.message}')}"
    for old, users in _by_configuration(reader, request):
        names = printable(", ".join(user.text for user in users))
        known = "" if old is not None else " (nothing accepted here so far)"
        yield f"  would change for {names}{known}:"
        changes = describe_changes(old, new)
        for change in changes:
            yield f"    {printable(str(change))}"
        if not changes:
            yield "    nothing"


def _by_configuration(
    reader: StoreReader, request: AcmRequest
) -> list[tuple[UeInitialConfiguration | None, list[McServiceId]]]:
    """Return the users of a request, those of equal configuration together."""
    held = {
        entry.mc_service_id: entry.digest
        for entry in reader.list_configurations(_MANY, side=Side.HANDLER)
    }
    groups: dict[bytes | None, list[McServiceId]] = {}
    for user in request.users_of_requester:
        groups.setdefault(held.get(user.canonical), []).append(user)
    found = []
    for digest, users in groups.items():
        octets = None if digest is None else reader.document(digest)
        old = None if octets is None else read_ue_initial_configuration(octets)
        found.append((old, users))
    return found

"""A wait for an outcome, taken up again (``acm-sip show transaction ID --wait``).

The outcome comes to the registered client, so this becomes that client for as long as it waits;
where its store is in use, the client runs already and its store is watched instead.
"""

from __future__ import annotations

import asyncio
from typing import Final

from acm_sip.cli.outcome import print_outcome
from acm_sip.cli.running import StoppedBySignal, run
from acm_sip.cli.update import log_beside_progress, wait_with_progress
from acm_sip.errors import StoreError
from acm_sip.identities import AcmTransactionId
from acm_sip.procedures.records import AcmTransaction, Side
from acm_sip.runtime.client import AcmClient
from acm_sip.runtime.configuration import ClientConfiguration
from acm_sip.stores import AcmStore

__all__ = ["resume"]

_LOOK_EVERY_S: Final = 0.2  # ours: a person does not notice it, nor does the other process


def resume(
    configuration: ClientConfiguration, acm_transaction_id: AcmTransactionId, wait_s: float
) -> int:
    """Wait for the outcome of an own request, print it, and return the exit status.

    :raises StoreError: there is no such store, or no such request in it.
    """
    with AcmStore.open(configuration.store.path, read_only=True) as store:
        known = _own_request(store, acm_transaction_id)
    if known.outcome is not None:
        return print_outcome(known)
    log_beside_progress(configuration)
    try:
        return print_outcome(run(_wait(configuration, acm_transaction_id, wait_s)))
    except StoppedBySignal:
        return print_outcome(None)


async def _wait(
    configuration: ClientConfiguration, acm_transaction_id: AcmTransactionId, wait_s: float
) -> AcmTransaction | None:
    client = AcmClient(configuration)
    try:
        await client.start()
    except StoreError:
        return await _watch(configuration, acm_transaction_id, wait_s)
    try:
        return await wait_with_progress(client, configuration, acm_transaction_id, wait_s)
    finally:
        await client.stop()


async def _watch(
    configuration: ClientConfiguration, acm_transaction_id: AcmTransactionId, wait_s: float
) -> AcmTransaction | None:
    end_at = asyncio.get_running_loop().time() + wait_s
    with AcmStore.open(configuration.store.path, read_only=True) as store:
        while (known := _own_request(store, acm_transaction_id)).outcome is None:
            if asyncio.get_running_loop().time() >= end_at:
                return None
            await asyncio.sleep(_LOOK_EVERY_S)
    return known


def _own_request(store: AcmStore, acm_transaction_id: AcmTransactionId) -> AcmTransaction:
    with store.read() as reader:
        for transaction in reader.transactions_with_id(acm_transaction_id.text):
            if transaction.side is Side.REQUESTER:
                return transaction
    raise StoreError(f"no own request {acm_transaction_id} in {store.path}")

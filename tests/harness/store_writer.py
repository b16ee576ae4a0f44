"""A process that fills a store and writes down what was committed, for the power failure test.

    python -m tests.harness.store_writer STORE MARKS BATCHES [NORMAL|OFF]

Each batch inserts three ACM transactions with an outbox row, answers an earlier transaction and
removes an earlier row; after its COMMIT one line of JSON goes to MARKS: what a reader must find
from then on. The third argument weakens ``synchronous`` behind the back of the store, to show
that the test notices. Checkpoints are made far more often than in service.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

from acm_sip.procedures.effects import (
    InsertTransaction,
    PutOutboxRow,
    RemoveOutboxRow,
    UpdateTransaction,
)
from acm_sip.procedures.records import AcmTransactionState
from acm_sip.stores import AcmStore
from tests.stores.records import outbox_row, transaction

PER_BATCH = 3
BODY_OCTETS = 900


def body(number: int) -> bytes:
    return (b"%08d" % number) * (BODY_OCTETS // 8)


def main() -> None:
    path, marks_path, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
    store = AcmStore.open(path)
    driver = store._connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA wal_autocheckpoint = 12")
    if len(sys.argv) > 4:
        driver.execute(f"PRAGMA synchronous = {sys.argv[4]}")
    marks = os.open(marks_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    answered: list[int] = []
    for _ in range(batches):
        with store.transact() as batch:
            first = batch.allocate_numbers(PER_BATCH)
            for number in range(first, first + PER_BATCH):
                batch.apply(InsertTransaction(transaction(number, request=body(number))))
                batch.apply(PutOutboxRow(outbox_row(number, octets=body(number))))
            if first > PER_BATCH:
                earlier = batch.transaction_by_number(first - PER_BATCH)
                assert earlier is not None
                answer = replace(
                    earlier,
                    state=AcmTransactionState.ANSWERED,
                    response=body(earlier.number + 1),
                    answered_at=2000.0,
                )
                batch.apply(UpdateTransaction(answer))
                batch.apply(RemoveOutboxRow(earlier.number))  # numbered alike, one row for each
                answered.append(earlier.number)
        mark = {"last": first + PER_BATCH - 1, "answered": len(answered)}
        os.write(marks, json.dumps(mark).encode() + b"\n")
    store.close()


if __name__ == "__main__":
    main()

"""What happens to an ACM entity, in the past tense: the inputs of the decisions.

Every event carries the time it is decided at (``at``, UTC epoch seconds), so that a decision
reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from acm_sip.codec.body import DecodedBody
from acm_sip.identities import AcmTransactionId, McServiceId
from acm_sip.procedures.records import OutboxRow

__all__ = ["DecisionMade", "DeliveryEnded", "FlowReceived"]


@dataclass(frozen=True, slots=True)
class FlowReceived:
    """An information flow arrived in a MESSAGE whose sender is known.

    :param at: UTC epoch seconds.
    :param body: the decoded flow with its octets and digest.
    :param service: MC service the sender named, ``mcptt`` where it named none.
    :param expires_s: Expires of the MESSAGE, None where it has none.
    """

    at: float
    body: DecodedBody
    service: str
    expires_s: float | None = None


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """An attempt to deliver an outbox row came to its end.

    :param status_code: of the final response; 408 for none in time, 503 for a transport error
        (RFC 3261 8.1.3.1).
    :param warn_text: text of the first Warning of the response, else its reason phrase.
    :param retry_after_s: Retry-After of the response, None where there was none.
    :param was_sent: False where nothing of it can have reached the receiver.
    """

    row: OutboxRow
    at: float
    status_code: int
    warn_text: str
    retry_after_s: float | None
    was_sent: bool


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """The user of a partner ACM client decided a request (TS 23.280 10.17.6.2 step 6)."""

    at: float
    acm_transaction_id: AcmTransactionId
    requesting_mc_service_id: McServiceId
    handling_mc_service_id: McServiceId
    is_accepted: bool
    cause: str | None = None
    text: str | None = None

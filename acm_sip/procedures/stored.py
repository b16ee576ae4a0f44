"""Reading back a flow that this entity stored itself.

What is in the store went through the codec on its way in; it is decoded again when a decision
needs more of it than the record holds, so that nothing is kept twice.
"""

from __future__ import annotations

from acm_sip.codec import names
from acm_sip.codec.body import BodyPart, DecodedBody, decode_body
from acm_sip.codec.flows import AcmRequest
from acm_sip.codec.ue_init_config import DocumentMode
from acm_sip.procedures.records import AcmTransaction

__all__ = ["decode_stored", "decode_stored_request"]


def decode_stored(octets: bytes, document_mode: DocumentMode = "strict") -> DecodedBody:
    """Decode an acm-info document from the store."""
    return decode_body((BodyPart(names.MEDIA_TYPE, octets),), document_mode=document_mode)


def decode_stored_request(transaction: AcmTransaction) -> AcmRequest:
    """Return the request of a stored transaction."""
    flow = decode_stored(transaction.request).flow
    assert isinstance(flow, AcmRequest)
    return flow

"""What the primary ACM server does to a request before it stores and forwards it.

It blanks every MC service UE label (TS 23.280 table 10.17.2.13-1 NOTE 2) and writes
``expires-at`` where the client did not. It touches nothing else: comments, CDATA, prefixes and
extensions stay as they came.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from lxml import etree

from acm_sip.codec import names, xml
from acm_sip.codec.flows import UpdateMcServiceUeInitialConfigurationRequest
from acm_sip.codec.flows.elements import format_instant
from acm_sip.codec.ue_init_config.reading import blank_labels

__all__ = ["complete_request"]

_ACM: Final = f"{{{names.NAMESPACE}}}"
_REQUEST: Final = _ACM + UpdateMcServiceUeInitialConfigurationRequest.element_name
_DATA: Final = f"{_ACM}mc-service-ue-initial-configuration-data"
_EXPIRES_AT: Final = f"{_ACM}expires-at"


def complete_request(octets: bytes, *, expires_at: datetime | None) -> bytes:
    """Blank the labels of a request and give it an expiry.

    :param octets: the octets of a :class:`~acm_sip.codec.body.DecodedBody`.
    :param expires_at: aware; written when the flow has none. None: nothing is written.
    :returns: the same object when nothing changes.
    :raises InvalidXml: the octets are not XML.
    """
    if expires_at is None and b"mcServiceUELabel" not in octets:
        return octets
    root = xml.parse(octets, keep_comments=True)
    changed = blank_labels(root)
    flow = root.find(_REQUEST)
    if expires_at is not None and flow is not None and flow.find(_EXPIRES_AT) is None:
        data = flow.find(_DATA)
        if data is not None:
            expiry = etree.Element(_EXPIRES_AT, nsmap=flow.nsmap)
            expiry.text = format_instant(expires_at)
            expiry.tail, data.tail = data.tail, None
            data.addnext(expiry)
            changed = True
    if not changed:
        return octets
    completed: bytes = etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=False)
    return completed

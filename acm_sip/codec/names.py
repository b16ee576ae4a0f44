"""The names of ACM on the wire, spelled here only.

3GPP has no stage 3 for ACM: everything marked *provisional* is this project's own choice in the
manner of TS 24.379 and TS 24.484. What is not marked is 3GPP's.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = [
    "ACM_DATA",
    "ACM_INFO",
    "ICSI_REF_FEATURE_TAG",
    "MEDIA_TYPE",
    "NAMESPACE",
    "UE_INIT_CONFIG_MEDIA_TYPE",
    "UE_INIT_CONFIG_NAMESPACE",
    "UE_INIT_CONFIG_ROOT",
    "XML_LANG",
    "McService",
]

MEDIA_TYPE: Final = "application/vnd.3gpp.mcs-acm-info+xml"  # provisional, not registered
NAMESPACE: Final = "urn:3gpp:ns:mcsAcmInfo:1.0"  # provisional
ACM_INFO: Final = f"{{{NAMESPACE}}}acm-info"  # provisional
ACM_DATA: Final = f"{{{NAMESPACE}}}acm-data"  # provisional

# TS 24.484 7.2.2; the names keep "mcptt" although the document serves every MC service.
UE_INIT_CONFIG_MEDIA_TYPE: Final = "application/vnd.3gpp.mcptt-ue-init-config+xml"
UE_INIT_CONFIG_NAMESPACE: Final = "urn:3gpp:mcptt:mcpttUEinitConfig:1.0"
UE_INIT_CONFIG_ROOT: Final = f"{{{UE_INIT_CONFIG_NAMESPACE}}}mcptt-UE-initial-configuration"

XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

ICSI_REF_FEATURE_TAG: Final = "g.3gpp.icsi-ref"  # TS 24.229 7.9.2

_ICSI_PREFIX: Final = "urn:urn-7:3gpp-service.ims.icsi."


class McService(Enum):
    """The MC service to which the user of an ACM transaction belongs.

    That ACM uses the ICSI and feature tag of that service is provisional; the ICSIs and feature
    tags themselves are those of TS 24.379, TS 24.281 and TS 24.282.
    """

    MCPTT = "mcptt"
    MCVIDEO = "mcvideo"
    MCDATA = "mcdata"

    @property
    def icsi(self) -> str:
        """The IMS communication service identifier, as P-Preferred-Service carries it."""
        return _ICSI_PREFIX + self.value

    @property
    def feature_tag(self) -> str:
        """The media feature tag without its leading plus."""
        return f"g.3gpp.{self.value}"

    @property
    def icsi_ref(self) -> str:
        """The value of the feature tag g.3gpp.icsi-ref, percent-encoded (TS 24.229 7.9.2)."""
        return self.icsi.replace(":", "%3A")

    @property
    def accept_contacts(self) -> tuple[str, str]:
        """The two Accept-Contact values of a request for this service (RFC 3841)."""
        return (
            f"*;+{self.feature_tag};require;explicit",
            f'*;+{ICSI_REF_FEATURE_TAG}="{self.icsi_ref}";require;explicit',
        )

    @classmethod
    def from_icsi(cls, icsi: str) -> McService | None:
        """Return the service of an ICSI, plain or percent-encoded, or None for a foreign one."""
        plain = icsi.strip(" \t").lower().replace("%3a", ":")
        for service in cls:
            # A sub-service of MCData (mcdata.sds, mcdata.fd) belongs to its service.
            if plain == service.icsi or plain.startswith(service.icsi + "."):
                return service
        return None

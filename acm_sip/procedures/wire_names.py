"""The provisional names that a configuration may replace: media type and ICSIs of ACM.

The defaults are those of :mod:`acm_sip.codec.names`; another name is for tests against a system
that chose differently, as 3GPP has no stage 3 for ACM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from acm_sip.codec import names

__all__ = ["USUAL_NAMES", "WireNames"]


@dataclass(frozen=True, slots=True)
class WireNames:
    """What ACM is called on the wire.

    :param media_type: of a body with an information flow, lower case.
    :param icsis: MC service (``mcptt`` ...) and its ICSI, for the services whose ICSI is not that
        of 3GPP.
    """

    media_type: str = names.MEDIA_TYPE
    icsis: tuple[tuple[str, str], ...] = ()

    def icsi(self, service: str) -> str:
        """Return the ICSI of an MC service, as P-Preferred-Service carries it."""
        return dict(self.icsis).get(service) or names.McService(service).icsi

    def icsi_ref(self, service: str) -> str:
        """Return the ICSI as the feature tag g.3gpp.icsi-ref carries it (TS 24.229 7.9.2)."""
        return self.icsi(service).replace(":", "%3A")

    def accept_contacts(self, service: str) -> tuple[str, str]:
        """Return the two Accept-Contact values of a request for this service (RFC 3841)."""
        by_tag, by_icsi = names.McService(service).accept_contacts
        usual = names.McService(service).icsi_ref
        return by_tag, by_icsi.replace(usual, self.icsi_ref(service))

    def service_of(self, icsi: str) -> str | None:
        """Return the MC service of an ICSI, plain or percent-encoded; None for a foreign one."""
        plain = icsi.strip(" \t").lower().replace("%3a", ":")
        for service, other in self.icsis:
            if plain == other.lower():
                return service
        known = names.McService.from_icsi(icsi)
        return None if known is None else known.value


USUAL_NAMES: Final = WireNames()

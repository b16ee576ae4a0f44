"""The information flows of TS 23.280 10.17.2, one frozen dataclass each, and their catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from acm_sip.codec.flows.base import AcmRequest, AcmResponse, InformationFlow
from acm_sip.codec.flows.process_indication import ProcessIndication
from acm_sip.codec.flows.result import Cause, Outcome, Result
from acm_sip.codec.flows.ue_initial_configuration import (
    UpdateMcServiceUeInitialConfigurationRequest,
    UpdateMcServiceUeInitialConfigurationResponse,
)

__all__ = [
    "FLOWS",
    "AcmRequest",
    "AcmResponse",
    "Cause",
    "InformationFlow",
    "Outcome",
    "ProcessIndication",
    "Result",
    "UpdateMcServiceUeInitialConfigurationRequest",
    "UpdateMcServiceUeInitialConfigurationResponse",
]

_CLASSES: Final = (
    UpdateMcServiceUeInitialConfigurationRequest,
    UpdateMcServiceUeInitialConfigurationResponse,
    ProcessIndication,
)

FLOWS: Final[Mapping[str, type[InformationFlow]]] = MappingProxyType(
    {flow.element_name: flow for flow in _CLASSES}
)
"""Element name of a flow -> its class."""

"""The MCS UE initial configuration document (TS 24.484 7.2): reading, judging, comparing.

The document is kept whole, as octets; what is read from it is what people ask for. Extensions
and elements of later releases stay in the octets.
"""

from __future__ import annotations

from acm_sip.codec.faults import Fault
from acm_sip.codec.ue_init_config.changes import Change, describe_changes
from acm_sip.codec.ue_init_config.reading import (
    AppServerInfo,
    DefaultUserProfile,
    HomeNetwork,
    Name,
    OnNetwork,
    ServiceDetails,
    ServiceReferences,
    UeInitialConfiguration,
    VisitedNetwork,
    document_digest,
    is_equal,
    read_ue_initial_configuration,
    without_labels,
)
from acm_sip.codec.ue_init_config.rules import RULES, DocumentMode, find_faults, judge

__all__ = [
    "RULES",
    "AppServerInfo",
    "Change",
    "DefaultUserProfile",
    "DocumentMode",
    "Fault",
    "HomeNetwork",
    "Name",
    "OnNetwork",
    "ServiceDetails",
    "ServiceReferences",
    "UeInitialConfiguration",
    "VisitedNetwork",
    "describe_changes",
    "document_digest",
    "find_faults",
    "is_equal",
    "judge",
    "read_ue_initial_configuration",
    "without_labels",
]

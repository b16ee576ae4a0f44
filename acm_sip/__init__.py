"""acm-sip: administrative configuration (ACM) between interconnected MC systems, over SIP.

3GPP TS 23.280 clause 10.17: an authorized user of a primary MC system asks a partner MC system
to change something, and an authorized user or a rule there decides. The layers, each importing
only what stands below it:

    cli          the command acm-sip
    runtime      sockets, the engine thread, configuration: AcmServer and AcmClient
    stores       what must survive a crash     capture   pcapng and the ladder
    procedures   who does what, as pure decisions
    sip          RFC 3261 without INVITE       codec     information flow <-> XML
    identities   MC service ID, functional alias, ACM transaction id
    uri, errors

The names below are the public interface; everything else may change.
"""

from importlib.metadata import version

from acm_sip.codec.explain import explain
from acm_sip.codec.flows import (
    Cause,
    InformationFlow,
    Outcome,
    ProcessIndication,
    Result,
    UpdateMcServiceUeInitialConfigurationRequest,
    UpdateMcServiceUeInitialConfigurationResponse,
)
from acm_sip.codec.ue_init_config import (
    UeInitialConfiguration,
    describe_changes,
    read_ue_initial_configuration,
)
from acm_sip.errors import (
    AcmSipError,
    CaptureError,
    ConfigurationError,
    LocalProtocolError,
    RemoteProtocolError,
    StoreError,
)
from acm_sip.identities import AcmTransactionId, FunctionalAlias, McServiceGroupId, McServiceId
from acm_sip.procedures.records import AcmTransaction, AcmTransactionState, Side
from acm_sip.runtime.client import AcmClient
from acm_sip.runtime.configuration import (
    ClientConfiguration,
    ServerConfiguration,
    load_client_configuration,
    load_server_configuration,
)
from acm_sip.runtime.server import AcmServer

__all__ = [
    "AcmClient",
    "AcmServer",
    "AcmSipError",
    "AcmTransaction",
    "AcmTransactionId",
    "AcmTransactionState",
    "CaptureError",
    "Cause",
    "ClientConfiguration",
    "ConfigurationError",
    "FunctionalAlias",
    "InformationFlow",
    "LocalProtocolError",
    "McServiceGroupId",
    "McServiceId",
    "Outcome",
    "ProcessIndication",
    "RemoteProtocolError",
    "Result",
    "ServerConfiguration",
    "Side",
    "StoreError",
    "UeInitialConfiguration",
    "UpdateMcServiceUeInitialConfigurationRequest",
    "UpdateMcServiceUeInitialConfigurationResponse",
    "describe_changes",
    "explain",
    "load_client_configuration",
    "load_server_configuration",
    "read_ue_initial_configuration",
]

__version__ = version("acm-sip")

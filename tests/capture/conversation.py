"""A made-up conversation: the seven MESSAGEs of TS 23.280 10.17.6.2 on four entities."""

from __future__ import annotations

from acm_sip.capture.reading import CapturedMessage

Endpoint = tuple[str, int]

NAMESPACE = "urn:3gpp:ns:mcsAcmInfo:1.0"
MEDIA_TYPE = "application/vnd.3gpp.mcs-acm-info+xml"
REQUEST = "update-mc-service-ue-initial-configuration-request"
RESPONSE = "update-mc-service-ue-initial-configuration-response"
INDICATION = "process-indication"
TRANSACTION_ID = "urn:uuid:11111111-2222-4333-8444-555555555555"

# Where each entity listens, and the ports of the TCP connections it opens.
A: Endpoint = ("127.0.0.1", 5071)
P: Endpoint = ("127.0.0.1", 5081)
Q: Endpoint = ("127.0.0.1", 5082)
B: Endpoint = ("127.0.0.1", 5072)
A_TO_P: Endpoint = ("127.0.0.1", 40001)
P_TO_Q: Endpoint = ("127.0.0.1", 40002)
Q_TO_P: Endpoint = ("127.0.0.1", 40003)
B_TO_Q: Endpoint = ("127.0.0.1", 40004)

_IDENTITIES = {
    A: "sip:alice@mc1.example",
    P: "sip:acm@mc1.example",
    Q: "sip:acm@mc2.example",
    B: "sip:bob@mc2.example",
}


def body(flow: str, inner: str = "") -> bytes:
    """Return an ACM body with one flow."""
    return (
        f'<acm-info xmlns="{NAMESPACE}"><{flow}><acm-transaction-id>{TRANSACTION_ID}'
        f"</acm-transaction-id>{inner}</{flow}></acm-info>"
    ).encode()


def _identity(name: str, uri: str) -> str:
    return f"<{name}><mcsURI>{uri}</mcsURI></{name}>"


_ALICE, _BOB = "sip:alice@mc1.example", "sip:bob@mc2.example"
_REQUESTING = _identity("requesting-mc-service-id", _ALICE)
_USERS = f"<mc-service-id-list>{_identity('mc-service-id', _ALICE)}</mc-service-id-list>"
_ANSWERING = _identity("handling-mc-service-id", _BOB) + _identity("target-mc-service-id", _ALICE)
_DOCUMENT = """<mcptt-UE-initial-configuration xmlns="urn:3gpp:mcptt:mcpttUEinitConfig:1.0"
 domain="mc1.example"><Default-user-profile User-ID="default" user-profile-index="0"/><on-network>
<Timers><T100>1</T100><T101>1</T101><T103>1</T103><T104>1</T104><T132>1</T132></Timers>
<HPLMN PLMN="00101"><service><MCPTT-to-con-ref>a</MCPTT-to-con-ref>
<MC-common-core-to-con-ref>b</MC-common-core-to-con-ref><MC-ID-to-con-ref>c</MC-ID-to-con-ref>
</service></HPLMN><App-Server-Info><idms-auth-endpoint>http://idms.example/a</idms-auth-endpoint>
<idms-token-endpoint>http://idms.example/t</idms-token-endpoint>
<http-proxy>http://proxy.example</http-proxy><gms>sip:gms@mc1.example</gms>
<cms>sip:cms@mc1.example</cms><kms>sip:kms@mc1.example</kms><tls-tunnel-auth-method>
<mutual-authentication>false</mutual-authentication></tls-tunnel-auth-method></App-Server-Info>
<GMS-URI>sip:gms@mc1.example</GMS-URI><group-creation-XUI>sip:g@mc1.example</group-creation-XUI>
<GMS-XCAP-root-URI>http://gms.example/x</GMS-XCAP-root-URI>
<CMS-XCAP-root-URI>http://cms.example/x</CMS-XCAP-root-URI>
<integrity-protection-enabled>false</integrity-protection-enabled>
<confidentiality-protection-enabled>false</confidentiality-protection-enabled></on-network>
</mcptt-UE-initial-configuration>"""

ASKED = body(
    REQUEST,
    f"{_REQUESTING}{_identity('target-mc-service-id', _BOB)}{_USERS}"
    "<mc-service-ue-initial-configuration-data>"
    f"{_DOCUMENT}</mc-service-ue-initial-configuration-data>",
)
INDICATED = body(INDICATION, _REQUESTING)
ACCEPTED = body(RESPONSE, f"{_ANSWERING}<result><success/></result>")
REJECTED = body(
    RESPONSE,
    f"{_ANSWERING}<result><failure/><cause>rejected-by-user</cause></result>",
)


def request(
    sender: Endpoint,
    receiver: Endpoint,
    content: bytes,
    branch: str,
    *,
    transport: str = "TCP",
    method: str = "MESSAGE",
    content_type: str = MEDIA_TYPE,
    request_uri: str = "",
    extra: str = "",
) -> bytes:
    """Return a request of one entity to another; clients prefer and servers assert."""
    identity = _IDENTITIES[sender]
    field = "P-Asserted-Identity" if sender in (P, Q) else "P-Preferred-Identity"
    named = f"{field}: <{identity}>\r\n" if method == "MESSAGE" else ""
    typed = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = (
        f"{method} {request_uri or _IDENTITIES[receiver]} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} {sender[0]}:{sender[1]};branch=z9hG4bK{branch}\r\n"
        f"Max-Forwards: 70\r\nFrom: <{identity}>;tag=1\r\nTo: <{_IDENTITIES[receiver]}>\r\n"
        f"Call-ID: {branch}@example\r\nCSeq: 1 {method}\r\n{named}{extra}{typed}"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def response(to: bytes, status: str = "202 Accepted") -> bytes:
    """Return the response to a request."""
    kept = [
        line + (";tag=9" if line.startswith("To:") else "")
        for line in to.decode("utf-8", "surrogateescape").partition("\r\n\r\n")[0].split("\r\n")
        if line.partition(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")
    ]
    lines = [f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


class Conversation:
    """Collects messages, 10 ms apart, as a reader would deliver them."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0
        self.messages: list[CapturedMessage] = []

    def say(
        self, source: Endpoint, destination: Endpoint, octets: bytes, after: float = 0.01
    ) -> None:
        frame = len(self.messages) + 1
        self.messages.append(CapturedMessage(frame, self.at, "TCP", source, destination, octets))
        self.at += after

    def exchange(
        self, source: Endpoint, destination: Endpoint, octets: bytes, status: str = "202 Accepted"
    ) -> None:
        self.say(source, destination, octets)
        self.say(destination, source, response(octets, status))


def accepted_by_a_user() -> list[CapturedMessage]:
    """Return both log-ons and the seven MESSAGEs with their answers."""
    talk = Conversation()
    for client, connection, server in ((A, A_TO_P, P), (B, B_TO_Q, Q)):
        contact = f"Contact: <sip:{client[0]}:{connection[1]};transport=tcp>\r\n"
        register = request(
            client, server, b"", f"r{client[1]}", method="REGISTER", content_type="", extra=contact
        )
        talk.exchange(connection, server, register, "200 OK")
    asked, answered = ASKED, ACCEPTED
    talk.exchange(A_TO_P, P, request(A, P, asked, "1"))
    talk.exchange(P_TO_Q, Q, request(P, Q, asked, "3"))
    talk.exchange(Q_TO_P, P, request(Q, P, INDICATED, "4"), "200 OK")
    talk.exchange(Q, B_TO_Q, request(Q, B, asked, "5"), "200 OK")
    talk.exchange(B_TO_Q, Q, request(B, Q, answered, "7"))
    talk.exchange(Q_TO_P, P, request(Q, P, answered, "8"))
    talk.exchange(P, A_TO_P, request(P, A, answered, "10"), "200 OK")
    return talk.messages

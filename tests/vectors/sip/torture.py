"""Own vectors after RFC 4475 and RFC 5118: one for each of their cases.

The defect is of the kind that the case describes, in a MESSAGE where it is not about INVITE or
REGISTER. ``datagram`` and ``stream`` are the verdicts of the parser: ``accept``, a status code
(refused with that answer), ``drop`` (refused, no answer), ``wait`` (a stream that needs more).
``decided_by`` names the layer that objects where it is not the parser.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Vector:
    clause: str
    name: str
    octets: bytes
    datagram: str | int = "accept"
    stream: str | int = "accept"
    decided_by: str = "parser"
    messages: int = 1


VIA = "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-t1"
FROM = "From: <sip:alice@mc1.example>;tag=a1"
TO = "To: <sip:psi@mc2.example>"
CALL_ID = "Call-ID: t1@192.0.2.7"
CSEQ = "CSeq: 7 MESSAGE"
MAX_FORWARDS = "Max-Forwards: 70"
LENGTH = "Content-Length: 0"
USUAL = {
    "via": VIA,
    "max_forwards": MAX_FORWARDS,
    "from_": FROM,
    "to": TO,
    "call_id": CALL_ID,
    "cseq": CSEQ,
}


def request(
    line: str = "MESSAGE sip:psi@mc2.example SIP/2.0",
    *more: str,
    body: bytes = b"",
    length: str | None = None,
    **changed: str,
) -> bytes:
    """Build a request; a field changed to "" is left out, ``length`` replaces Content-Length."""
    fields = [text for text in {**USUAL, **changed}.values() if text]
    fields += more
    fields.append(f"Content-Length: {len(body)}" if length is None else length)
    lines = "\r\n".join([line, *[field for field in fields if field]])
    return lines.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def response(line: str, *more: str, **changed: str) -> bytes:
    return request(line, *more, **{"max_forwards": "", **changed})


def uri(text: str) -> str:
    return f"MESSAGE {text} SIP/2.0"


TORTUOUS = request(
    "MESSAGE sip:psi@mc2.example;unknownparam SIP/2.0",
    "NewFangledHeader:   newfangled value\r\n continued newfangled value",
    "UnknownHeaderWithUnusualValue: ;;,,;;,;",
    "s :",
    "Route: <sip:services.example.com;lr;unknownwith=value;unknown-no-value>",
    'm:"Quoted string \\"\\"" <sip:jdrosen@mc1.example> ; newparam =\r\n newvalue ;\r\n'
    "  secondparam ; q = 0.33",
    to="TO :\r\n sip:psi@mc2.example ;   tag    = 1918181833n",
    from_='f   : "J Rosenberg \\\\\\""       <sip:jdrosen@mc1.example>\r\n  ;\r\n  tag = 98asjd8',
    max_forwards="MaX-fOrWaRdS: 0068",
    call_id="Call-ID: tortuous.0ha0isndaksdj@192.0.2.1",
    cseq="cseq: 0009\r\n  MESSAGE",
    via="Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=z9hG4bK390skdjuw\r\n"
    "v:  SIP  / 2.0  / TCP     mc1.example   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    " SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239",
)
WIDE = request(
    "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?"
    ",/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0",
    "extensionHeader-!.%*+_`'~: \ufeff\u5927\u505c\u96fb",
    via="Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~",
    to='To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:1_unusual.URI~(to-be!sure)&isn\'t+it$/crazy?'
    ",/;;*@example.com>",
    from_="From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>"
    ";fromParam''~+*_!.-%=\"\u0440\u0430\u0431\";tag=_token~1'+`*%!-.",
    call_id="Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
    cseq="CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~",
)
MULTIPART = (
    b"--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    b"--7a9cbec02ceef655\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n\x00\x01\r\n\r\n\x00\xff\r\n--7a9cbec02ceef655--\r\n"
)
LONG = "a-very-long-value." * 40
IP6 = "[2001:db8::9:1]"

VECTORS = (
    Vector("4475 3.1.1.1", "wsinv", TORTUOUS),
    Vector("4475 3.1.1.2", "intmeth", WIDE, decided_by="transaction user: 501"),
    Vector(
        "4475 3.1.1.3",
        "esc01",
        request(
            uri("sip:sips%3Auser%40mc2.example@mc3.example"),
            "Contact: <sip:cal%6Cer@192.0.2.7;%6C%72;n%61me=v%61lue%25%34%31>",
            to="To: sip:%75se%72@mc2.example",
            from_="From: <sip:I%20have%20spaces@mc1.example>;tag=938",
        ),
    ),
    Vector(
        "4475 3.1.1.4",
        "escnull",
        request(
            uri("sip:null-%00-null@mc2.example"),
            "Contact: <sip:%00@192.0.2.7>, <sip:%00%00@192.0.2.7>",
            from_="From: sip:null-%00-null@mc2.example;tag=839923423",
        ),
    ),
    Vector(
        "4475 3.1.1.5",
        "esc02",
        request(
            "RE%47IST%45R sip:mc2.example SIP/2.0",
            "C%6Fntact: <sip:alias2@192.0.2.7>",
            "Contact: <sip:alias1@192.0.2.7>",
            to='To: "%Z%45" <sip:resource@mc2.example>',
            from_='From: "%Z%45" <sip:resource@mc2.example>;tag=f232jadfj23',
            cseq="CSeq: 29344 RE%47IST%45R",
        ),
        decided_by="transaction user: 501",
    ),
    Vector("4475 3.1.1.6", "lwsdisp", request(from_="From: caller<sip:a@mc1.example>;tag=323")),
    Vector(
        "4475 3.1.1.7",
        "longreq",
        request(
            uri(f"sip:psi@{'label.' * 20}mc2.example"),
            f"Unknown-{'Long' * 30}-Name: {LONG * 3}",
            to=f'To: "{LONG}" <sip:{"user" * 30}@mc2.example;p={LONG}>',
            from_=f"From: sip:{'user' * 30}@mc1.example;longparam={LONG};tag={'x' * 60}",
            call_id=f"Call-ID: {'long' * 50}@192.0.2.7",
        ),
    ),
    Vector("4475 3.1.1.8", "dblreq", request() + request(), messages=2),
    Vector("4475 3.1.1.9", "semiuri", request(uri("sip:user;par=u%40example.net@mc2.example"))),
    Vector(
        "4475 3.1.1.10",
        "transports",
        request(
            uri("sip:psi@mc2.example"),
            "Via: SIP/2.0/SCTP 192.0.2.8;branch=z9hG4bK2\r\n"
            "Via: SIP/2.0/UNKNOWN mc1.example;branch=z9hG4bK3",
        ),
    ),
    Vector(
        "4475 3.1.1.11",
        "mpart01",
        request(
            uri("sip:psi@mc2.example"),
            "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655",
            body=MULTIPART,
        ),
    ),
    Vector(
        "4475 3.1.1.12", "unreason", response("SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e = \u0434")
    ),
    Vector("4475 3.1.1.13", "noreason", response("SIP/2.0 100 ")),
    Vector(
        "4475 3.1.2.1",
        "badinv01",
        request(
            uri("sip:psi@mc2.example"),
            'Contact: "Joe" <sip:joe@mc1.example>;;;;',
            via="Via: SIP/2.0/UDP 192.0.2.15;;branch=z9hG4bKkdjuw,;,,",
        ),
        "drop",  # there is no Via to follow
        "drop",
    ),
    Vector(
        "4475 3.1.2.1",
        "badinv01-contact",
        request(uri("sip:psi@mc2.example"), 'Contact: "Joe" <sip:joe@mc1.example>;;;;'),
        400,
        400,
    ),
    Vector("4475 3.1.2.2", "clerr", request(body=b"short", length="l: 9999"), 400, "wait"),
    Vector("4475 3.1.2.3", "ncl", request(length="Content-Length: -999"), 400, 400),
    Vector(
        "4475 3.1.2.4",
        "scalar02",
        request(
            uri("sip:psi@mc2.example"),
            "Expires: 1" + "0" * 60,
            cseq="CSeq: 36893488147419103232 MESSAGE",
        ),
        400,
        400,
    ),
    Vector("4475 3.1.2.4", "scalar02-mf", request(max_forwards="Max-Forwards: 300"), 400, 400),
    Vector(
        "4475 3.1.2.5",
        "scalarlg",
        response(
            "SIP/2.0 503 Service Unavailable",
            "Retry-After: 949302838503028349304023988",
            cseq="CSeq: 9292394834772304023312 MESSAGE",
        ),
        "drop",
        "drop",
    ),
    Vector("4475 3.1.2.6", "quotbal", request(to='To: "Mr. <sip:psi@mc2.example>'), 400, 400),
    Vector("4475 3.1.2.7", "ltgtruri", request(uri("<sip:psi@mc2.example>")), 400, 400),
    Vector("4475 3.1.2.8", "lwsruri", request(uri("sip:psi@mc2.example; lr")), 400, 400),
    Vector("4475 3.1.2.9", "lwsstart", request("MESSAGE  sip:p@mc2.example  SIP/2.0"), 400, 400),
    Vector("4475 3.1.2.10", "trws", request("MESSAGE sip:p@mc2.example SIP/2.0  "), 400, 400),
    Vector(
        "4475 3.1.2.11", "escruri", request(uri("sip:p@mc2.example?Route=%3Csip:x%3E")), 400, 400
    ),
    Vector(
        "4475 3.1.2.12",
        "baddate",
        request(uri("sip:psi@mc2.example"), "Date: Fri, 01 Jan 2010 16:00:00 EST"),
    ),
    Vector(
        "4475 3.1.2.13",
        "regbadct",
        request(uri("sip:psi@mc2.example"), "Contact: sip:u@mc1.example?Route=%3Csip:x%3E"),
        400,
        400,
    ),
    Vector("4475 3.1.2.14", "badaspec", request(to="To: <sip: t.watson@mc2.example>"), 400, 400),
    Vector(
        "4475 3.1.2.15",
        "baddn",
        request(from_="From: Bell, Alexander <sip:a.g.bell@mc1.example>;tag=43"),
        400,
        400,
    ),
    Vector(
        "4475 3.1.2.15",
        "baddn-unended",
        request(from_="From: Bell, Alexander <sip:a.g.bell@mc1.example>;tag=43")[:-2],
        400,
        "wait",
    ),
    Vector("4475 3.1.2.16", "badvers", request("MESSAGE sip:p@mc2.example SIP/7.0"), 505, 505),
    Vector("4475 3.1.2.17", "mismatch01", request(cseq="CSeq: 8 INVITE"), 400, 400),
    Vector("4475 3.1.2.18", "mismatch02", request("NEWMETHOD sip:p@mc2.example SIP/2.0"), 400, 400),
    Vector("4475 3.1.2.19", "bigcode", response("SIP/2.0 4294967301 better"), "drop", "drop"),
    Vector(
        "4475 3.2.1",
        "badbranch",
        request(via="Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK"),
        400,
        400,
    ),
    Vector("4475 3.3.1", "insuf", request(from_="", to="", call_id=""), 400, 400),
    Vector(
        "4475 3.3.2",
        "unkscm",
        request(uri("nobodyKnowsThisScheme:totallyopaquecontent")),
        decided_by="transaction user: 416",
    ),
    Vector(
        "4475 3.3.3",
        "novelsc",
        request(uri("soap.beep://192.0.2.103:3002")),
        decided_by="transaction user: 416",
    ),
    Vector(
        "4475 3.3.4",
        "unksm2",
        request(
            uri("sip:psi@mc2.example"),
            "Contact: <name:John_Smith>",
            to="To: isbn:2983792873",
            from_="From: <http://www.example.com>;tag=3234233",
        ),
        decided_by="registrar: 400",
    ),
    Vector(
        "4475 3.3.5",
        "bext01",
        request(
            uri("sip:psi@mc2.example"),
            "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis",
            "Require: nothingSupportsThis, nothingSupportsThisEither",
        ),
        decided_by="transaction user: 420",
    ),
    Vector(
        "4475 3.3.6",
        "invut",
        request(
            uri("sip:psi@mc2.example"), "Content-Type: application/unknownformat", body=b"<audio/>"
        ),
        decided_by="transaction user: 415",
    ),
    Vector(
        "4475 3.3.7",
        "regaut01",
        request(uri("sip:psi@mc2.example"), "Authorization: NoOneKnowsThisScheme opaque-data=here"),
        decided_by="registrar",
    ),
    Vector(
        "4475 3.3.8",
        "multi01",
        request(
            uri("sip:psi@mc2.example"),
            "CSeq: 59 MESSAGE",
            "Call-ID: second@192.0.2.7",
            "To: <sip:other@mc2.example>",
            "From: <sip:other@mc1.example>;tag=2",
            "Max-Forwards: 5",
        ),
        400,
        400,
    ),
    Vector(
        "4475 3.3.9",
        "mcl01",
        request(uri("sip:psi@mc2.example"), "Content-Length: 5", body=b"There's no way to know"),
        400,
        400,
    ),
    Vector(
        "4475 3.3.10",
        "bcast",
        response("SIP/2.0 200 OK", via="Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23"),
        decided_by="transactions: no such client transaction",
    ),
    Vector("4475 3.3.11", "zeromf", request(max_forwards="Max-Forwards: 0")),
    Vector(
        "4475 3.3.12",
        "cparam01",
        request(
            "REGISTER sip:mc2.example SIP/2.0",
            "Contact: sip:+19725552222@192.0.2.7;unknownparam",
            cseq="CSeq: 79 REGISTER",
        ),
        decided_by="registrar",
    ),
    Vector(
        "4475 3.3.13",
        "cparam02",
        request(
            "REGISTER sip:mc2.example SIP/2.0",
            "Contact: <sip:+19725552222@192.0.2.7;unknownparam>",
            cseq="CSeq: 79 REGISTER",
        ),
        decided_by="registrar",
    ),
    Vector(
        "4475 3.3.14",
        "regescrt",
        request(
            "REGISTER sip:mc2.example SIP/2.0",
            "Contact: <sip:user@mc1.example?Route=%3Csip:sip.example.com%3E>",
            cseq="CSeq: 14398234 REGISTER",
        ),
        decided_by="registrar",
    ),
    Vector(
        "4475 3.3.15",
        "sdp01",
        request(uri("sip:psi@mc2.example"), "Accept: text/nobodyKnowsThis"),
        decided_by="transaction user",
    ),
    Vector(
        "4475 3.4.1",
        "inv2543",
        request(
            via="Via: SIP/2.0/UDP iftgw.example.com",
            max_forwards="",
            from_="From: <sip:+15132921234@mc1.example;user=phone>",
        ),
        400,
        400,
    ),
    Vector(
        "5118 4.1",
        "ipv6-good",
        request(
            uri("sip:[2001:db8::10]"),
            "Contact: <sip:caller@[2001:db8::1]>",
            via=f"Via: SIP/2.0/UDP {IP6};branch=z9hG4bKas3-111",
        ),
    ),
    Vector("5118 4.2", "ipv6-bad", request(uri("sip:2001:db8::10")), 400, 400),
    Vector("5118 4.3", "port-ambiguous", request(uri("sip:[2001:db8::10:5070]"))),
    Vector("5118 4.4", "port-unambiguous", request(uri("sip:[2001:db8::10]:5070"))),
    Vector(
        "5118 4.5",
        "via-received-param-with-delim",
        request(via=f"Via: SIP/2.0/UDP {IP6};received=[2001:db8::9:255];branch=z9hG4bKas3"),
    ),
    Vector(
        "5118 4.5",
        "via-received-param-no-delim",
        request(via=f"Via: SIP/2.0/UDP {IP6};received=2001:db8::9:255;branch=z9hG4bKas3"),
    ),
    Vector(
        "5118 4.6",
        "ipv6-in-sdp",
        request(
            uri("sip:psi@[2001:db8::10]"),
            "Content-Type: application/sdp",
            body=b"v=0\r\no=a 1 1 IN IP6 2001:db8::20\r\ns=-\r\nc=IN IP6 2001:db8::20\r\n",
        ),
    ),
    Vector(
        "5118 4.7",
        "mult-ip-in-header",
        request(
            uri("sip:psi@mc2.example"),
            "Via: SIP/2.0/TCP 192.0.2.1;received=192.0.2.55;branch=z9hG4bKas3-112",
            via=f"Via: SIP/2.0/UDP {IP6}:6050;branch=z9hG4bKas3-111",
        ),
    ),
    Vector(
        "5118 4.8",
        "mult-ip-in-sdp",
        request(
            uri("sip:psi@[2001:db8::10]"),
            "Content-Type: application/sdp",
            body=b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n",
        ),
    ),
    Vector(
        "5118 4.9",
        "ipv4-mapped-ipv6",
        request(
            uri("sip:psi@mc2.example"),
            "Contact: <sip:user@[::ffff:192.0.2.2]:5060>",
            via="Via: SIP/2.0/UDP [::ffff:192.0.2.2]:5060;branch=z9hG4bKas3",
        ),
    ),
    Vector(
        "5118 4.10",
        "ipv6-bug-abnf-3-colons",
        request(uri("sip:user@[2001:db8:::192.0.2.1]"), to="To: sip:user@[2001:db8:::192.0.2.1]"),
    ),
    Vector(
        "5118 4.10", "ipv6-correct-abnf-2-colons", request(uri("sip:user@[2001:db8::192.0.2.1]"))
    ),
)

"""The particles of mcs-acm-info.xsd as a table: one body that it takes, one that it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from tests.codec.bodies import (
    INDICATION_ELEMENTS,
    NS,
    REQUEST_ELEMENTS,
    REQUEST_NAME,
    RESPONSE_ELEMENTS,
    RESPONSE_NAME,
    body_of,
    identity,
)


@dataclass(frozen=True)
class Particle:
    """A particle of the schema with both verdicts."""

    name: str
    accept: bytes
    refuse: bytes


FLOWS = {
    REQUEST_NAME: REQUEST_ELEMENTS,
    RESPONSE_NAME: RESPONSE_ELEMENTS,
    "process-indication": INDICATION_ELEMENTS,
}
OPTIONAL = {
    REQUEST_NAME: {
        "requesting-functional-alias",
        "target-mc-service-id",
        "target-functional-alias",
        "expires-at",
    },
    RESPONSE_NAME: {"handling-functional-alias"},
    "process-indication": {"target-mc-service-id", "target-functional-alias"},
}


def _without(elements: dict[str, str], name: str) -> dict[str, str]:
    return {key: text for key, text in elements.items() if key != name}


def _rows_of(flow: str, elements: dict[str, str]) -> list[Particle]:
    rows = []
    for name, text in elements.items():
        twice = elements | {name: text * 2}
        if name in OPTIONAL[flow]:
            accept, refuse = _without(elements, name), twice
        else:
            accept, refuse = elements, _without(elements, name)
            rows.append(
                Particle(f"{flow}-{name}-once", body_of(flow, elements), body_of(flow, twice))
            )
        rows.append(Particle(f"{flow}-{name}", body_of(flow, accept), body_of(flow, refuse)))
    backwards = dict(reversed(elements.items()))
    rows.append(Particle(f"{flow}-order", body_of(flow, elements), body_of(flow, backwards)))
    rows.append(
        Particle(
            f"{flow}-extension",
            body_of(flow, elements, extra="<f:x/><f:x/><anyExt><f:y/><unknown/></anyExt>"),
            body_of(flow, elements, extra="<anyExt/><f:x/>"),
        )
    )
    rows.append(
        Particle(
            f"{flow}-anyExt-once",
            body_of(flow, elements, extra="<anyExt/>"),
            body_of(flow, elements, extra="<anyExt/><anyExt/>"),
        )
    )
    return rows


def _request(**changed: str) -> bytes:
    elements = REQUEST_ELEMENTS | {k.replace("_", "-"): v for k, v in changed.items()}
    return body_of(REQUEST_NAME, elements)


def _target(content: str, attributes: str = "") -> bytes:
    element = f"<target-mc-service-id {attributes}>{content}</target-mc-service-id>"
    return _request(target_mc_service_id=element)


def _result(content: str) -> bytes:
    return body_of(RESPONSE_NAME, RESPONSE_ELEMENTS | {"result": f"<result>{content}</result>"})


def _list(content: str) -> bytes:
    return _request(mc_service_id_list=f"<mc-service-id-list>{content}</mc-service-id-list>")


def _data(content: str, attributes: str = "") -> bytes:
    name = "mc-service-ue-initial-configuration-data"
    return _request(
        mc_service_ue_initial_configuration_data=f"<{name} {attributes}>{content}</{name}>"
    )


def _instant(text: str) -> bytes:
    return _request(expires_at=f"<expires-at>{text}</expires-at>")


def _transaction(text: str) -> bytes:
    return _request(acm_transaction_id=f"<acm-transaction-id>{text}</acm-transaction-id>")


_URI = "<mcsURI>sip:bob@x.example</mcsURI>"
_UE = 'xmlns="urn:3gpp:mcptt:mcpttUEinitConfig:1.0"'
_ONE = identity("mc-service-id", "sip:carol@x.example")
_CARRIED = body_of(RESPONSE_NAME, RESPONSE_ELEMENTS)

# libxml2 refuses text in an element whose children are all optional, xmlschema takes it.
XMLSCHEMA_IS_LENIENT = {"data-no-text"}

PARTICLES = [
    *(row for flow, elements in FLOWS.items() for row in _rows_of(flow, elements)),
    Particle(
        "acm-info-one-flow",
        _CARRIED,
        _CARRIED.replace(b"</acm-info>", b"<process-indication/></acm-info>"),
    ),
    Particle("acm-info-flow-first", _CARRIED, f'<acm-info xmlns="{NS}"/>'.encode()),
    Particle(
        "acm-info-extension",
        _CARRIED.replace(b"</acm-info>", b"<f:x/><anyExt/></acm-info>"),
        _CARRIED.replace(b"</acm-info>", b"<anyExt/><f:x/></acm-info>"),
    ),
    Particle(
        "acm-info-known-flows",
        _CARRIED,
        f'<acm-info xmlns="{NS}"><unknown-request/></acm-info>'.encode(),
    ),
    Particle("contentType-mcsURI", _target(_URI), _target(_URI * 2)),
    Particle("contentType-foreign", _target("<f:x/>"), _target("<f:x/><f:x/>")),
    Particle("contentType-anyExt", _target("<anyExt/>"), _target("<anyExt/>" + _URI)),
    Particle("contentType-not-empty", _target(_URI), _target("")),
    Particle(
        "mcsURI-IPv6",
        _target("<mcsURI>sip:b@[2001:db8::1]</mcsURI>"),
        _target("<mcsURI> </mcsURI>"),
    ),
    Particle("contentType-no-text", _target(f" {_URI} "), _target("sip:bob@x.example")),
    Particle("type-Normal", _target(_URI, 'type="Normal"'), _target(_URI, 'type="normal"')),
    Particle("type-Encrypted", _target("<f:x/>", 'type="Encrypted"'), _target("<f:x/>", 'type=""')),
    Particle("contentType-any-attribute", _target(_URI, 'f:a="1" b="2"'), _target("<unknown/>")),
    Particle("mc-service-id-list-many", _list(_ONE * 3), _list("")),
    Particle(
        "mc-service-id-list-extension", _list(_ONE + "<f:x/><anyExt/>"), _list("<f:x/>" + _ONE)
    ),
    Particle("data-document", _data(f"<x {_UE}/>"), _data(f"<x {_UE}/>" * 2)),
    Particle("data-is-skipped", _data(f"<T100 {_UE}>x</T100>"), _data("<f:x/>")),
    Particle("data-reference", _data("", 'href="cid:a@b"'), _data("", 'href="http://a/b"')),
    Particle("data-no-text", _data(" "), _data("text")),
    Particle("result-success", _result("<success/>"), _result("<success/><failure/>")),
    Particle("result-failure", _result("<failure/>"), _result("")),
    Particle(
        "result-outcome-empty", _result("<failure f:a='1'/>"), _result("<failure>x</failure>")
    ),
    Particle(
        "result-cause",
        _result("<failure/><cause>anything at all</cause>"),
        _result("<failure/><cause>a</cause><cause>b</cause>"),
    ),
    Particle(
        "result-users",
        _result(f"<failure/><mc-service-id-list>{_ONE}</mc-service-id-list>"),
        _result(f"<failure/><mc-service-id-list>{_ONE}</mc-service-id-list><cause>a</cause>"),
    ),
    Particle(
        "result-text",
        _result('<failure/><text xml:lang="de-AT">nein</text>'),
        _result("<failure/><text><b/></text>"),
    ),
    Particle(
        "result-text-language",
        _result('<failure/><text xml:lang="">nein</text>'),
        _result('<failure/><text xml:lang="not a tag">nein</text>'),
    ),
    Particle(
        "result-extension",
        _result("<success/><f:x/><anyExt/>"),
        _result("<success/><anyExt/><f:x/>"),
    ),
    Particle("expires-at-UTC", _instant("2026-12-24T18:00:00Z"), _instant("2026-12-24T18:00:00")),
    Particle(
        "expires-at-decimals",
        _instant("2026-12-24T18:00:00.123456Z"),
        _instant("2026-12-24T18:00:00.1234567Z"),
    ),
    Particle("expires-at-date", _instant("2028-02-29T00:00:00Z"), _instant("2027-02-29T00:00:00Z")),
    Particle("transaction-id-URN", _transaction("urn:uuid:1"), _transaction("uuid:1")),
    Particle(
        "transaction-id-length",
        _transaction("urn:x:" + "a" * 249),
        _transaction("urn:x:" + "a" * 250),
    ),
]

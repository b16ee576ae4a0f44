"""The particles of the UE initial configuration document (TS 24.484 7.2.2.3) as a table.

Each particle has one document that holds it rightly and one that breaks it. A row changes one
thing of BASE; the rest of the document is what it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.codec.document_edits import (
    BASE,
    COUNTERS,
    DETAILS,
    OFF_TIMERS,
    ON_TIMERS,
    REFERENCES,
    SERVERS,
    SLICES,
    SWITCHES,
    URIS,
    Edit,
    append,
    attribute,
    edited,
    nothing,
    remove,
    repeat,
    text,
)

__all__ = [
    "BASE",
    "PARTICLES",
    "XMLSCHEMA_IS_LENIENT",
    "Edit",
    "Particle",
    "append",
    "attribute",
    "edited",
    "remove",
    "repeat",
    "text",
]


@dataclass(frozen=True)
class Particle:
    """A particle of the schema, an edit that it takes and one that it refuses."""

    name: str
    accept: Edit
    refuse: Edit

    def documents(self) -> tuple[bytes, bytes]:
        return edited(self.accept), edited(self.refuse)


FOREIGN = "<f:x/>"
ANY_EXT = "<anyExt/>"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# Parents that take anyExt once and then foreign elements.
EXTENSIBLE = [
    "mcptt-UE-id/IMEI-range",
    "mcptt-UE-id/IMEI-range/SNR-range",
    "on-network",
    "on-network/Timers",
    "on-network/HPLMN",
    "on-network/HPLMN/service",
    "on-network/HPLMN/VPLMN",
    "on-network/HPLMN/VPLMN/service",
    "on-network/App-Server-Info",
    "on-network/App-Server-Info/tls-tunnel-auth-method",
    "off-network",
    "off-network/Timers",
    "off-network/Counters",
]
INDEXED = [
    "name",
    "mcptt-UE-id",
    "mcptt-UE-id/IMEI-range",
    "mcptt-UE-id/IMEI-range/TAC",
    "mcptt-UE-id/IMEI-range/SNR",
    "mcptt-UE-id/IMEI-range/SNR-range",
    "mcptt-UE-id/IMEI-range/SNR-range/Low-SNR",
    "Default-user-profile",
    "on-network",
    "off-network",
]
# Foreign attributes: who takes them, beside one that does not.
OPEN_TO_ATTRIBUTES = [".", *INDEXED[1:], "on-network/HPLMN/VPLMN"]
CLOSED_TO_ATTRIBUTES = [
    "name",
    "on-network/Timers",
    "on-network/HPLMN",
    "on-network/HPLMN/service",
    "on-network/App-Server-Info",
    "on-network/App-Server-Info/tls-tunnel-auth-method",
    "off-network/Timers",
    "off-network/Counters",
]


def _root_rows() -> list[Particle]:
    rows = [
        Particle(
            "root-child-any-number",
            append(".", "<name/><name/><off-network-x xmlns='urn:foreign'/>", FOREIGN),
            append(".", "<unknown/>"),
        ),
        Particle("root-anyExt", append(".", ANY_EXT, ANY_EXT), append(".", "<anyext/>")),
        Particle("root-domain", attribute(".", "domain", ""), attribute(".", "domain", None)),
        Particle(
            "root-label-only-in-anyExt",
            append(".", "<anyExt><mcServiceUELabel/></anyExt>"),
            append(".", "<mcServiceUELabel/>"),
        ),
        Particle("two-on-network", repeat("on-network"), append("on-network", "<on-network/>")),
        Particle(
            "name-lang", attribute("name", LANG, "de-AT"), attribute("name", LANG, "not a tag")
        ),
        Particle("name-text", text("name", " a  b "), append("name", FOREIGN)),
    ]
    for name in ("XUI-URI", "Instance-ID-URN", "domain"):
        rows.append(
            Particle(
                f"root-{name}-anyURI", attribute(".", name, "urn:x"), attribute(".", name, ":")
            )
        )
    for child in ("name", "mcptt-UE-id", "Default-user-profile", "on-network", "off-network"):
        rows.append(Particle(f"root-{child}-optional", remove(child), append(child, "<bad/>")))
    return rows


def _ue_id_rows() -> list[Particle]:
    base = "mcptt-UE-id"
    imei = f"{base}/IMEI-range"
    return [
        Particle("ue-id-empty", remove(imei), append(base, "<TAC>1</TAC>")),
        Particle("ue-id-repeats", repeat(imei), append(base, "<SNR>1</SNR>")),
        Particle(
            "ue-id-anyExt-anywhere",
            append(base, ANY_EXT, FOREIGN, ANY_EXT),
            append(base, "<lms/>"),
        ),
        Particle(
            "Instance-ID-URN",
            text(f"{base}/Instance-ID-URN", ""),
            text(f"{base}/Instance-ID-URN", ":"),
        ),
        Particle("TAC", text(f"{imei}/TAC", "0000012345678"), text(f"{imei}/TAC", "123456789")),
        Particle("TAC-first", nothing, remove(f"{imei}/TAC")),
        Particle("TAC-decimal", text(f"{imei}/TAC", "-1.5"), text(f"{imei}/TAC", "1e5")),
        Particle("SNR", text(f"{imei}/SNR", "123456"), text(f"{imei}/SNR", "1234567")),
        Particle("SNR-repeats", repeat(f"{imei}/SNR"), repeat(f"{imei}/TAC")),
        Particle("SNR-optional", remove(f"{imei}/SNR"), text(f"{imei}/SNR", "")),
        Particle("SNR-range", repeat(f"{imei}/SNR-range"), text(f"{imei}/SNR-range/High-SNR", "x")),
        Particle(
            "Low-SNR", text(f"{imei}/SNR-range/Low-SNR", "1"), remove(f"{imei}/SNR-range/Low-SNR")
        ),
        Particle("High-SNR", nothing, remove(f"{imei}/SNR-range/High-SNR")),
    ]


def _profile_rows() -> list[Particle]:
    path = "Default-user-profile"
    return [
        Particle("User-ID", attribute(path, "User-ID", ""), attribute(path, "User-ID", None)),
        Particle(
            "User-ID-anyURI", attribute(path, "User-ID", "x y"), attribute(path, "User-ID", ":")
        ),
        Particle(
            "user-profile-index",
            attribute(path, "user-profile-index", "255"),
            attribute(path, "user-profile-index", "256"),
        ),
        Particle(
            "user-profile-index-required", nothing, attribute(path, "user-profile-index", None)
        ),
        Particle("Default-user-profile-empty", nothing, append(path, FOREIGN)),
        Particle("Default-user-profile-repeats", repeat(path), text(path, "text")),
    ]


def _on_network_rows() -> list[Particle]:
    rows = []
    for name in ON_TIMERS:
        path = f"on-network/Timers/{name}"
        rows.append(Particle(f"on-{name}", text(path, "255"), text(path, "256")))
        rows.append(Particle(f"on-{name}-once", text(path, "+7"), remove(path)))
    for name in ("Timers", "HPLMN", "App-Server-Info"):
        path = f"on-network/{name}"
        rows.append(Particle(f"on-network-{name}", nothing, remove(path)))
        rows.append(Particle(f"on-network-{name}-once", nothing, repeat(path)))
    for name in URIS:
        path = f"on-network/{name}"
        rows.append(Particle(f"on-network-{name}", text(path, ""), remove(path)))
        rows.append(Particle(f"on-network-{name}-anyURI", text(path, "x"), text(path, ":")))
    for name in SWITCHES:
        path = f"on-network/{name}"
        rows.append(Particle(f"on-network-{name}", text(path, "1"), remove(path)))
        rows.append(Particle(f"on-network-{name}-boolean", text(path, "false"), text(path, "True")))
    for name in SERVERS:
        path = f"on-network/App-Server-Info/{name}"
        rows.append(Particle(f"server-{name}", text(path, ""), remove(path)))
        rows.append(Particle(f"server-{name}-anyURI", text(path, "x"), text(path, ":")))
    method = "on-network/App-Server-Info/tls-tunnel-auth-method"
    rows += [
        Particle("tls-tunnel-auth-method", nothing, remove(method)),
        Particle("mutual-authentication", nothing, remove(f"{method}/mutual-authentication")),
        Particle(
            "mutual-authentication-boolean",
            text(f"{method}/mutual-authentication", "0"),
            text(f"{method}/mutual-authentication", "no"),
        ),
        Particle(
            "x509-and-key", append(method, "<x509/><key>k</key>"), append(method, "<key/><x509/>")
        ),
        Particle("x509-once", append(method, "<x509/>"), append(method, "<x509/><x509/>")),
    ]
    return rows


def _network_rows() -> list[Particle]:
    home = "on-network/HPLMN"
    visited = f"{home}/VPLMN"
    rows = [
        Particle("HPLMN-PLMN", attribute(home, "PLMN", ""), attribute(home, "PLMN", None)),
        Particle("VPLMN-PLMN", attribute(visited, "PLMN", "x"), attribute(visited, "PLMN", None)),
        Particle("VPLMN-any-number", repeat(visited), append(visited, "<VPLMN/>")),
        Particle("VPLMN-optional", remove(visited), remove(f"{visited}/service")),
        Particle("HPLMN-service", nothing, remove(f"{home}/service")),
        Particle("HPLMN-service-once", nothing, repeat(f"{home}/service")),
    ]
    for parent, label in ((home, "home"), (visited, "visited")):
        for name in REFERENCES:
            path = f"{parent}/service/{name}"
            rows.append(Particle(f"{label}-{name}", text(path, ""), remove(path)))
            rows.append(Particle(f"{label}-{name}-once", text(path, " "), repeat(path)))
    return rows


def _off_network_rows() -> list[Particle]:
    rows = []
    for name, value in OFF_TIMERS.items():
        path = f"off-network/Timers/{name}"
        top = 65535 if value == "1000" else 255
        rows.append(Particle(f"off-{name}", text(path, str(top)), text(path, str(top + 1))))
        rows.append(Particle(f"off-{name}-once", text(path, "0"), remove(path)))
    for name in COUNTERS:
        path = f"off-network/Counters/{name}"
        rows.append(Particle(f"off-{name}", text(path, "255"), text(path, "256")))
        rows.append(Particle(f"off-{name}-once", text(path, "0"), remove(path)))
    for name in ("Timers", "Counters"):
        rows.append(Particle(f"off-network-{name}", nothing, remove(f"off-network/{name}")))
    return rows


def _extension_rows() -> list[Particle]:
    rows = []
    for path in EXTENSIBLE:
        label = path.replace("/", "-")
        rows += [
            Particle(f"{label}-anyExt-once", append(path, ANY_EXT), append(path, ANY_EXT, ANY_EXT)),
            Particle(
                f"{label}-anyExt-before-foreign",
                append(path, ANY_EXT, FOREIGN, FOREIGN),
                append(path, FOREIGN, ANY_EXT),
            ),
            Particle(f"{label}-foreign", append(path, FOREIGN), append(path, "<unknown/>")),
        ]
    for path in INDEXED:
        label = path.replace("/", "-")
        rows.append(
            Particle(
                f"{label}-index", attribute(path, "index", "a b"), attribute("name", "wrong", "1")
            )
        )
    for path in OPEN_TO_ATTRIBUTES:
        rows.append(
            Particle(
                f"{path.replace('/', '-')}-foreign-attribute",
                attribute(path, "{urn:foreign}a", "1"),
                attribute(path, LANG, "not a tag"),
            )
        )
    for path in CLOSED_TO_ATTRIBUTES:
        rows.append(
            Particle(
                f"{path.replace('/', '-')}-no-foreign-attribute",
                nothing,
                attribute(path, "{urn:foreign}a", "1"),
            )
        )
    return rows


def in_any_ext(content: str) -> Edit:
    return append("on-network", f"<anyExt>{content}</anyExt>")


def _global_rows() -> list[Particle]:
    details = "<{0}><IPv6-Required>{1}</IPv6-Required><Server-URI>{2}</Server-URI>{3}</{0}>"
    rows = [
        Particle(
            "mcServiceUELabel",
            in_any_ext("<mcServiceUELabel>x</mcServiceUELabel><mcServiceUELabel/>"),
            in_any_ext("<mcServiceUELabel><f:x/></mcServiceUELabel>"),
        ),
        Particle("lms", in_any_ext("<lms/>"), in_any_ext("<lms>:</lms>")),
        Particle(
            "Idm-Client-Id",
            in_any_ext("<Idm-Client-Id>c</Idm-Client-Id>"),
            in_any_ext("<Idm-Client-Id><x/></Idm-Client-Id>"),
        ),
        Particle(
            "SNSSAI",
            in_any_ext('<SNSSAI SNSSAI="1"/>'),
            in_any_ext("<SNSSAI/>"),
        ),
        Particle(
            "SNSSAI-NSSAA-Server",
            in_any_ext('<SNSSAI SNSSAI="1"><NSSAA-Server>x</NSSAA-Server></SNSSAI>'),
            in_any_ext('<SNSSAI SNSSAI="1"><NSSAA-Server>:</NSSAA-Server></SNSSAI>'),
        ),
        Particle(
            "SNSSAI-credentials",
            in_any_ext(
                '<SNSSAI SNSSAI="1"><credentials><ID>i</ID><anyExt/><f:x/></credentials></SNSSAI>'
            ),
            in_any_ext('<SNSSAI SNSSAI="1"><credentials>secret</credentials></SNSSAI>'),
        ),
        Particle(
            "SNSSAI-extension",
            in_any_ext('<SNSSAI SNSSAI="1"><credentials/><anyExt/><f:x/></SNSSAI>'),
            in_any_ext('<SNSSAI SNSSAI="1" x="1"/>'),
        ),
        Particle(
            "unknown-global-is-lax",
            in_any_ext("<a-later-release><T100>x</T100></a-later-release>"),
            in_any_ext("<a-later-release><SNSSAI/></a-later-release>"),
        ),
        Particle(
            "root-global-in-anyExt",
            in_any_ext('<mcptt-UE-initial-configuration domain=""/>'),
            in_any_ext("<mcptt-UE-initial-configuration/>"),
        ),
        Particle(
            "foreign-is-lax",
            append("on-network", "<f:x><lms>x</lms></f:x>"),
            append("on-network", "<f:x><lms>:</lms></f:x>"),
        ),
    ]
    for name in DETAILS:
        rows += [
            Particle(
                name,
                in_any_ext(details.format(name, "true", "sip:pf@mc.example", "<anyExt/>")),
                in_any_ext(f"<{name}><IPv6-Required>1</IPv6-Required></{name}>"),
            ),
            Particle(
                f"{name}-boolean",
                in_any_ext(details.format(name, "0", "", "")),
                in_any_ext(details.format(name, "yes", "sip:pf@mc.example", "")),
            ),
            Particle(
                f"{name}-no-foreign",
                in_any_ext(details.format(name, "0", "", "<anyExt><f:x/></anyExt>")),
                in_any_ext(details.format(name, "0", "", "<f:x/>")),
            ),
        ]
    for name in SLICES:
        rows.append(
            Particle(name, in_any_ext(f"<{name}>1</{name}>"), in_any_ext(f"<{name}><x/></{name}>"))
        )
    return rows


def _typed(name: str, content: str, attributes: str = "") -> Edit:
    return in_any_ext(f'<x xsi:type="u:{name}" {attributes}>{content}</x>')


def _type_rows() -> list[Particle]:
    pap = "<Pap-parameters><user-name/><password/></Pap-parameters>"
    chap = "<Chap-parameters><user-name/><password/></Chap-parameters>"
    dnn = 'DNN="internet"'
    rows = [
        Particle(
            "PDUSessionType", _typed("PDUSessionType", "IPv4v6"), _typed("PDUSessionType", "IPv5")
        ),
        Particle("DN-InfoType-DNN", _typed("DN-InfoType", "", dnn), _typed("DN-InfoType", "")),
        Particle(
            "DN-InfoType-order",
            _typed(
                "DN-InfoType",
                f"<DN-AAA-Server/><credentials/>{pap}{chap}<anyExt/><f:x/>",
                dnn,
            ),
            _typed("DN-InfoType", f"{chap}{pap}", dnn),
        ),
        Particle(
            "DN-InfoType-Pap",
            _typed("DN-InfoType", pap, dnn),
            _typed("DN-InfoType", "<Pap-parameters><user-name/></Pap-parameters>", dnn),
        ),
        Particle(
            "DN-InfoType-Chap",
            _typed("DN-InfoType", chap, dnn),
            _typed("DN-InfoType", "<Chap-parameters><password/></Chap-parameters>", dnn),
        ),
        Particle(
            "DN-InfoType-DN-AAA-Server",
            _typed("DN-InfoType", "<DN-AAA-Server>x</DN-AAA-Server>", dnn),
            _typed("DN-InfoType", "<DN-AAA-Server>:</DN-AAA-Server>", dnn),
        ),
    ]
    for value in ("IPv4", "IPv6", "Ethernet", "Unstructured"):
        rows.append(
            Particle(
                f"PDUSessionType-{value}",
                _typed("PDUSessionType", value),
                _typed("PDUSessionType", value.upper() + "x"),
            )
        )
    return rows


PARTICLES: list[Particle] = [
    *_root_rows(),
    *_ue_id_rows(),
    *_profile_rows(),
    *_on_network_rows(),
    *_network_rows(),
    *_off_network_rows(),
    *_extension_rows(),
    *_global_rows(),
    *_type_rows(),
]

# libxml2 checks the syntax of xs:anyURI, xmlschema takes any text: the one known difference.
_ANY_URIS = {"Instance-ID-URN", "lms", "SNSSAI-NSSAA-Server", "foreign-is-lax"}
XMLSCHEMA_IS_LENIENT = {
    particle.name
    for particle in PARTICLES
    if particle.name.endswith(("-anyURI", "-DN-AAA-Server")) or particle.name in _ANY_URIS
}

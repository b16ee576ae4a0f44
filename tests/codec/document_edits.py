"""A usable UE initial configuration document, and edits that change one thing of it."""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree

UE = "urn:3gpp:mcptt:mcpttUEinitConfig:1.0"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NS = {"u": UE}

_SHORTS = {
    *("TFG1", "TFG2", "TFG3", "TFG11", "TFG12", "TFP1", "TFP3", "TFP4", "TFP5", "TFP6"),
    *("TFB1", "T201", "TFE1"),
}
OFF_TIMERS = {
    name: "1000" if name in _SHORTS else "5"
    for name in (
        *("TFG1", "TFG2", "TFG3", "TFG4", "TFG5", "TFG11", "TFG12", "TFG13", "TFG14"),
        *("TFP1", "TFP2", "TFP3", "TFP4", "TFP5", "TFP6", "TFP7", "TFB1", "TFB2", "TFB3"),
        *("T201", "T203", "T204", "T205", "T230", "T233", "TFE1", "TFE2"),
    )
}
COUNTERS = ["CFP1", "CFP3", "CFP4", "CFP6", "CFG11", "CFG12", "C201", "C204", "C205"]
ON_TIMERS = ["T100", "T101", "T103", "T104", "T132"]
SERVERS = ["idms-auth-endpoint", "idms-token-endpoint", "http-proxy", "gms", "cms", "kms"]
URIS = ["GMS-URI", "group-creation-XUI", "GMS-XCAP-root-URI", "CMS-XCAP-root-URI"]
SWITCHES = ["integrity-protection-enabled", "confidentiality-protection-enabled"]
REFERENCES = ["MCPTT-to-con-ref", "MC-common-core-to-con-ref", "MC-ID-to-con-ref"]
DETAILS = [f"{n}-Service-Details" for n in ["MCPTT", "MCVideo", "MCData", "MCCommonCore", "MCIdM"]]
SLICES = [f"{n}-ref-SNSSAI" for n in ["MCPTT", "MCVideo", "MCData", "MC-common-core", "MC-ID"]]


def _leaves(names: list[str] | dict[str, str], value: str = "5") -> str:
    return "".join(f"<{n}>{names[n] if isinstance(names, dict) else value}</{n}>" for n in names)


_SERVICE = f"<service>{_leaves(REFERENCES, 'internet.example')}</service>"
BASE = f"""<mcptt-UE-initial-configuration
xmlns="{UE}" xmlns:u="{UE}" xmlns:xsi="{XSI}" domain="mc.example">
<name xml:lang="en">Fire brigade</name>
<mcptt-UE-id><Instance-ID-URN>urn:uuid:00000000-0000-4000-8000-000000000001</Instance-ID-URN>
<IMEI-range><TAC>35182900</TAC><SNR>000001</SNR>
<SNR-range><Low-SNR>000100</Low-SNR><High-SNR>000199</High-SNR></SNR-range></IMEI-range>
</mcptt-UE-id>
<Default-user-profile User-ID="default" user-profile-index="0"/>
<on-network><Timers>{_leaves(ON_TIMERS)}</Timers>
<HPLMN PLMN="00101">{_SERVICE}<VPLMN PLMN="26201">{_SERVICE}</VPLMN></HPLMN>
<App-Server-Info>{_leaves(SERVERS, "https://server.example/")}<tls-tunnel-auth-method>
<mutual-authentication>false</mutual-authentication></tls-tunnel-auth-method></App-Server-Info>
{_leaves(URIS, "sip:server@mc.example")}{_leaves(SWITCHES, "true")}</on-network>
<off-network><Timers>{_leaves(OFF_TIMERS)}</Timers><Counters>{_leaves(COUNTERS)}</Counters>
</off-network>
</mcptt-UE-initial-configuration>""".encode()

Edit = Callable[[etree._Element], None]


def edited(edit: Edit) -> bytes:
    """Return BASE with an edit applied."""
    root = etree.fromstring(BASE, etree.XMLParser(remove_blank_text=True))
    edit(root)
    return etree.tostring(root)


def at(root: etree._Element, path: str) -> etree._Element:
    """Return the one element at a path of unprefixed names ("." is the root)."""
    if path == ".":
        return root
    prefixed = "/".join(f"u:{step}" for step in path.split("/"))
    found = root.find(prefixed, _NS)
    assert found is not None, path
    return found


def nothing(_root: etree._Element) -> None:
    """Leave the document as it is."""


def text(path: str, value: str) -> Edit:
    def edit(root: etree._Element) -> None:
        at(root, path).text = value

    return edit


def attribute(path: str, name: str, value: str | None) -> Edit:
    def edit(root: etree._Element) -> None:
        element = at(root, path)
        if value is None:
            del element.attrib[name]
        else:
            element.set(name, value)

    return edit


def remove(path: str) -> Edit:
    def edit(root: etree._Element) -> None:
        element = at(root, path)
        element.getparent().remove(element)

    return edit


def repeat(path: str) -> Edit:
    def edit(root: etree._Element) -> None:
        element = at(root, path)
        element.addnext(etree.fromstring(etree.tostring(element)))

    return edit


def append(path: str, *fragments: str) -> Edit:
    """Append fragments; an unprefixed name is of the document's namespace, f: is foreign."""

    def edit(root: etree._Element) -> None:
        for fragment in fragments:
            wrapped = etree.fromstring(
                f'<w xmlns="{UE}" xmlns:u="{UE}" xmlns:xsi="{XSI}" xmlns:f="urn:foreign">'
                f"{fragment}</w>"
            )
            at(root, path).extend(list(wrapped))

    return edit

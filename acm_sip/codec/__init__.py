"""CODEC LAYER, pure: information flow <-> XML, and the TS 24.484 document inside it.

    names.py           media types, namespaces, ICSIs: spelled here only
    xml.py             the hardened parser, its limits, the canonical form
    schemas.py         the XSDs of schemas/, compiled once per thread
    flows/             one information flow of TS 23.280 10.17.2 = one frozen dataclass
    ue_init_config/    the UE initial configuration: typed reading, named rules, differences
    body.py            decode_body, encode_body: body parts <-> flow
    completion.py      what the primary server writes into a request before it leaves
    explain.py         every fault of a document, for people

lxml decides on the wire; xmlschema explains and is the second referee in the tests. No lxml
object leaves this layer: out come frozen dataclasses and octets.
"""

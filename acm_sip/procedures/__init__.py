"""PROCEDURE LAYER, pure decisions: (what is stored, what happened) -> effects.

    records.py          what an ACM entity remembers; the states of an ACM transaction
    events.py           what can happen; effects.py: what a decision may ask for
    ports.py            what is needed from outside: the store, the functional aliases
    wire_names.py       media type and ICSIs, where a configuration replaces them
    mc_system.py        the own MC system, its users, its partners
    authentication.py   who sent a MESSAGE; authorization.py: whether they may
    primary.py          the primary ACM server: steps 1 to 3, 8 to 10 of 10.17.6.2
    partner.py          the partner ACM server: steps 3 to 8
    client.py           the ACM client as requester and as handler
    beginning.py        how a transaction and its rows begin; outcome.py: how it is answered
    procedure.py        what each flow adds to the steps that all share
    delivery.py         to whom a row goes now, and what its answer means
    registration.py     the registrar
    binding.py          information flow <-> SIP MESSAGE: the only module that knows both
    server_role.py, client_role.py   which decision a request meets

Effects are performed only after the COMMIT that holds them. Nothing here reads a clock, draws a
random number, or waits.
"""

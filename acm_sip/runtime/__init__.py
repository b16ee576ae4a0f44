"""RUNTIME LAYER: the shell around the pure layers.

    configuration.py        TOML -> typed configuration -> the facts of the procedures
    server.py, client.py    AcmServer and AcmClient, put together
    node.py                 one ACM entity: endpoint on the loop, engine in its thread
    endpoint.py             sockets and one timer around the SIP transactions
    udp.py, tcp.py, connections.py
    engine.py               decode, decide, commit, batch by batch
    windows.py              how many MESSAGEs may be under way to whom
    registration_keeper.py  keeps a client registered
    flow_names.py           what a binding in the store says about the way back
    clock.py, log.py

What waits, waits here: for sockets, for the store, for time.
"""

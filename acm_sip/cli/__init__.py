"""The command ``acm-sip``.

    program.py        the commands put together, and the one boundary for errors
    parameters.py     what users type: identities, configuration files
    running.py        the event loop, and ending by a signal
    printing.py       text from the wire made harmless; times, tables
    serve.py update.py client.py probe.py             talk SIP
    check.py validate.py show.py ladder.py            read files and stores
    lab.py lab_process.py lab_files.py                four entities as processes of their own
    demo.py           the whole procedure on one machine

Exit status: 0 success; 1 the answer is no (a failure, an invalid document, a peer without ACM);
2 the command line, a configuration or a file is not usable; 3 no outcome yet.
"""

from acm_sip.cli.program import main

__all__ = ["main"]

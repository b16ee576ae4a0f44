"""Many processes of one program, cheap to start: forked from one that has imported it already.

    python -m tests.harness.forking MODULE     imports MODULE, then waits on standard input

Standard input is a Unix socket. Each message to it is a JSON list of arguments with one
descriptor: a child is forked whose standard streams are that descriptor and which runs
``MODULE.main`` with the arguments in ``sys.argv``; the answer is its process id. A message of one
number waits for the end of that child and is answered by its exit status, negative for a signal.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    with socket.socket(fileno=os.dup(0)) as control:
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 65_536, 1)
            if not message:
                return
            order = json.loads(message)
            if isinstance(order, int):
                _, status = os.waitpid(order, 0)
                answer = os.waitstatus_to_exitcode(status)
            else:
                answer = os.fork()
                if answer == 0:
                    control.close()
                    _become(module.main, [module.__name__, *order], descriptors[0])
                os.close(descriptors[0])
            control.send(json.dumps(answer).encode())


def _become(run: object, arguments: list[str], descriptor: int) -> NoReturn:
    for stream in range(3):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = arguments
    status = 0
    try:
        assert callable(run)
        run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - what an interpreter does at the end of a script
        traceback.print_exc()
        status = 1
    # As at the end of every script: exit handlers write what is still in a queue.
    import atexit

    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()

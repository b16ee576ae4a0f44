"""Running a command on an event loop: uvloop where it is present, ended by a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

__all__ = ["StoppedBySignal", "run"]

_Result = TypeVar("_Result")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedBySignal(Exception):  # noqa: N818 - an event, not an error
    """The user, or the system, ended the command; everything was closed in order."""


def run(command: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a command to its end.

    SIGINT, SIGTERM and SIGHUP cancel it, so that its ``async with`` blocks close what they hold;
    a second signal cuts that short.

    :raises StoppedBySignal: a signal ended it.
    """
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(_until_signal(command))


async def _until_signal(command: Coroutine[Any, Any, _Result]) -> _Result:
    loop = asyncio.get_running_loop()
    task = loop.create_task(command)
    for number in _SIGNALS:
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    raise StoppedBySignal


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - where there is none, asyncio does
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop

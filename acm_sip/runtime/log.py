"""Structured logs: one event per line, through a queue so that nothing waits for a terminal."""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import queue
import sys
from typing import Any, Final

import structlog

__all__ = ["configure_logging", "get_logger"]

_MAX_QUEUED_LINES: Final = 10_000  # ours: lines above it are lost and never waited for

_LIBRARIES: Final = ("alembic", "asyncio", "sqlalchemy")  # what they say below a warning is theirs


class _DroppingHandler(logging.handlers.QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # one process: nothing has to be made fit for pickling

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a structured logger over the logger of the standard library with this name.

    Used as a library, the package says nothing that the program's own logging does not ask for.
    """
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger


def configure_logging(level: str, form: str) -> None:
    """Log to standard error from now on.

    :param level: ``debug``, ``info``, ``warning`` or ``error``.
    :param form: ``console`` for people, ``json`` for programs.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    lines: queue.Queue[Any] = queue.Queue(_MAX_QUEUED_LINES)
    root = logging.getLogger()
    root.handlers[:] = [_DroppingHandler(lines)]
    root.setLevel(level.upper())
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    listener = logging.handlers.QueueListener(lines, output)
    listener.start()
    atexit.register(listener.stop)

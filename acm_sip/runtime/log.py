"""Structured logs: one event per line, through a queue so that nothing waits for a terminal."""

from __future__ import annotations

import atexit
import logging
import logging.handlers
import queue
import sys
from typing import Any, Final

import structlog

__all__ = ["configure_logging"]

_MAX_QUEUED_LINES: Final = 10_000  # ours: lines above it are lost and never waited for

_LIBRARIES: Final = ("alembic", "asyncio", "sqlalchemy")  # what they say below a warning is theirs


class _DroppingHandler(logging.handlers.QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # structlog's event is a dict until it is written

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


def configure_logging(level: str, form: str) -> None:
    """Log to standard error from now on.

    :param level: ``debug``, ``info``, ``warning`` or ``error``.
    :param form: ``console`` for people, ``json`` for programs.
    """
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
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
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )

"""A statement that is written to rows at a time, compiled once.

SQLAlchemy compiles it for the database; what it does beside that at each execution (15 us a row:
defaults, processors, names to positions) has nothing to do for these tables and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.sql.dml import UpdateBase

__all__ = ["PreparedWrite"]

_COUNTED: Final[dict[str, Any]] = {"preserve_rowcount": True}


class PreparedWrite:
    """An INSERT, UPDATE or DELETE for many rows.

    Its parameters are named after the columns, with ``b_`` before a name that stands in a
    condition and ``v_`` before a new value; the rows leave both out.

    :param into: the table of an INSERT of whole rows.
    """

    def __init__(self, statement: UpdateBase, dialect: Dialect, into: Table | None = None) -> None:
        given = {c.name for c in into.c} if into is not None else set()
        compiled: Any = statement.compile(dialect=dialect, column_keys=sorted(given) or None)
        self.sql: Final = str(compiled)
        names: list[str] = compiled.positiontup
        keys = [name.removeprefix("b_").removeprefix("v_") for name in names]
        self._parameters: Callable[[Mapping[str, Any]], tuple[Any, ...]]
        if len(keys) == 1:
            only = keys[0]
            self._parameters = lambda row: (row[only],)
        else:
            self._parameters = itemgetter(*keys)

    def write(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write the rows and return how many rows of the table were affected."""
        parameters = [self._parameters(row) for row in rows]
        result = connection.exec_driver_sql(self.sql, parameters, _COUNTED)
        return result.rowcount

"""Drawing a ladder as text, in the manner of the figures of TS 23.280.

Columns are entities; a label stands above its arrow and its answer below, dotted. Text from the
wire is made harmless for a terminal first. The picture fits the width while the entities leave
each column 18 characters.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from acm_sip.capture.entities import Entity, format_endpoint
from acm_sip.capture.ladder import FOLDED_METHODS, Arrow, Folded, Ladder, build_ladder

if TYPE_CHECKING:
    from acm_sip.capture.reading import CapturedMessage

__all__ = ["draw", "draw_ladder"]

DEFAULT_WIDTH: Final = 100
_GUTTER: Final = 10  # the time in front of each line
_MIN_COLUMN: Final = 18
_MAX_COLUMN: Final = 34
_MAX_TEXT: Final = 200  # of one text from the wire


def draw(
    messages: Iterable[CapturedMessage],
    names: Mapping[str, str] | None = None,
    *,
    fold: Iterable[str] = FOLDED_METHODS,
    width: int = DEFAULT_WIDTH,
) -> str:
    """Return the picture of *messages* as text; see :func:`build_ladder`."""
    return draw_ladder(build_ladder(messages, names, fold=fold), width)


def draw_ladder(ladder: Ladder, width: int = DEFAULT_WIDTH) -> str:
    """Return the picture as lines of at most *width* characters where the entities allow it."""
    lines: list[str] = []
    if ladder.entities:
        canvas = _Canvas(len(ladder.entities), width)
        lines += canvas.header(ladder.entities)
        for arrow in ladder.arrows:
            lines += canvas.draw(arrow)
        lines.append(canvas.line())
    else:
        lines.append("no SIP request to draw")
    lines += [_folded_line(ladder.folded)] if ladder.folded else []
    if ladder.undrawn:
        lines.append(f"not drawn: {ladder.undrawn} more messages")
    return "\n".join(line.rstrip() for line in lines) + "\n"


@dataclass(slots=True)
class _Canvas:
    """The geometry of one picture."""

    columns: int
    width: int

    @property
    def spacing(self) -> int:
        """The distance between two lifelines."""
        return max(_MIN_COLUMN, min(_MAX_COLUMN, (self.width - _GUTTER) // self.columns))

    @property
    def right_edge(self) -> int:
        return max(self.width, _GUTTER + self.spacing * self.columns)

    def lifeline(self, column: int) -> int:
        return _GUTTER + self.spacing * column + self.spacing // 2

    def line(self, time: str = "") -> str:
        """Return a line with nothing but the time and the lifelines."""
        cells = [" "] * self.right_edge
        cells[: len(time)] = time
        for column in range(self.columns):
            cells[self.lifeline(column)] = "|"
        return "".join(cells)

    def header(self, entities: tuple[Entity, ...]) -> list[str]:
        cells = [_header_cell(entity, self.spacing - 1) for entity in entities]
        rows = zip_longest(*cells, fillvalue="")
        lines = ["".join(text.center(self.spacing) for text in row) for row in rows]
        return [*(" " * _GUTTER + line for line in lines), self.line()]

    def draw(self, arrow: Arrow) -> list[str]:
        label = f"{arrow.step}. " if arrow.step else ""
        label += _harmless(arrow.label)
        label += f": {_harmless(arrow.outcome)}" if arrow.outcome else ""
        label += f" (sent {arrow.times} times)" if arrow.times > 1 else ""
        left = min(arrow.source, arrow.destination)
        lines = [self._text(label, left, f"{arrow.at_s:8.3f}")]
        is_answer_alone = not arrow.method and arrow.label != "?"
        lines.append(self._arrow(arrow.source, arrow.destination, "." if is_answer_alone else "-"))
        for row in textwrap.wrap(_harmless(arrow.note), self.right_edge - _GUTTER - 6):
            lines.append(" " * _GUTTER + "    ! " + row)
        if is_answer_alone:
            return lines
        if arrow.answer is None:
            return [*lines, self._text("(no final answer)", left)]
        answer = _harmless(f"{arrow.answer.status_code} {arrow.answer.reason_phrase}").strip()
        answer += f" (x{arrow.answer.times})" if arrow.answer.times > 1 else ""
        time = f"{arrow.answer.at_s:8.3f}"
        if len(answer) + 6 > self.spacing * max(1, abs(arrow.source - arrow.destination)):
            lines.append(self._text(answer, left, time))
            answer = time = ""
        lines.append(self._arrow(arrow.destination, arrow.source, ".", answer, time))
        return lines

    def _text(self, text: str, column: int, time: str = "") -> str:
        """Return a line with *text* right of a lifeline, moved left where it would not fit."""
        room = self.right_edge - _GUTTER - 1
        if len(text) > room:
            text = text[: room - 3] + "..."
        start = min(self.lifeline(column) + 2, self.right_edge - len(text))
        line = self.line(time)
        return line[:start] + text + line[start + len(text) :]

    def _arrow(
        self, source: int, destination: int, dash: str, text: str = "", time: str = ""
    ) -> str:
        line = self.line(time)
        if source == destination:
            place = self.lifeline(source) + 1
            return line[:place] + f"{dash}{dash}] {text}" + line[place + 4 + len(text) :]
        left, right = sorted((self.lifeline(source), self.lifeline(destination)))
        middle = f" {text} " if text else ""
        shaft = middle.center(right - left - 1, dash)
        shaft = shaft[:-1] + ">" if source < destination else "<" + shaft[1:]
        return line[: left + 1] + shaft + line[right:]


def _header_cell(entity: Entity, room: int) -> list[str]:
    name = textwrap.wrap(_harmless(entity.name), room) or ["?"]
    title = " ".join(filter(None, (entity.system, f"ACM {entity.role}" if entity.role else "")))
    address = format_endpoint(entity.endpoints[0])
    more = len(entity.endpoints) - 1
    addresses = [address if len(address) <= room else address[: room - 3] + "..."]
    if more:
        addresses.append(f"and {more} more port{'s' if more > 1 else ''}")
    return [*name, *([title.strip()] if title else []), *addresses]


def _folded_line(folded: tuple[Folded, ...]) -> str:
    counted = []
    for one in folded:
        answers = ", ".join(f"{count} x {status_code}" for status_code, count in one.answers)
        counted.append(f"{one.count} {one.method}" + (f" ({answers})" if answers else ""))
    return "not drawn: " + "; ".join(counted)


def _harmless(text: str) -> str:
    """Return *text* without anything a terminal would act upon."""
    shown = "".join(
        character if character.isprintable() else f"\\x{ord(character):02x}"
        for character in text[:_MAX_TEXT]
    )
    return shown + ("..." if len(text) > _MAX_TEXT else "")

"""Stock: who may still buy, and what orders set aside."""

from collections import Counter
from collections.abc import Sequence

from app.saleor.simulator.models import Line


def lines_out_of_stock(lines: Sequence[Line]) -> list[Line]:
    """The lines of variants of which there are fewer than all lines together want."""
    wanted: Counter[int] = Counter()
    for line in lines:
        if line.variant:
            wanted[line.variant.number] += line.quantity
    return [line for line in lines if line.variant and _is_short(line, wanted[line.variant.number])]


def _is_short(line: Line, wanted: int) -> bool:
    available = line.variant.available if line.variant else None
    return available is not None and wanted > available


def allocate(lines: Sequence[Line]) -> None:
    _allocate(lines, 1)


def release(lines: Sequence[Line]) -> None:
    """What a cancelled order had set aside."""
    _allocate(lines, -1)


def _allocate(lines: Sequence[Line], sign: int) -> None:
    for line in lines:
        if line.variant and line.variant.stock is not None:
            line.variant.allocated += sign * line.quantity

"""A confusion matrix as an SVG picture: the darker a square, the more scans of its row were read as its column."""

from __future__ import annotations

import numpy as np

CELL, LEFT, TOP = 36, 56, 64
WHITE, BLUE, GREY = (255, 255, 255), (31, 83, 160), "#666"
FONT = 'font-family="sans-serif" font-size="13" text-anchor="middle"'


def confusion_matrix(truth: np.ndarray, found: np.ndarray, classes: int = 10) -> str:
    """The picture's text, the same for the same numbers."""
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (truth, found), 1)
    side = classes * CELL
    width, height, across, down = LEFT + side + 16, TOP + side + 16, LEFT + side // 2, TOP + side // 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {FONT}>',
            '<rect width="100%" height="100%" fill="white"/>',
            _text(across, 22, f"{np.trace(counts)} of {counts.sum()} scans read correctly", "black"),
            _text(across, 40, "read as", GREY),
            f'<g transform="rotate(-90 18 {down})">{_text(18, down, "digit", GREY)}</g>',
            *(_text(LEFT + digit * CELL + CELL // 2, TOP - 8, str(digit), GREY) for digit in range(classes)),
            *(_text(LEFT - 14, TOP + digit * CELL + CELL // 2 + 5, str(digit), GREY) for digit in range(classes)),
            *(_square(row, column, counts) for row in range(classes) for column in range(classes)),
            "</svg>\n",
        ]
    )


def _square(row: int, column: int, counts: np.ndarray) -> str:
    count, x, y = int(counts[row, column]), LEFT + column * CELL, TOP + row * CELL
    share = (count / max(1, int(counts[row].sum()))) ** 0.5  # the root lets rare mistakes show
    shade = ",".join(str(round(white + share * (blue - white))) for white, blue in zip(WHITE, BLUE, strict=True))
    square = f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="rgb({shade})" stroke="#ddd"/>'
    if not count:
        return square
    ink = "white" if share > 0.6 else "black"
    return square + _text(x + CELL // 2, y + CELL // 2 + 5, str(count), ink)


def _text(x: int, y: int, text: str, colour: str) -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}">{text}</text>'

"""What all pictures share: their style, and how they become files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibtool.errors import UsageError
from calibtool.files import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
# Okabe & Ito 2008: told apart by colour-blind readers, and by lightness in grey
COLOURS = ("#0072B2", "#D55E00")
STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.6,
    "svg.hashsalt": "calibtool",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def require_suffix(path: str | Path) -> None:
    """Whether the format of a picture is one that we write."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path}: cannot draw {Path(path).suffix or 'without a suffix'}; "
            f"there are {', '.join(SUFFIXES)}"
        )


def write_figure(draw: Callable[[], Figure], path: str | Path) -> None:
    """Draw and write a picture, whole or not at all; the same data give the same bytes."""
    from matplotlib import rc_context

    require_suffix(path)
    kind = Path(path).suffix.lower().removeprefix(".")
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": "calibtool"},
        "pdf": {"CreationDate": None, "Creator": "calibtool", "Producer": None},
    }
    out = BytesIO()
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # letters the font lacks become boxes
        draw().savefig(out, format=kind, dpi=200, metadata=metadata[kind])
    with whole_file(path) as file:
        file.write(out.getvalue())

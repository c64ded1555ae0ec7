"""What MkDocs does besides: the changelog becomes a page of the site, its links seen from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text of a page: CHANGELOG.md for help/changelog.md, or what it was."""
    if page.file.src_uri != "help/changelog.md":
        return markdown
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return text.replace("](docs/", "](../")

"""A page to be sent: HTML with its style, script and diagrams inside, and nothing to fetch."""

from __future__ import annotations

from calibtool.html.document import document

__all__ = ["document"]

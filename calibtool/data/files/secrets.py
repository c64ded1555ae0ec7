"""Addresses and errors without credentials: without users, passwords and queries."""

from __future__ import annotations

import re


def without_secrets(text: str) -> str:
    """Return a text whose addresses show no user, no password and no query.

    Queries of signed addresses hold keys.
    """
    bare = re.sub(r"([\w+.-]+://)([^/\s'\"]*)@", _without_user, text)
    return re.sub(r"(\w://[^\s?'\"]*)\?[^\s'\"]*", r"\1", bare)


def _without_user(match: re.Match[str]) -> str:
    # abfs://container@account: what stands before the @ names a container, unless it has a password
    container = match[1].lower() in ("abfs://", "abfss://") and ":" not in match[2]
    return match[0] if container else match[1]


def clean(error: BaseException) -> str:
    """Return an error's first line, printable, without secrets and without the file's name, which
    messages show anyway."""
    first = str(error).split("\n", 1)[0].strip()
    bare = re.sub(r"^Could not open \w+ input source '[^']*': ", "", first)
    shown = "".join(letter if letter.isprintable() else "?" for letter in bare)
    return without_secrets(shown) or type(error).__name__

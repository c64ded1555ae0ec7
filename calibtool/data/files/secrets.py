"""Credentials never shown: locations without users, keys and queries."""

from __future__ import annotations

import re

_OF_SERVER = ("AWS Error", "google::cloud", "GCS", "Azure", "curl", "imeout", "imed out")


def without_secrets(text: str) -> str:
    """A text whose addresses show no user, no password and no query."""
    bare = re.sub(r"([\w+.-]+://)([^/\s'\"]*)@", _without_user, text)
    return re.sub(r"(\w://[^\s?'\"]*)\?[^\s'\"]*", r"\1", bare)


def _without_user(found: re.Match[str]) -> str:
    container = found[1].lower() in ("abfs://", "abfss://") and ":" not in found[2]
    return found[0] if container else found[1]


def clean(error: BaseException) -> str:
    """An error's first line, without secrets, and without what the file's name says already."""
    first = str(error).split("\n", 1)[0].strip()
    bare = re.sub(r"^Could not open \w+ input source '[^']*': ", "", first)
    shown = "".join(letter if letter.isprintable() else "?" for letter in bare)
    return without_secrets(shown) or type(error).__name__

"""Addresses and errors without credentials: without users, passwords and queries."""

from __future__ import annotations

import re
from urllib.parse import unquote

from calibtool.formatting import printable

# The start of an address, also within a chain (simplecache::http://...) and where pathlib has made
# one slash of two. A single letter is a drive.
_SCHEME = re.compile(r"(?<![\w+.-])([\w+.-]{2,}):/+")
# a password with spaces, which is no valid address but is typed all the same
_SPACED = re.compile(rf"({_SCHEME.pattern})[^ /:@]+:(?! )[^/@]*@")
_SETTING = re.compile(r"([?&])([^?&=\s'\"]+)=([^?&\s'\"]*)")
_KEY = re.compile(r"sig|token|secret|passw|credential|key|auth", re.IGNORECASE)
_CONTAINERS = ("abfs", "abfss")
SHORTEST = 4  # letters of a part of a password that is left out wherever it stands


def without_secrets(text: str) -> str:
    """Return a text whose addresses show no user, no password and no query.

    Queries of signed addresses hold keys. A password may have slashes, so that a user with a
    password ends at the last @; three asterisks stand for it where that may be part of a path.

    >>> without_secrets("s3://KEY:SEC/RET@b/x.parquet: no such file")
    's3://***@b/x.parquet: no such file'
    >>> without_secrets("simplecache::http://u:p@h/x?sig=1"), without_secrets("s3://b/x@2.csv")
    ('simplecache::http://h/x', 's3://b/x@2.csv')
    """
    if ":/" in text:
        text = _SPACED.sub(r"\1", text)
        text = "".join(_bare(word) for word in re.split("( +)", text))
    return _SETTING.sub(_without_key, text)


def clean(error: BaseException, address: str = "") -> str:
    """Return an error's first line, printable, without secrets and without the file's name, which
    messages show anyway.

    Libraries take an address apart: none of the parts of its user and password is shown either.
    """
    first = str(error).split("\n", 1)[0].strip()
    bare = re.sub(r"^Could not open \w+ input source '[^']*': ", "", first)
    shown = without_secrets(printable(bare))
    user = address.partition("://")[2].rpartition("@")[0]
    parts = {word for text in (user, unquote(user)) for word in re.split("[:/@?&=]", text)}
    for part in sorted(parts, key=len, reverse=True):
        # a shorter one is no secret, and would cut words to pieces
        shown = shown.replace(part, "***") if len(part) >= SHORTEST else shown
    return shown or type(error).__name__


def _bare(word: str) -> str:
    """Return a word without the credentials of the address in it."""
    found = _SCHEME.search(word)
    if not found:
        return word
    head, rest = word[: found.end()], word[found.end() :]
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    with_password = ":" in authority or "%3a" in authority.lower()
    end = rest.rfind("@") if with_password else authority.rfind("@")
    user = rest[: max(end, 0)]
    # abfs://container@account: what stands before the @ names a container, unless it has a password
    if end >= 0 and not (found[1].lower() in _CONTAINERS and ":" not in user):
        if "?" in user:  # a query with an @, or a password with a ?: the rest may be a key
            return f"{head}***"
        rest = f"{'***@' if '/' in user else ''}{rest[end + 1 :]}"
    return head + re.sub(r"\?[^'\"]*|#[^'\"=]*=[^'\"]*", "", rest)


def _without_key(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}=***" if _KEY.search(match[2]) else match[0]

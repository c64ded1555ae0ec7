"""A page as one HTML file, which loads nothing; its policy lets only its own script run."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from calibtool.formatting import percent
from calibtool.reports.page import advice, glossary, sections, tables
from calibtool.reports.page.markup import Markup, element, together
from calibtool.reports.page.model import FileSummary, Page
from calibtool.version import __version__

MOST_DRAWN = 6  # files whose diagrams are shown side by side; more would be too small to read
FRAME = 720  # height of the page in a notebook, in pixels: the verdict and the first diagrams


def document(page: Page) -> str:
    """Return the whole file."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"calibtool {__version__}"),
        element("title", page.title),
        element("link", rel="icon", href="data:,"),
        element("style", Markup(style)),
    )
    several = len(page.subjects) > 1
    parts = [_comparison(page)] if several else []
    parts += [
        _subject(page, subject, several=several, told=not k and not _drawn(page))
        for k, subject in enumerate(page.subjects)
    ]
    body = element(
        "body",
        element("header", element("h1", page.title)),
        element(
            "main",
            *parts,
            glossary.section(together(*parts), page.level, [s.named for s in page.subjects]),
        ),
        _foot(page),
        element("script", Markup(script)),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def frame(page: Page) -> str:
    """Return the whole page in a frame that keeps its style and script to itself, for notebooks."""
    inside = {"srcdoc": Markup(document(page)), "sandbox": "allow-scripts allow-modals"}
    return element("iframe", title=page.title, width="100%", height=FRAME, **inside)


def _drawn(page: Page) -> bool:
    """Return whether the comparison of several files shows their diagrams."""
    return 1 < len(page.subjects) <= MOST_DRAWN


def _subject(page: Page, subject: FileSummary, *, several: bool, told: bool) -> Markup:
    """Return everything about one file."""
    heading = element("h2", subject.name, class_="file") if several else None
    facts = element("p", subject.report.data.describe(), class_="facts")
    return element("article", heading, facts, *sections.about(page, subject, told=told))


def _comparison(page: Page) -> Markup:
    subjects = page.subjects
    lines = [
        element("li", element("strong", subject.name), ": ", subject.verdict)
        for subject in subjects
    ]
    parts = [element("ul", *lines)]
    given = advice.about_comparison(page)
    if given is not None:
        parts.append(sections.answers(given))
    parts.append(tables.side_by_side(subjects, page.comparison, page.level))
    if _drawn(page):
        parts += sections.pointing(said=True)
        curves = [subject.curves[0] for subject in subjects]
        drawn = [
            sections.reliability(page, subject, curve, curves, subject.name)
            for subject, curve in zip(subjects, curves, strict=True)
        ]
        parts.append(element("div", *drawn, class_="figures-row"))
    comparison = page.comparison
    if comparison is not None and comparison.unpaired:
        parts.append(element("p", comparison.unpaired, class_="note"))
    if comparison is not None and comparison.changes:
        parts += [
            element("p", "Differences are paired: the same rows, the same draws."),
            *tables.differences(comparison, subjects, page.level),
        ]
    return element("section", element("h2", "Compared"), *parts, class_="verdict")


def _foot(page: Page) -> Markup:
    version = f"Made by calibtool {__version__}"
    if page.level:
        version += f"; intervals are {percent(page.level)}"
    command = element("p", element("code", page.command)) if page.command else None
    return element("footer", element("p", f"{version}."), command)


def _asset(name: str) -> str:
    return files("calibtool.reports.page").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"

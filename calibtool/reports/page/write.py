"""Write a shareable report to a file: an HTML page, or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from calibtool.data.files.overlap import require_apart
from calibtool.data.files.source import Source
from calibtool.data.files.write import require_writable, write_text
from calibtool.data.predictions import Predictions
from calibtool.errors import UsageError
from calibtool.reports.page.build import build_page
from calibtool.reports.page.model import Page
from calibtool.streaming.read import keys_in
from calibtool.streaming.read import read as read_data

Form: TypeAlias = Literal["html", "md"]
FORMS: dict[str, Form] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}
File: TypeAlias = str | Path | Source | Predictions


def write_report(
    files: File | Sequence[File],
    path: str | Path,
    *,
    form: Form | None = None,
    task: str | None = None,
    model: str = "",
    **options: Any,
) -> Page:
    """Write a shareable page about predictions; several files make a comparison.

    Args:
        files: all that `ct.read` takes, or a list of such.
        path: report.html, or report.md for pull requests and model cards.
        form: "html" or "md", if the suffix of the path does not say.
        task: begin the Markdown with Hugging Face metadata for a task such as
            "image-classification".
        model: the model's name in that metadata.
        options: of `calibtool.reports.page.build.build_page`: `metrics`, `calibrator`, `methods`,
            `by`, `cluster`, `title`, `ci`, `resamples`, `level`, `seed`; and keys of `ct.read`.

    Returns the page that was written. Raises InputError, UsageError.

    >>> import calibtool as ct, tempfile
    >>> p = ct.Predictions.from_probs([[0.8, 0.2], [0.4, 0.6]] * 20, [0, 1] * 20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(p, f"{folder}/report.md", resamples=20)
    >>> page.subjects[0].verdict[:23]
    'Class 1 is under-predic'
    """
    form = form_of(path, form, task)
    require_writable(path)
    several = files if isinstance(files, list) else [files]
    for file in several:
        if isinstance(file, str | Path):
            require_apart(path, file)
    keys = keys_in(options)
    opened = [read_data(file, **keys) for file in several]
    page = build_page(opened, **options)
    write_text(path, text(page, form, task=task, model=model))
    return page


def form_of(path: str | Path | None, form: str | None, task: str | None = None) -> Form:
    """Return the form that is requested or, without one, that of the path's suffix.

    Raises UsageError if neither says, or for metadata (`task`) in HTML.

    >>> form_of("report.html", None), form_of(None, "md")
    ('html', 'md')
    """
    if path is None:
        known: Form | None = "md" if task is not None else None
    else:
        known = FORMS.get(Path(path).suffix.lower())
    chosen = form or known
    if chosen is None:
        reason = f"{path}: unknown suffix" if path else "no file to write to"
        raise UsageError(f"{reason}; give -o report.html, -o report.md or --format md")
    if chosen not in get_args(Form):
        raise UsageError(f"form must be one of {', '.join(get_args(Form))} (got {chosen!r})")
    if chosen == "html" and task is not None:
        raise UsageError("metadata of a model card cannot be written to HTML; write Markdown")
    return "html" if chosen == "html" else "md"


def text(page: Page, form: Form, *, task: str | None = None, model: str = "") -> str:
    """Return a page as the text of a file."""
    if form == "html":
        from calibtool.reports.page.html import document

        return document(page)
    from calibtool.reports.page import markdown

    return markdown.document(page, task=task, model=model)


__all__ = ["Page", "write_report"]

"""A report to be sent, written to a file: a page, or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from calibtool.data.files.open import open_source
from calibtool.data.files.source import Source
from calibtool.data.files.write import require_writable, write_text
from calibtool.data.predictions import Predictions
from calibtool.errors import UsageError
from calibtool.reports.page.build import page
from calibtool.reports.page.model import Page

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
    """Write one page about predictions, to be sent to someone else; several make a comparison.

    Args:
        files: predictions, or the names of files of them.
        path: report.html, or report.md for pull requests and model cards.
        form: "html" or "md", where the path does not say.
        task: begin the md with Hugging Face metadata for a task such as "image-classification".
        model: the model's name in that metadata.
        options: of `calibtool.reports.page.build.page`: `metrics`, `calibrator`, `methods`, `by`,
            `title`, `ci`, `resamples`, `level`, `seed`.

    Returns what the file shows. Raises InputError, UsageError.

    >>> import calibtool as ct, tempfile
    >>> p = ct.Predictions.from_probs([[0.8, 0.2], [0.4, 0.6]] * 20, [0, 1] * 20)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = write_report(p, f"{folder}/report.md", resamples=20)
    >>> made.subjects[0].verdict[:13]
    'Underconfiden'
    """
    form = form_of(path, form, task)
    require_writable(path)
    several = [files] if isinstance(files, str | Path | Source | Predictions) else files
    opened = [open_source(f) if isinstance(f, str | Path) else f for f in several]
    made = page(opened, **options)
    write_text(path, text(made, form, task=task, model=model))
    return made


def form_of(path: str | Path | None, form: str | None, task: str | None = None) -> Form:
    """The form that is asked for, or that the name of the file says; metadata are for Markdown.

    >>> form_of("report.html", None), form_of(None, "md")
    ('html', 'md')
    """
    if path is None:
        known: Form | None = "md" if task is not None else None
    else:
        known = FORMS.get(Path(path).suffix.lower())
    found = form or known
    if found is None:
        which = f"{path}: the name does not say in which form; give" if path else "where to? Give"
        raise UsageError(f"{which} -o report.html or -o report.md, or --format md")
    if found not in get_args(Form):
        raise UsageError(f"form {found!r}: there are {', '.join(get_args(Form))}")
    if found == "html" and task is not None:
        raise UsageError("metadata of a model card goes with Markdown, not with HTML")
    return "html" if found == "html" else "md"


def text(made: Page, form: Form, *, task: str | None = None, model: str = "") -> str:
    """What the file holds."""
    if form == "html":
        from calibtool.reports.page.html import document

        return document(made)
    from calibtool.reports.page import markdown

    return markdown.document(made, task=task, model=model)


__all__ = ["Page", "write_report"]

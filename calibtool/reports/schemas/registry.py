"""The table of schemas: every document that calibtool writes or reads."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from calibtool.errors import UsageError, near
from calibtool.reports.schemas.keywords import Schema
from calibtool.reports.table import Table

PREFIX = "calibtool-"  # of the format of most documents, which their schemas are named after


class Entry(NamedTuple):
    """A schema.

    Attributes:
        of: what it is of.
        by: the commands that write such a document.
        module: of this package; its function of the same name, with _ for -, makes the schema.
    """

    of: str
    by: str
    module: str


SCHEMAS = {
    "report": Entry("a report, and the baseline of `check`", "evaluate, fit", "report"),
    "reports": Entry("reports side by side", "evaluate FILE FILE", "report"),
    "check": Entry("verdicts on requirements", "check", "check"),
    "comparison": Entry("models on the same rows", "compare", "comparison"),
    "slices": Entry("metrics by slice", "evaluate --by", "slices"),
    "found-slices": Entry("slices that a search has found", "slices", "slices"),
    "monitor": Entry("calibration over time", "monitor", "monitor"),
    "monitor-slices": Entry("calibration over time by slice", "monitor --by", "monitor"),
    "selection": Entry("calibrators, the best first", "select", "selection"),
    "tests": Entry("tests of perfect calibration", "test", "significance"),
    "implied": Entry("metrics without labels", "estimate", "estimated"),
    "prior": Entry("class shares without labels", "estimate --labelled", "estimated"),
    "threshold": Entry("a threshold, and its file", "threshold", "decided"),
    "costs": Entry("what decisions cost", "threshold --cost", "decided"),
    "sets": Entry("prediction sets, and their file", "sets", "decided"),
    "set-report": Entry("prediction sets, measured", "evaluate --sets", "decided"),
    "convention": Entry("the numbers of a library", "evaluate --as", "conventions"),
    "conventions": Entry("the ECE of each library", "evaluate --conventions", "conventions"),
    "training": Entry("the report of a run", "train", "training"),
    "sweep": Entry("the runs of a sweep", "train --sweep", "training"),
    "gamma-search": Entry("the search for a gamma", "train --gamma-search", "training"),
    "inspection": Entry("what would be read from a file", "inspect", "listings"),
    "predictions": Entry("predictions, without their rows", "to_dict() in Python", "listings"),
    "metrics": Entry("the list of metrics", "metrics", "listings"),
    "losses": Entry("the list of losses", "losses", "listings"),
    "schemas": Entry("this list", "schema", "listings"),
    "diagram": Entry("the data of a diagram", "plot --data", "listings"),
    "error": Entry("an error in place of a document", "any, with --format json", "listings"),
    "calibrator": Entry("a calibrator file of any version", "fit -o", "calibrator"),
    "cells": Entry("header.json in a file of cells", "cells, merge", "cells"),
    "config": Entry("calibtool.toml", "check --init", "config"),
}


def schema(name: str) -> Schema:
    """Return a schema: of a name of the table, or of the format of a document.

    Raises UsageError for an unknown name.

    >>> schema("calibtool-error")["properties"]["error"]
    {'type': 'string', 'minLength': 1}
    """
    known = name.removeprefix(PREFIX)
    if known not in SCHEMAS:
        raise UsageError(f"there is no schema {name!r}{near(known, SCHEMAS)}")
    module = import_module(f"calibtool.reports.schemas.{SCHEMAS[known].module}")
    made: Schema = getattr(module, known.replace("-", "_"))()
    entry = SCHEMAS[known]
    head = {"$schema": made["$schema"], "title": made["title"]}
    return {**head, "description": f"{entry.of} ({entry.by})", **made}


def table() -> Table:
    """Return a row per schema."""
    records = [
        {"schema": name, "of": entry.of, "written_by": entry.by} for name, entry in SCHEMAS.items()
    ]
    return Table(
        kind="calibtool-schemas",
        head="JSON Schemas (draft 2020-12) of what calibtool writes and reads",
        titles=("schema", "of", "written by"),
        cells=[[*record.values()] for record in records],
        records=records,
        key="schemas",
        notes=["Print a schema: calibtool schema NAME. Write it for an editor: -o FILE."],
        left=("of", "written by"),
    )

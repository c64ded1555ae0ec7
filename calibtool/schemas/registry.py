"""The table of schemas: every document that calibtool writes or reads."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from calibtool.errors import UsageError, near
from calibtool.schemas.keywords import Schema

PREFIX = "calibtool-"  # of the format of most documents, which their schemas are named after


class Entry(NamedTuple):
    """A schema: what it is of, and the module of this package whose function of the same name, with
    _ for -, makes it."""

    line: str
    module: str


SCHEMAS = {
    "report": Entry("A report: evaluate FILE, fit; the baseline of check.", "report"),
    "reports": Entry("Reports side by side: evaluate FILE FILE.", "report"),
    "check": Entry("Verdicts on requirements: check.", "check"),
    "comparison": Entry("Models on the same rows: compare.", "comparison"),
    "slices": Entry("Metrics by slice: evaluate --by.", "slices"),
    "found-slices": Entry("Slices that a search has found: slices.", "slices"),
    "monitor": Entry("Calibration over time: monitor.", "monitor"),
    "monitor-slices": Entry("Calibration over time in slices: monitor --by.", "monitor"),
    "selection": Entry("Calibrators ranked: select.", "selection"),
    "tests": Entry("Tests of perfect calibration: test.", "significance"),
    "implied": Entry("Metrics without labels: estimate.", "estimated"),
    "prior": Entry("Class shares without labels: estimate --labelled.", "estimated"),
    "threshold": Entry("A threshold, and its file: threshold.", "decided"),
    "costs": Entry("What decisions cost: threshold --cost.", "decided"),
    "sets": Entry("Prediction sets, and their file: sets.", "decided"),
    "set-report": Entry("Prediction sets, measured: evaluate --sets.", "decided"),
    "convention": Entry("The numbers of a library: evaluate --as.", "conventions"),
    "conventions": Entry("The ECE of every library: evaluate --conventions.", "conventions"),
    "training": Entry("The report of a run: train.", "training"),
    "sweep": Entry("The runs of a sweep: train --sweep.", "training"),
    "gamma-search": Entry("The search for gamma: train --gamma-search.", "training"),
    "inspection": Entry("What would be read from a file: inspect.", "listings"),
    "predictions": Entry("Predictions in memory, without their rows: to_dict.", "listings"),
    "metrics": Entry("The list of metrics: metrics.", "listings"),
    "losses": Entry("The list of losses: losses.", "listings"),
    "diagram": Entry("The data of a diagram: plot --data.", "listings"),
    "error": Entry("An error in place of a document: any command.", "listings"),
    "calibrator": Entry("A calibrator file, of any version: fit -o.", "calibrator"),
    "cells": Entry("header.json of a file of cells: cells.", "cells"),
    "config": Entry("calibtool.toml: check.", "config"),
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
    module = import_module(f"calibtool.schemas.{SCHEMAS[known].module}")
    made: Schema = getattr(module, known.replace("-", "_"))()
    return made

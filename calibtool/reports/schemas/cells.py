"""The schema of the header of a file of cells, of all versions that are read."""

from __future__ import annotations

from calibtool.reports.schemas.keywords import (
    COUNT,
    NULL,
    SHARE,
    TEXT,
    Schema,
    array,
    document,
    has,
    mapping,
    nullable,
    of_fields,
    of_type,
    one_of,
    record,
    when,
    whole,
)
from calibtool.streaming.cells_file import FORMAT, MOST_ROWS, READ
from calibtool.streaming.summary import VIEWS, DataShape, Layout


def cells() -> Schema:
    """Return the schema of `header.json` in a file of cells."""
    sums = mapping(array(COUNT, least=1)) | {
        "propertyNames": {"pattern": "^[a-z-]+/.+$"},
        # a view is whole: weight, scores and outcomes
        "dependentRequired": {
            f"{view}/{kind}": [f"{view}/{other}" for other in "npy" if other != kind]
            for view in VIEWS
            for kind in ("n", "p", "y", "w2", "pp", "py")
        },
    }
    of_top = {"properties": {"views": array({"const": "top"})}}
    return document(
        FORMAT,
        {
            "rows": whole(0, MOST_ROWS),
            "shape": _shape(),
            "keep": record(of_fields(Layout, SHARE, views=array(one_of(VIEWS)))),
            "skipped": array(of_type(tuple[str, str])),
            "sums": sums,
        },
        versions=READ,
        rules=[
            when(
                has(shape=has(kind={"const": "confidence"})),
                {"properties": {"keep": of_top}},
            )
        ],
    )


def _shape() -> Schema:
    """Return the schema of the kind of predictions, and of their classes."""
    names = ("classes", "class_names")
    known = record(of_fields(DataShape), names)
    no_classes = dict.fromkeys(names, NULL) | {"one_column": {"const": False}}
    two = has(one_column={"const": True})
    of_classes = {"classes": whole(2), "class_names": nullable(array(TEXT, least=2))}
    return {
        **known,
        **when(
            has(kind={"const": "confidence"}),
            {"properties": no_classes},
            {**record(of_classes, ("class_names",)), **when(two, has(classes={"const": 2}))},
        ),
    }

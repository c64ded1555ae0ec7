"""Tables of speed: commands, and what falls short in all benchmarks of it, as measured last."""

from __future__ import annotations

import math
import re
from typing import Any

from results import results_of

from calibtool.reports import markdown

# by rows and classes: most times of NumPy's pass over the same logits, and most GB of memory
CLASSES_AIMS = {(1_000_000, 1_000): (1.5, 0.4), (1_000, 32_000): (math.inf, 1.0)}
# benchmarks whose rows say themselves whether they are met, and where their results hold them
BESIDE_PEERS = {"speed": "rows", "binning_free": "rows", "calibrators": "speed"}
Cost = tuple[float, float, float]  # processor time and wall time in s, memory in GB
WAYS = {"intervals": "with intervals", "values": "without"}  # of `evaluate`
SERIES = {"classes": "2,000 rows of 10 to 32,000 classes", "rows": "one score per row"}


def in_memory() -> str:
    """Return the table of commands on files in memory."""
    record = results_of("commands")
    rows = [
        [
            row["command"],
            f"{row['this']['s']:.1f} s",
            f"{row['this']['cpu_s']:.1f} s",
            f"{row['this']['peak_mb']:.0f} MB",
            f"{row['beside']['cpu_s']:.1f} s" if "beside" in row else "",
            f"{row['aim_s']:g} s",
            "yes" if row["this"]["s"] <= row["aim_s"] else "no",
        ]
        for row in record["commands"]
    ]
    titles = ["command", "seconds", "of processors", "memory", "processors, before", "aim", "met"]
    return "\n".join(["", *markdown.table(titles, rows), "", _made(record), "", ""])


def many_rows() -> str:
    """Return the table of commands on many rows, with and without the extra `fast` where both
    were measured."""
    record = results_of("many_rows")
    both = any(row.get("fast") for row in record["rows"])
    with_fast = [
        {**row, "ours": row.get("fast") or row["ours"], "fast": row.get("fast")}
        for row in record["rows"]
    ]

    def columns_of(fast: dict[str, Any]) -> list[str]:
        return [_seconds(fast["fast"]), _met(fast, with_fast)] if fast["fast"] else ["", ""]

    rows = [
        [
            row["what"],
            _seconds(row["ours"]),
            f"{row['ours'][2]:.2f} GB",
            ", ".join(f"{name} {_seconds(cost)}" for name, cost in row["peers"].items()),
            row["aim"],
            _met(row, record["rows"]),
            *(columns_of(fast) if both else []),
        ]
        for row, fast in zip(record["rows"], with_fast, strict=True)
    ]
    titles = ["what", "seconds", "memory", "beside", "aim", "met"]
    titles += ["with the extra fast", "met with it"] if both else []
    return "\n".join(["", *markdown.table(titles, rows, words=True), "", _made(record), "", ""])


def many_classes() -> str:
    """Return the table of `evaluate` against classes and rows, and its straight lines."""
    record = results_of("classes")
    rows = [
        [
            f"{row['rows']:,} x {row['columns']:,}",
            *(f"{row[way][0]:.2f} s" for way in WAYS),
            f"{row['intervals'][2]:.2f} GB",
            f"{1e9 * row['values'][0] / (row['rows'] * row['columns']):,.1f} ns",
            f"{row['intervals'][0] / row['numpy'][0]:.2f}x" if row["numpy"] else "",
        ]
        for row in record["rows"]
    ]
    titles = ["rows x classes", "with intervals", "without", "memory", "without, per logit"]
    table = markdown.table([*titles, "intervals, beside NumPy"], rows)
    lines = [
        f"- {SERIES[line['series']]}, {WAYS[line['way']]}: {line['s']:.2f} s, and {line['ns']:.2f} "
        f"ns per logit; the farthest time is {100 * line['farthest']:.0f} % off."
        for line in record["lines"]
    ]
    return "\n".join(["", *table, "", *lines, "", _made(record), "", ""])


def unmet() -> list[list[str]]:
    """Return what falls short of its aim: the row, what was measured, the aim, the script."""
    found = [
        [row["command"], f"{row['this']['s']:.1f} s", f"{row['aim_s']:g} s", "commands.py"]
        for row in results_of("commands")["commands"]
        if row["this"]["s"] > row["aim_s"]
    ]
    many = results_of("many_rows")["rows"]
    for row in many:
        met, _, ratio = _met(row, many).partition(": ")
        if met == "no":
            took = ratio or f"{_seconds(row['ours'])}, {row['ours'][2]:.2f} GB"
            found.append([row["what"], took, row["aim"], "many_rows.py"])
    for row in results_of("classes")["rows"]:
        times, memory = CLASSES_AIMS.get((row["rows"], row["columns"]), (math.inf, math.inf))
        took = row["intervals"][0] / row["numpy"][0] if row["numpy"] else 0.0
        if took > times or row["intervals"][2] > memory:
            what = f"evaluate, {row['rows']:,} x {row['columns']:,}"
            measured = f"{took:.2f}x NumPy, {row['intervals'][2]:.2f} GB"
            found.append([what, measured, f"{times:g}x NumPy, {memory:g} GB", "classes.py"])
    for name, part in BESIDE_PEERS.items():
        for row in results_of(name)[part]:
            if row["met"] is False:
                ratio = f"{row['theirs'] / row['ours']:.1f}x {row['yardstick']}"
                took = ratio if row["target"].startswith(">") else f"{row['ours']:.3g} s"
                found.append([row["what"], took, row["target"], f"{name}.py"])
    return found


def not_met() -> str:
    """Return the table of what falls short of its aim."""
    titles = ["what", "measured", "aim", "script"]
    return "\n".join(["", *markdown.table(titles, unmet(), words=True), "", ""])


def _made(record: dict[str, Any]) -> str:
    about = record["made_with"]
    return f"Run on {about['date']} on {about['cores']} shared cores."


def _seconds(cost: Cost) -> str:
    return f"{cost[1]:.2f} s" if cost[1] >= 1 else f"{1000 * cost[1]:.0f} ms"


def _met(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return "yes", "no" and by how much, or "" of a row without an aim."""
    wall, memory = row["ours"][1:]
    if "pyarrow" in row["aim"]:
        if not row["peers"]:
            return ""
        scan, *others = (cost[1] for cost in row["peers"].values())
        good = wall <= float(row["aim"].partition("x")[0]) * scan and wall < min(others)
        return f"{'yes' if good else 'no'}: {wall / scan:.1f}x"
    if limit := re.fullmatch(r"([\d.]+)x ECE", row["aim"]):
        walls = {one["what"]: one["ours"][1] for one in rows}
        ece = walls[f"ECE, {row['what'].rpartition(', ')[2]}"]
        ratio = (wall - walls["evaluate --version"]) / ece
        return f"{'yes' if ratio <= float(limit[1]) else 'no'}: {ratio:.1f}x"
    if limit := re.fullmatch(r"numpy \+ ([\d.]+) s", row["aim"]):
        bare = next((one["ours"][1] for one in rows if "import numpy" in one["what"]), None)
        if bare is None:
            return ""
        return f"{'yes' if wall - bare <= float(limit[1]) else 'no'}: numpy + {wall - bare:.2f} s"
    if limit := re.fullmatch(r"([\d.]+) s(?:, ([\d.]+) GB)?", row["aim"]):
        good = wall <= float(limit[1]) and memory <= float(limit[2] or "inf")
        return "yes" if good else "no"
    return ""

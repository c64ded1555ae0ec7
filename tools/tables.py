"""The tables that pages show: of the code, and of what benchmarks/ measured last."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layers
from beside import beside, beside_all, beside_names
from command_tables import in_memory, many_classes, many_rows, not_met
from results import results_of
from scipy.stats import binom

from calibtool.calibrators.registry import METHODS
from calibtool.formatting import number
from calibtool.metrics.registry import SECTIONS
from calibtool.reports import markdown, metrics
from calibtool.train.losses import listing
from calibtool.train.losses.registry import LEGEND

ROOT = Path(__file__).parents[1]
SPEED = """# Speed

<!-- Made from `benchmarks/results/speed.json` by `just docs`; do not edit. -->

**Question.** How fast is calibtool beside other libraries and plain NumPy?

**Method.** L is 50,000 x 1,000 float32 logits (200 MB) in an uncompressed npz, and S 10,000 x 10.
Everything was measured in one run; the table shows medians. `ratio` is the other's time over ours.
*met* says whether the target was met.

{table}

{made}

netcal on float32 logits silently stops at T = 1, so its time there is not that of a fit. Times
depend on the machine, so compare the ratios. These change less, but they change: on a machine with
AVX-512, fitting a temperature was 23 times as fast as scikit-learn and 59 times as fast as netcal.
On several machines and days, `evaluate` as a process took between 1.4 and 3.3 times the NumPy pass.
About 0.2 s of it are imports, mostly of NumPy, which `--version` does not need.

## Errors without bins, many metrics at once

{free}

{free_made}

## Calibrators

Fit and apply to the same rows, from arrays in memory. L is 50,000 x 1,000, S is 10,000 x 10.

{fits}

{fits_made}
"""


# Intervals from which the coverage of a cell says something: chance moves it by 5 points.
ENOUGH = 20
# Below this a metric's page warns: the aim of 92 less the standard error of 100 data sets.
POOR = 90


def coverage() -> dict[str, list[str]]:
    """What benchmarks/coverage.py measured of each metric's interval, in a sentence."""
    cells: dict[str, list[tuple[float, dict[str, str]]]] = {}
    with (ROOT / "benchmarks" / "results" / "coverage.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["covered"] and float(row["given"]) * int(row["simulations"]) >= ENOUGH:
                # views that a metric does not have by default are measured under its own name
                name = row["metric"].partition("(view=")[0]
                cells.setdefault(name, []).append((100 * float(row["covered"]), row))
    found = {}
    for name, own in cells.items():
        least, row = min(own, key=lambda one: one[0])
        most = max(share for share, _ in own)
        text = (
            f"Measured coverage of nominal 95 % intervals: {least:.0f} to {most:.0f} % in "
            f"{len(own)} {'cell' if len(own) == 1 else 'cells'}; worst: {least:.1f} %, "
            f"{row['scenario']}, n = {int(row['n']):,} ([coverage](../../evidence/coverage.md))."
        )
        warning = " **That is less than the 95 % it states.**" if least < POOR else ""
        found[name] = [text + warning, ""]
    return found


def calibrators() -> str:
    """The table of calibrators."""
    return "\n".join(["", *metrics.calibrators(), "", ""])


def quality() -> str:
    """What benchmarks/calibrators.py measured last on real predictions."""
    record = results_of("calibrators")
    sets = record["quality"]
    names = list(dict.fromkeys(name for one in sets for name in one["scores"]))
    names.sort(key=lambda name: list(METHODS).index(name) if name in METHODS else -1)

    def cell(one: dict[str, Any], name: str) -> str:
        found = one["scores"].get(name)
        if found is None:
            return "not fitted"
        text = f"{found['nll']} / {found['ece']}"
        return f"**{text}**" if name == one["best"] else text

    rows = [[name, *(cell(one, name) for one in sets)] for name in names]
    rows.append(["chosen", *(one["chosen"] for one in sets)])
    rows.append(["seconds", *(f"{one['seconds']:.0f}" for one in sets)])
    titles = ["NLL / ECE", *(f"{one['name']}, {one['rows']:,} x {one['classes']}" for one in sets)]
    rule = ["---", *("---:" for _ in sets)]
    table = _lines([titles, rule, *rows])
    about = record["quality_made_with"]
    return "\n".join(
        ["", *table, "", f"Measured on {about['date']}, {about['cores']} shared cores.", "", ""]
    )


def arena() -> str:
    """Win rates of calibrators and peers, as benchmarks/arena.py measured them last."""
    record = results_of("arena")
    groups = {
        f"{name}, {score}": record[key].get(name, {})
        for name in record["win_rates"]
        for score, key in (("NLL", "win_rates"), ("Brier", "win_rates_brier"))
    }
    ranked = sorted(
        {name for rates in groups.values() for name in rates},
        key=lambda name: (-max(rates.get(name, 0) for rates in groups.values()), name),
    )
    rows = [
        [name, *(f"{rates[name]:.2f}" if name in rates else "" for rates in groups.values())]
        for name in ranked
    ]
    lines = _lines([["win rate", *groups], ["---", *("---:" for _ in groups)], *rows])
    two = sum(one["classes"] == 2 for one in record["sets"])
    about = (
        f"Measured on {record['date']}: {two} sets of two classes, {len(record['sets']) - two} of "
        f"more, at most {record['rows']:,} rows per set."
    )
    return "\n".join(["", *lines, "", about, "", ""])


def choice() -> str:
    """How far the choices of `select` are behind the best, as benchmarks/choice.py measured."""
    record = results_of("choice")
    titles = ["set", "classes", "best", "behind it", "error of this", "splits within it"]
    titles += ["error of the best NLL"]
    table = [titles, ["---", "---:", "---", *["---:"] * 4]]
    public = [one for one in record["sets"] if one["public"]]
    for one in public:
        found = one["select"]
        behind = [f"{found[key]:.5f}" for key in ("behind", "error")]
        behind += [f"{found['splits_met']} of {one['splits']}", f"{found['error_of_best']:.5f}"]
        table.append([one["name"], str(one["classes"]), found["best"], *behind])

    def met(rule: str, of_public: bool) -> str:
        some = [one[rule]["met"] for one in record["sets"] if one["public"] == of_public]
        return f"{sum(some)} of {len(some)}"

    splits = [(one["select"]["splits_met"], one["splits"]) for one in public]
    within, of = (sum(column) for column in zip(*splits, strict=True))
    rules = {"select": "the rule", "lowest": "the lowest NLL", "within 0.5": "half an error"}
    rules["within 1.5"] = "one and a half"
    counts = "; ".join(
        f"{name} {met(rule, True)} and {met(rule, False)}" for rule, name in rules.items()
    )
    by_best = sum(one["select"]["met_by_best"] for one in public)
    about = (
        f"The choice is within one standard error of the best NLL on {by_best} of {len(public)} "
        "sets. That error is mostly of rows that are hard for every candidate. Within one standard "
        f"error of the difference, which knows that, it is on {met('select', True)} sets, and in "
        f"{within} of {of} splits. By this stricter measure, of these sets and of made and trained "
        f"ones: {counts}. Measured on {record['date']}, at most {record['rows']:,} rows in a half."
    )
    return "\n".join(["", *_lines(table), "", about, "", ""])


def passes() -> str:
    """What benchmarks/fits.py measured last."""
    record = results_of("fits")

    def took(one: dict[str, Any], way: str) -> str:
        if one[f"{way}_s"] is None:
            return ""
        return f"{one[f'{way}_s']:.1f} s ({one[f'{way}_cpu_s']:.1f})"

    def row(one: dict[str, Any]) -> list[str]:
        ways = [took(one, way) for way in ("passes", "memory", "sklearn")]
        peaks = [f"{one[f'{way}_mb']:,.0f} MB" for way in ("passes", "memory")]
        return [one["file"], one["method"], str(one["passes"]), *ways, *peaks, f"{one['off']:.0e}"]

    titles = ["file", "fit", "passes", "by passes", "in memory", "scikit-learn"]
    titles += ["peak by passes", "peak in memory", "apart"]
    rule = ["---", "---", *["---:"] * 7]
    table = [titles, rule, *(row(one) for one in record["fits"])]
    about = record["made_with"]
    made = f"Measured on {about['date']}, {about['cores']} shared cores, "
    made += f"load {about['load_at_start']} at the start."
    return "\n".join(["", *_lines(table), "", made, "", ""])


def conventions() -> str:
    """The table of other libraries' conventions."""
    return "\n".join(["", *metrics.conventions(), "", ""])


def real() -> str:
    """What benchmarks/real.py measured last."""
    record = results_of("real")
    files = record["files"]
    lines = [""]
    for title, section in SECTIONS.items():
        rows = [
            [
                markdown.Marked(f"[{m.name}](../reference/metrics/{m.name}.md)"),
                *(_measured(one, m.name) for one in files),
            ]
            for m in section
            if m.name in files[0]["metrics"]
        ]
        names = [f"{one['file'].replace('_', ' ')}, n = {one['rows']:,}" for one in files]
        lines += [f"## {title}", "", *markdown.table(["metric", *names], rows), ""]
    took = ", ".join(f"{one['seconds']:.0f}" for one in files)
    lines += [
        "Value; corrected estimate, where it differs; 95 % interval. Made by `benchmarks/real.py`.",
        f"On {record['date']} the files took {took} s.",
        "",
    ]
    return "\n".join(lines)


def _measured(one: dict[str, Any], name: str) -> str:
    value, corrected, low, high, _, _ = one["metrics"][name]
    if value is None:
        return "-"
    if low is None:
        return number(value)
    shown = [number(value), number(corrected)]  # of a record of before, the value alone
    return f"{'; '.join(dict.fromkeys(filter(None, shown)))} [{number(low)}, {number(high)}]"


def losses() -> str:
    """The table of losses."""
    return f"\n{listing.losses((), 'markdown')}\n{LEGEND}\n\n"


def focal() -> str:
    """What benchmarks/focal.py found: a table a data set, mean and deviation over the seeds."""
    record = results_of("focal")
    lines: list[str] = []
    for name, setup in record["setups"].items():
        runs = [run for run in record["runs"] if run["data"] == name]
        told = ", ".join(f"{key} {value}" for key, value in setup.items())
        titles = ["loss", "seeds", "error, %", "NLL", "ECE, %", "AdaECE, %"]
        titles += ["class-wise ECE, %", "T"]
        rows = [_focal_row(loss, runs) for loss in dict.fromkeys(run["loss"] for run in runs)]
        lines += ["", f"**{name}**: {told}", "", *markdown.table(titles, rows)]
    return "\n".join([*lines, "", ""])


def focal_shift() -> str:
    """What benchmarks/focal_shift.py found: ECE and error by shift, strength, network and loss."""
    runs = results_of("focal_shift")["runs"]
    groups = list(dict.fromkeys((run["data"], run["loss"]) for run in runs))
    titles = ["shift", *(f"{name}, {loss}: error → ECE → ECE after T, %" for name, loss in groups)]
    rows = []
    for place, point in enumerate(runs[0]["points"]):
        cells = []
        for group in groups:
            own = [run["points"][place] for run in runs if (run["data"], run["loss"]) == group]
            error = statistics.fmean(1 - one["before"]["accuracy"] for one in own)
            eces = [statistics.fmean(one[when]["ece"] for one in own) for when in WHEN]
            cells.append(" → ".join(f"{100 * value:.1f}" for value in (error, *eces)))
        rows.append([f"{point['shift']} {point['strength']:g}", *cells])
    counts = ", ".join(
        f"{name} {sum((run['data'], run['loss']) == (name, loss) for run in runs)}"
        for name, loss in groups
        if loss == groups[0][1]
    )
    return "\n".join(
        ["", *markdown.table(titles, rows), "", f"Means over seeds: {counts}.", "", ""]
    )


def _focal_row(loss: str, runs: list[dict[str, Any]]) -> list[str]:
    """A loss: error, each metric before and after temperature, and the temperature."""
    own = [run for run in runs if run["loss"] == loss]
    cooled = [run for run in own if run["after"]]  # a network that learned nothing has no T
    on = {"before": own, "after": cooled}

    def spread(values: list[float], unit: float, digits: int) -> str:
        mean = statistics.fmean(values)
        deviation = f" ± {unit * statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
        return f"{unit * mean:.{digits}f}{deviation}"

    cells = [spread([1 - run["before"]["accuracy"] for run in own], 100, 2)]
    for metric, (unit, digits) in FOCAL.items():
        both = (spread([run[when][metric] for run in on[when]], unit, digits) for when in WHEN)
        cells.append(" → ".join(both))
    without = f" ({len(own) - len(cooled)} without)" if len(cooled) < len(own) else ""
    temperature = spread([run["temperature"] for run in cooled], 1, 2) + without
    return [loss, str(len(own)), *cells, temperature]


def loss_speed() -> str:
    """FLSD-53 beside loops over the rows, as benchmarks/losses.py measured it last."""
    record = results_of("losses")
    titles = [
        "batch of 1,024",
        "flsd-53",
        "row by row",
        "gamma row by row",
        "torch's cross-entropy",
    ]
    rows = []
    for part in ("forward", "forward and backward"):
        for classes in dict.fromkeys(row["classes"] for row in record["rows"]):
            found = {
                row["loss"]: row["seconds"]
                for row in record["rows"]
                if (row["classes"], row["part"]) == (classes, part)
            }
            ours = found["flsd-53"]
            others = (found[name] for name in ("rows", "gammas", "torch cross_entropy"))
            cells = [f"{1e3 * other:.2f} ms, {other / ours:.1f}x" for other in others]
            rows.append([f"{classes} classes, {part}", f"{1e3 * ours:.2f} ms", *cells])
    made = ", ".join(f"{key} {value}" for key, value in record["made_with"].items())
    return "\n".join(["", *markdown.table(titles, rows), "", f"Made with {made}.", "", ""])


def loss_cost() -> str:
    """Small batches and memory of every loss beside cross-entropy, by benchmarks/losses.py."""
    record = results_of("losses")
    peaks = {line["loss"]: line["ratio"] for line in record["memory"]}
    titles = ["loss", "128 rows, 10 classes", "", "memory"]
    rows = [
        [
            line["loss"],
            f"{1e6 * line['seconds']:.0f} µs",
            f"{line['ratio']:.1f}x",
            f"{peaks[line['loss']]:.2f}x",
        ]
        for line in record["small"]
    ]
    return "\n".join(["", *markdown.table(titles, rows), "", ""])


WHEN = ("before", "after")
FOCAL = {"nll": (1, 3), "ece": (100, 2), "ada-ece": (100, 2), "classwise-ece": (100, 2)}


def gate() -> list[dict[str, Any]]:
    """What benchmarks/gate.py measured last, at the level of 95 %."""
    record = results_of("gate")
    return [cell for cell in record["cells"] if cell["level"] == 0.95]


def guarantees() -> str:
    """How often thresholds broke their promise, and what they accepted, beside other ways."""
    record = results_of("guarantees")
    others = {"naive": "naive", "sgr": "SGR", "bonferroni": "Bonferroni"}
    titles = ["data", "rows", "target", "best", "broken", "accepted", "none", *others.values()]
    rows = []
    shown = [one for one in record["cells"] if one["ours"]["none"] < 1]
    for one in shown:
        own = one["ours"]
        row = [one["data"], f"{one['n']:,}", f"{100 * one['risk']:g} %", f"{100 * one['best']:.0f}"]
        row += [f"{100 * own['broken']:.1f}", f"{100 * own['coverage']:.0f}"]
        row.append(f"{100 * own['none']:.0f}")
        for name in others:
            other = one.get(name)
            shares = () if other is None else (other["broken"], other["coverage"])
            row.append(" / ".join(f"{100 * share:.0f}" for share in shares))
        rows.append(row)
    text = (
        f"{shown[0]['simulations']:,} data sets per line, in per cent; delta is "
        f"{100 * record['delta']:g} %. *Broken* is the share of data sets whose threshold truly "
        "exceeds the target, *accepted* the mean share of new rows that is accepted, *best* what "
        "the true curve would allow, *none* the share of data sets without a threshold. The last "
        "three columns have broken / accepted of other ways: *naive* takes the most rows whose "
        "measured risk meets the target. Left out are "
        f"{len(record['cells']) - len(shown)} cells where no data set has a threshold, most of "
        "them with 100 rows."
    )
    lines = _lines([titles, ["---", *["---:"] * (len(titles) - 1)], *rows])
    return "\n".join(
        ["", text, "", *lines, "", *_bets(record["tests"]), *_real(record["real"]), ""]
    )


def _bets(tests: list[dict[str, Any]]) -> list[str]:
    """The power of bets beside that of Hoeffding and Bentkus's bound, in a sentence."""
    one = next(t for t in tests if t["weights"] == "0.5 to 1.5" and t["n"] == 300)
    text = (
        f"Bets are the stronger test of rows with weights: of {one['n']} rows with a true risk of "
        f"{100 * one['true']:g} % and weights from 0.5 to 1.5, they prove {100 * one['risk']:g} % "
        f"in {100 * one['bets']:.0f} % of data sets, the bound of Hoeffding and Bentkus in "
        f"{100 * one['hoeffding_bentkus']:.0f} %. Without weights the exact test is stronger than "
        "both, and is used."
    )
    return [text, ""]


def _real(real: list[dict[str, Any]]) -> list[str]:
    """What thresholds from some rows of published files did on the others."""
    titles = ["data", "rows that choose", "target", "wrong, of all", "accepted"]
    titles += ["wrong, of these", "none"]
    rows = [titles, ["---", *["---:"] * (len(titles) - 1)]]
    for one in real:
        measured = "" if one["measured"] is None else f"{100 * one['measured']:.2f}"
        row = [one["data"], f"{one['choosing']:,}", f"{100 * one['risk']:g} %"]
        row += [f"{100 * one['whole']:.1f}", f"{100 * one['coverage']:.1f}", measured]
        rows.append([*row, f"{100 * one['none']:.1f}"])
    text = (
        "On published predictions, split at random 200 times: means over the splits with a "
        "threshold, on the rows that did not choose it, in per cent."
    )
    return [text, "", *_lines(rows), ""]


def _lines(rows: list[list[str]]) -> list[str]:
    """The lines of a table."""
    return ["| " + " | ".join(row) + " |" for row in rows]


def gate_alarms() -> str:
    """How often a model exactly at its threshold fails `tolerate`, passes `prove` and fails
    `point`, in the worst population."""

    def cell(own: list[dict[str, Any]]) -> str:
        tolerate, prove, point = (
            100 * max(one["shares"][mode]["0"][at] for one in own)
            for mode, at in (("tolerate", 1), ("prove", 0), ("point", 1))
        )
        return f"{tolerate:.1f} / {prove:.1f} ({point:.0f})"

    return _gate_table(["metric"], lambda one: [one["metric"]], cell)


def gate_edges() -> str:
    """The worst false proofs and false alarms of each metric, over all populations and sizes."""
    edges = results_of("gate").get("edges", [])
    if not edges:
        return "\n\nNot measured yet.\n\n"
    rows = []
    for metric in dict.fromkeys(one["metric"] for one in edges):
        own = [one for one in edges if one["metric"] == metric]
        row = [metric, str(len(own))]
        for key in ("proofs", "alarms"):
            worst = max(own, key=lambda one: one[key])
            row.append(f"{100 * worst[key]:.1f} ({worst['scenario']}, n = {worst['n']:,})")
        rows.append(row)
    head = ["metric", "cells", "false proofs, worst", "false alarms, worst"]
    note = [*_edges_by_chance(edges), ""]
    return "\n".join(["", *markdown.table(head, rows), "", *note, ""])


def _edges_by_chance(edges: list[dict[str, Any]]) -> list[str]:
    """How many shares at the edge are above 4 %, how many chance would put there, and which chance
    does not explain."""
    shares = [
        (one[key], one["sets"], f"{what} of {one['metric']} ({one['scenario']}, n = {one['n']:,})")
        for one in edges
        for key, what in (("proofs", "false proofs"), ("alarms", "false alarms"))
    ]
    high = sum(share > 0.04 for share, *_ in shares)
    # more than 4 % of the data sets, if 2.5 % are true
    expected = sum(float(binom.sf(math.floor(0.04 * sets), sets, 0.025)) for _, sets, _ in shares)
    least, error = min(sets for _, sets, _ in shares), 100 * (0.025 * 0.975) ** 0.5
    chances = sorted(  # of at least as many, if 4 % are true
        (float(binom.sf(round(share * sets) - 1, sets, 0.04)), share, sets, what)
        for share, sets, what in shares
    )
    beyond = [one for one in chances if one[0] < 0.01]
    after = 0  # the p-values that Holm rejects
    for p_value, *_ in chances:
        if p_value * (len(chances) - after) >= 0.05:
            break
        after += 1
    text = (
        f"{high:,} of {len(shares):,} shares are above 4 %. If every true share were 2.5 %, chance "
        f"would put {expected:.0f} there: with {least:,} data sets, it moves 2.5 by "
        f"{error / least**0.5:.1f} (a standard deviation). Each share was tested against 4 % "
        f"(binomial, one-sided): {len(beyond)} have p < 0.01, where {0.01 * len(shares):.0f} would "
        f"if all were 4 %; with Holm's correction, {after} are above 4 % beyond chance (0.05)."
    )
    lines = [text, ""]
    return lines + [
        f"- {what}: {100 * share:.1f} % of {sets:,}, p = {p_value:.1g}"
        for p_value, share, sets, what in beyond
    ]


def gate_power() -> str:
    """How often a model beyond its threshold fails."""

    def cell(own: list[dict[str, Any]]) -> str:
        (one,) = own
        return " / ".join(f"{100 * one['shares']['tolerate'][at][1]:.0f}" for at in ("0.5", "1"))

    return _gate_table(["metric", "population"], _gate_row, cell)


def gate_found() -> str:
    """The excess that is said to be found with 80 % power, and the one that was; where it would
    have to exceed the true value, no threshold above 0 is exceeded so far."""

    def cell(own: list[dict[str, Any]]) -> str:
        (one,) = own
        error = one["metric"].endswith("ece")
        none = error and one["found"] >= 0.999 * one["true"]
        return f"{one['said']:.4f} / {'none' if none else format(one['found'], '.4f')}"

    return _gate_table(["metric", "population"], _gate_row, cell)


def _gate_row(one: dict[str, Any]) -> list[str]:
    return [one["metric"], f"{one['scenario']}, {one['true']:.3g}"]


def _gate_table(
    titles: list[str],
    name: Callable[[dict[str, Any]], list[str]],
    cell: Callable[[list[dict[str, Any]]], str],
) -> str:
    """A line a name, a column a size."""
    found: dict[tuple[str, ...], dict[int, list[dict[str, Any]]]] = {}
    for one in gate():
        found.setdefault(tuple(name(one)), {}).setdefault(one["n"], []).append(one)
    order = list(dict.fromkeys(one["metric"] for one in gate()))
    sizes = sorted({one["n"] for one in gate()})
    rows = [
        [*key, *(cell(own[n]) if n in own else "" for n in sizes)]
        for key, own in sorted(found.items(), key=lambda item: order.index(item[0][0]))
    ]
    head = [*titles, *(f"n = {n:,}" for n in sizes)]
    sets = sorted({one["sets"] for one in gate()})
    said = " to ".join(f"{count}" for count in sets)
    error = 100 * (0.025 * 0.975 / sets[0]) ** 0.5
    note = (
        f"{said} test sets per cell: chance moves 2.5 by up to {error:.1f} (a standard deviation)."
    )
    return "\n".join(["", *markdown.table(head, rows), "", note, "", ""])


def _per_cent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def compare_null() -> str:
    """False claims of `compare` where two models are equally good."""
    record = results_of("compare")
    cells = record["cells"]
    names = list(cells[0]["below"])
    titles = ["p below 0.05", *(f"{one['scenario']}, n = {one['n']:,}" for one in cells)]
    rows = [[name, *(_per_cent(one["below"].get(name)) for one in cells)] for name in names]
    rows.append(["any star", *(_per_cent(one["any_after_holm"]) for one in cells)])
    least = min(one["simulations"] for one in cells)
    note = (
        f"{least} pairs per column, {record['resamples']} resamples: chance moves 5 by "
        f"{100 * (0.05 * 0.95 / least) ** 0.5:.1f} (a standard deviation)."
    )
    return "\n".join(["", *markdown.table(titles, rows), "", note, "", ""])


def slices_found() -> str:
    """False and found slices of `calibtool slices`, and stars of `evaluate --by`."""
    record = results_of("slices")
    titles = ["data", "rows", "shift", "--cluster", "data sets", "false", "found"]
    rows = [
        [
            one["data"],
            f"{one['n']:,}",
            f"{one['shift']:g}" if one["shift"] else "none",
            "user" if one["cluster"] else "",
            f"{one['simulations']}",
            _per_cent(one["false"]),
            _per_cent(one["found"]),
        ]
        for one in record["cells"]
    ]
    alike = ", ".join(
        f"{_per_cent(one['marked'])} % of {one['simulations']} data sets of {one['n']:,} rows"
        for one in record["alike"]
    )
    note = f"`evaluate --by` put a star on a slice, where six slices were all alike, in {alike}."
    below = [note, "", ""] if alike else ["", ""]
    return "\n".join(["", *markdown.table(titles, rows), "", *below])


def multicalibration() -> str:
    """fit-multicalibration beside mcgrad: share of the possible gain, worst slice, seconds."""
    record = results_of("multicalibration")
    titles = ["data", "rows", "NLL before", "gain", "gain, mcgrad", "worst before", "worst"]
    titles += ["worst, mcgrad", "seconds", "seconds, mcgrad"]
    rows = []
    for cell in record["cells"]:
        runs = cell["runs"]

        both = [[run[name] for run in runs] for name in ("ours", "mcgrad")]
        texts = [cell["data"], f"{cell['n']:,}", f"{_mean(runs, 'nll'):.4f}"]
        texts += [_gain(runs, after) for after in both] + [f"{_mean(runs, 'worst'):.1f}"]
        texts += [f"{_mean(after, 'worst'):.1f}" for after in both]
        rows.append([*texts, *(f"{_mean(after, 'seconds'):.1f}" for after in both)])
    null = record["alarms"]
    note = (
        f"Of {null['sets']} data sets of {null['n']:,} rows in which nothing is off, "
        f"{null['changed']} were changed; at worst, the NLL of fresh rows rose by "
        f"{null['largest']:.4f} nats."
    )
    return "\n".join(["", *markdown.table(titles, rows), "", note, "", ""])


def _mean(runs: list[dict[str, Any]], key: str) -> float:
    return sum(run[key] for run in runs) / len(runs)


def _gain(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    """How much of the NLL that the truth would save was saved; in nats where that is not known."""
    saved = sum(a["nll"] - b["nll"] for a, b in zip(before, after, strict=True))
    most = sum(run["nll"] - run.get("truth", run["nll"]) for run in before)
    # where nothing is off, there is nothing to save
    return f"{100 * saved / most:.0f} %" if most > 1e-9 else f"{saved / len(before):.4f} nats"


def set_coverage() -> str:
    """Coverage of prediction sets, beside what they promise."""
    titles = ["data", "method", "rows", "coverage", "expected", "in the range"]
    titles += ["worst class", "size"]
    rows = [
        [
            one["data"],
            _sets(one),
            f"{one['n']:,}",
            f"{100 * one['coverage']:.2f} ± {100 * one['error']:.2f}",
            f"{100 * one['expected']:.2f}",
            "" if one["inside"] is None else _per_cent(one["inside"]),
            _per_cent(one["worst"]),
            f"{one['size']:.2f}",
        ]
        for one in results_of("set_coverage")["cells"]
    ]
    return "\n".join(["", *markdown.table(titles, rows), "", ""])


def sets_real() -> str:
    """Prediction sets on published logits."""
    titles = ["data", "method", "coverage", "size", "empty", "single", "worst class"]
    rows = [
        [
            one["data"].replace("_", ", "),
            _sets(one),
            _per_cent(one["coverage"]),
            f"{one['size']:.2f}",
            *(_per_cent(one[name]) for name in ("empty", "single", "worst")),
        ]
        for one in results_of("set_coverage")["real"]
    ]
    return "\n".join(["", *markdown.table(titles, rows), "", ""])


def _sets(one: dict[str, Any]) -> str:
    """Return the method of prediction sets."""
    drawn = one["randomized"] or one["method"] == "lac"
    each = ", per class" if one.get("per_class") else ""
    return f"{one['method'].upper()}{'' if drawn else ', deterministic'}{each}"


def clusters() -> str:
    """Coverage of dependent rows, without --cluster and with it."""
    cells = results_of("clusters")["cells"]
    places = list(dict.fromkeys((c["scenario"], c["rows"], c["rows_a_cluster"]) for c in cells))
    names = list(dict.fromkeys(c["metric"] for c in cells))
    found = {(c["metric"], c["scenario"], c["rows"], c["rows_a_cluster"]): c for c in cells}
    titles = ["metric"]
    titles += [f"{scenario}, {n // size} x {size} rows" for scenario, n, size in places]
    rows = []
    for name in names:
        own = [found.get((name, *place)) for place in places]
        shares = [(100 * c["rows_alone"], 100 * c["clusters"]) if c else None for c in own]
        rows.append([name, *(f"{pair[0]:.0f} / {pair[1]:.0f}" if pair else "" for pair in shares)])
    least = min(c["simulations"] for c in cells)
    error = 100 * (0.95 * 0.05 / least) ** 0.5
    note = (
        f"{least} data sets per column: chance moves 95 by {error:.1f} (a standard deviation), "
        "and the metrics of a column together."
    )
    return "\n".join(["", *markdown.table(titles, rows), "", note, "", ""])


def cells_coverage() -> str:
    """How often intervals from cells contain the truth."""
    record = results_of("cells_coverage")
    names = list(record["rows"][0]["covered"])
    rows = [
        [row["scenario"], f"{row['n']:,}", *(_per_cent(row["covered"][name]) for name in names)]
        for row in record["rows"]
    ]
    spread = 100 * (0.95 * 0.05 / record["simulations"]) ** 0.5
    note = (
        f"Per cent of {record['simulations']} data sets whose 95 % interval from cells contains "
        f"the truth (chance moves 95 by {spread:.1f}, a standard deviation); measured on "
        f"{record['date']} by `benchmarks/cells_coverage.py`."
    )
    table = markdown.table(("population", "rows", *names), rows)
    return "\n".join(["", *table, "", note, "", ""])


def scale() -> str:
    """Many rows beside yardsticks of the same run."""
    record = results_of("scale")
    return "\n".join(["", _rows(record["rows"]), "", _made(record["made_with"]), "", ""])


def cluster() -> str:
    """Dask beside threads as measured, and what 1e12 rows need on paper."""
    found = results_of("cluster")
    took, rows = found["seconds"], found["rows"]
    measured = [
        [name.replace(":", " "), f"{took[name]:.2f}", f"{1e9 * took[name] / rows:.0f}"]
        for name in ("threads:1", "threads:2", "local:1", "local:2")
    ]
    sizes = {name: _of_state(found[name]) for name in ("state", "state_of_cells")}
    titles = [
        "workers",
        "reading",
        "tasks",
        "handing them out",
        "slower",
        "rows per task to keep up",
    ]
    paper, facts = _on_paper(found)
    return CLUSTER.format(
        measured="\n".join(markdown.table(["", "s", "ns per row"], measured)),
        paper="\n".join(markdown.table(titles, paper)),
        start=f"{found['start_seconds']['local:2']:.0f}",
        ratio=f"{found['ratio_local2_threads2']:.2f}",
        **{**found, "rows": f"{rows:,}", **sizes, **facts},
    )


CLUSTER = """
{measured}

Measured on {cores} cores with a load of {load:.1f}, including the work of others: {rows} rows of
two columns (p, clicked) in parquet from the page cache, `ece,ada-ece,nll,brier`, as medians of
alternating rounds. All gave the same bits. Two processes of Dask took {ratio} times as long as two
threads (the median of the rounds' ratios), and {start} s more to start.

A summary for these metrics has {state}. The default layout of `calibtool cells` has
{state_of_cells}. The scheduler handed out {tasks_a_second:,} empty tasks per second.

On paper, 1e12 rows are {parts} parts of {part_rows:,} rows, added {width} at a time in {levels}
levels. Nobody has run this. Disks and networks would have to deliver {speed} million rows per
second and worker.

{paper}

The command receives sums of up to {batch} parts: {states} summaries, {gigabytes} GB, and {adding} s
of adding in total. That is not the limit. The scheduler is: tasks of {width} parts keep {full}
workers busy. With more workers, use larger row groups, because a part is at least one row group
(the last column says how many rows a task needs). Or use several schedulers, each with some of the
days, with `calibtool cells` and `calibtool merge`.

"""


def _of_state(found: dict[str, float]) -> str:
    file, wire = found["file_bytes"] / 1e3, found["wire_bytes"] / 1e3
    sizes = f"{file:,.0f} kB in a file and {wire:,.0f} kB between processes"
    return f"{sizes}, and one `+` takes {found['add_ms']:.2f} ms"


def _on_paper(found: dict[str, Any]) -> tuple[list[list[str]], dict[str, str]]:
    """1e12 rows by workers, from what was measured of one."""
    many, width, batch, rate = 1e12, found["width"], 512, found["tasks_a_second"]
    parts, speed = many / found["part_rows"], found["rows"] / found["seconds"]["local:1"]
    table = []
    for workers in (10, 100, 1_000, 10_000):
        own = width if parts / (64 * workers) >= width else 1
        tasks = parts / own * width / (width - 1)  # with those that add up
        reading, handing = many / speed / workers, tasks / rate
        slower = "reading" if reading > handing else "the scheduler"
        needed = workers * speed / rate * width / (width - 1) / 1e6
        row = [f"{workers:,}", _time(reading), f"{tasks:,.0f}", _time(handing), slower]
        table.append([*row, f"{needed:,.1f} million"])
    states = parts / batch
    return table, {
        "parts": f"{parts:,.0f}",
        "levels": f"{math.ceil(math.log(parts, width))}",
        "speed": f"{speed / 1e6:.0f}",
        "batch": f"{batch}",
        "states": f"{states:,.0f}",
        "gigabytes": f"{states * found['state']['wire_bytes'] / 1e9:.1f}",
        "adding": f"{states * found['state']['add_ms'] / 1e3:.1f}",
        "full": f"{rate * (width - 1) * found['part_rows'] / speed:,.0f}",
    }


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


WATCHERS = {
    "change 0.05": "monitor, 0.05",
    "change 0.01": "0.01",
    "calibrated 0.05": "--against calibrated, 0.05",
    "calibrated 0.01": "0.01",
    "naive": "Hosmer-Lemeshow daily",
    "naive_first": "first day, daily",
}


def monitor_null() -> str:
    """How many streams without a change ever raised an alarm."""
    record = results_of("monitor")
    cells = [one for one in record["cells"] if one["kind"] == "null"]
    titles = ["stream", "rows a day", "streams", *WATCHERS.values()]
    rows = [
        [
            one["stream"],
            f"{one['rows']:,}",
            f"{one['streams']:,}",
            *(_per_cent(one["alarmed"].get(name)) for name in WATCHERS),
        ]
        for one in cells
    ]
    note = (
        "The daily tests watch the first 100 streams of a line. Made by `benchmarks/monitor.py` "
        f"on {record['made_with']['date']}."
    )
    return "\n".join(["", *markdown.table(titles, rows), "", note, "", ""])


def monitor_delay() -> str:
    """How soon a change was found, beside the test that there was before."""
    record = results_of("monitor")
    cells = [one for one in record["cells"] if one["kind"] == "change"]
    names = {
        "change 0.05": "monitor",
        "old change 0.05": "before",
        "calibrated 0.05": "--against calibrated",
        "old calibrated 0.05": "before",
    }

    def cell(found: dict[str, Any]) -> list[str]:
        delay = "more" if found["delay"] is None else f"{found['delay']:g}"
        return [delay, f"{100 * found['soon'] / max(1 - found['false'], 1e-9):.0f} %"]

    soon = f"within {record['soon']}"
    titles = ["change", "rows a day", *(t for name in names.values() for t in (name, soon))]
    rows = [
        [one["stream"], f"{one['rows']:,}", *(text for name in names for text in cell(one[name]))]
        for one in cells
    ]
    ours, theirs = ({one[name]["streams"] for one in cells} for name in list(names)[:2])
    note = (
        f"{min(ours)} to {max(ours)} streams per line, {max(theirs)} of them with the earlier test "
        "(the spread of a share of 60 is at most 6 percentage points)."
    )
    return "\n".join(["", *markdown.table(titles, rows), "", note, "", ""])


def house() -> str:
    """The packages, by their imports."""
    return f"\n```text\n{layers.picture()}\n```\n\n"


MADE = {
    "arena": arena,
    "beside": beside,
    "beside_all": beside_all,
    "beside_names": beside_names,
    "choice": choice,
    "classes": many_classes,
    "commands": in_memory,
    "cells_coverage": cells_coverage,
    "calibrators": calibrators,
    "cluster": cluster,
    "clusters": clusters,
    "compare_null": compare_null,
    "conventions": conventions,
    "focal": focal,
    "focal_shift": focal_shift,
    "gate_alarms": gate_alarms,
    "gate_edges": gate_edges,
    "gate_found": gate_found,
    "gate_power": gate_power,
    "guarantees": guarantees,
    "house": house,
    "loss_cost": loss_cost,
    "loss_speed": loss_speed,
    "losses": losses,
    "passes": passes,
    "many_rows": many_rows,
    "monitor_delay": monitor_delay,
    "monitor_null": monitor_null,
    "not_met": not_met,
    "quality": quality,
    "real": real,
    "scale": scale,
    "set_coverage": set_coverage,
    "sets_real": sets_real,
    "slices_found": slices_found,
    "multicalibration": multicalibration,
}


def speed() -> str:
    """docs/evidence/speed.md: what the scripts of benchmarks/ measured last."""
    main_, free, fits = map(results_of, ("speed", "binning_free", "calibrators"))
    return SPEED.format(
        table=_rows(main_["rows"]),
        made=_made(main_["made_with"]),
        free=_rows(free["rows"]),
        free_made=_made(free["made_with"]),
        fits=_rows(fits["speed"]),
        fits_made=_made(fits["speed_made_with"]),
    )


def _rows(found: list[dict[str, Any]]) -> str:
    rows = []
    for row in found:
        ours, theirs = row["ours"], row["theirs"]
        if ours is None:  # a peer that was not installed
            continue
        unit = row["unit"]
        digits = ".0f" if unit == "MB" else ".3f"
        times = f"{theirs / ours:.1f}x" if theirs and "numpy" not in row["yardstick"] else ""
        if theirs and not times:
            times = f"1/{ours / theirs:.1f}"
        met = {True: "yes", False: "no", None: ""}[row["met"]]
        beside = f"{theirs:{digits}} {unit}" if theirs else ""
        cells = [row["what"], f"{ours:{digits}} {unit}", row["yardstick"], beside, times]
        rows.append([*cells, row["target"], met, row["note"]])
    titles = ("what", "calibtool", "beside", "its time", "ratio", "target", "met", "note")
    cells = [[c.replace("`", "") for c in row] for row in rows]
    return "\n".join(markdown.table(titles, cells, words=True))


def _made(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"Run on {about['date']}: {about['cores']} shared cores, load {about['load_at_start']} at "
        f"the start, Python {about['python']}, {versions}."
    )

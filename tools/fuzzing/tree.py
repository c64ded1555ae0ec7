"""Nearly right commands, made from the tree of commands: every command, every option."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from random import Random

import click

from calibtool.cli.files import Input
from calibtool.cli.main import group
from fuzzing.hostile import TEXTS
from fuzzing.seeds import GOOD

# options that reach for what is not on this machine, or run for long because they are told to
NEVER = {
    *("--dask", "--log-to", "--model-name", "--model-card", "--help", "--sweep", "--device"),
    *("--threads", "--epochs", "--seeds", "--gamma-search", "--gamma-folds", "--config"),
}
# commands that take a tenth of a second or more, and are tried less often
SLOW = {"plot": 0.06, "report": 0.2, "select": 0.2, "compare": 0.4, "train": 0.0, "predict": 0.0}
FILES = {"file", "files", "pattern"}
# option that names a file -> files that suit it; others suit predictions
SUITED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("calibrator", "calibrators", "after"),
        (f"{GOOD}/multi-calibrator.json", f"{GOOD}/two-calibrator.json"),
    ),
    "threshold": (f"{GOOD}/multi-threshold.json", f"{GOOD}/two-threshold.json"),
    "sets": (f"{GOOD}/multi-sets.json", f"{GOOD}/two-sets.json"),
    "cost": (f"{GOOD}/multi-costs.toml", f"{GOOD}/two-costs.toml"),
    "baseline": (f"{GOOD}/multi.json", f"{GOOD}/two.json"),
    "labels_file": (f"{GOOD}/labels.npy",),
}
# arguments and required options that are no files of predictions
REQUIRED: dict[str, tuple[str, ...]] = {
    "calibrator": SUITED["calibrator"],
    "document": (
        *SUITED["calibrator"],
        *SUITED["threshold"],
        *SUITED["sets"],
    ),
    "sets": SUITED["sets"],
    "names": ("ece", "nll", "focal", "zzz", ""),
    "over": ("country", "day", "age", "label"),
    "require": ("ece <= 0.5", "nll <= 3"),
}
# command -> suffix of its output; a report in text, where none is named
OUTPUTS = {
    **dict.fromkeys(("cells", "merge"), ".cells"),
    **dict.fromkeys(("select", "fit", "sets", "threshold"), ".json"),
    "report": ".html",
    "apply": ".npz",
    "plot": ".svg",
}
EXPORTS = {"onnx": ".onnx", "python": ".py", "c": ".h"}
# the first few of a pool are right
INTEGERS = ("5", "2", "20", "0", "1", "-1", "1000000000000", "9" * 30, "1e3", "x", "", "01")
DECIMALS = (
    *("0.5", "0.9", "0.1", "0", "1", "-1", "nan", "inf", "1e400", "0.9999999999999999", "5e-324"),
    "x",
)
RESAMPLES = ("20", "10", "50", "0", "1", "-1", "1000000000000", "9" * 30, "1e12")
SPECS = (
    *("ece", "nll,brier", "ece(bins=3)", "ece(bins=0)", "ece(bins=1e12)", "ece(norm=l2)", "zzz"),
    *("ece(", "ece(bins=5,bins=6)", "default", "all,", ",", "ece(view=positive)", "(" * 3000),
    *("nll(resamples=0)", "x" * 100_000, "ece(bins=nan)", "murphy", "auroc,auroc"),
    *("calibration-lp(p=2)", "calibration-lp(p=3)", "calibration-lp(view=positive,side=under)"),
)
TEXTUAL: dict[str, tuple[str, ...]] = {
    "metrics": SPECS,
    "target": (
        *("risk <= 0.5", "accuracy >= 40 %", "recall >= 0.5", "precision >= 0.5", "npv >= 0.5"),
        *("cost <= 0.5", "risk <= 1e-9", "risk <= 2", "accuracy", "zzz >= 1", "risk <= nan", ""),
    ),
    "names": ("A", "a & b_%#", "", "\x1b[2J", "\\input{x}", "x" * 100_000),
    "tests": ("cox", "spiegelhalter", "hosmer-lemeshow", "zzz", "", "cox,cox"),
    "filter": (
        *(
            "score > 0.5",
            "label = 1",
            "age >= 18",
            "age > " + "9" * 350,
            "label in (" + "1," * 3000 + "1)",
            "score",
            "(",
        ),
        *("not " * 3000 + "label = 1", "score > 0.5 and " * 500 + "label = 1", "zzz = 1", ""),
        *("country = 'PL", "label = '1'", "day > '2026-11-02'", "score > nan", "x" * 100_000),
    ),
    "require": (
        *(
            "ece <= 0.5",
            "nll <= 3",
            "ece <= 0.5 by country",
            "nll <= -1",
            "ece <= nan",
            "ece <= 1e400",
            "ece",
            "zzz <= 1",
            "(" * 3000,
        ),
        *("worst(ece by country) <= 0.1", "p(cox) >= 0.01", "ece <= 5 %", "delta(ece) <= 0"),
    ),
    "methods": ("platt,isotonic", "temperature", "beta", "zzz", "", "platt,platt", "all"),
    "classes": ("a,b", "a,b,c", "a,a", "", "," * 5, "\x1b,b"),
    "target_prior": ("0.5,0.5", "0,1", "nan,1", "1", "0.2,0.3,0.5", "x", "-1,2"),
    "undersampled": ("0.1", "1", "0", "nan", "x"),
    "subsample": ("50", "1", "0", "-1", "x"),
    "since": ("2026-11-02", "x", "9999-99-99"),
    "ignore": ("0", "255", "1,2", "0,0", "-1", "x", "", "9" * 30, "1.5", "nan"),
    "name": ("calibrate", "f", "exp", "class", "é", "9", ""),
    "background": ("0", "1", "-1", "zzz", "", "9" * 30),
    "soft_labels": ("votes", "prob", "label", "logits", "score", "", "zzz"),
    "library": ("torchmetrics", "scikit-learn", "netcal", "zzz", ""),
    "select": ("temperature", "none", "platt,isotonic", "all", "zzz", "", ","),
    "thresholds": ("0.05-0.3", "0-1", "0.5-0.5", "0.3-0.05", "-1-2", "nan-1", "x", "", "0.1"),
    "width": ("3.25in", "82mm", "200pt", "0in", "-1in", "1e9in", "nanin", "x", ""),
    "height": ("4in", "90mm", "0in", "1e9in", "nanin", "x", ""),
    "rename": ("Confidence=Konfidenz", "Accuracy=", "x=y", "=", "Confidence", "", "\x1b=b"),
    "reference": ("case", "case.npz", "0", "1", "multi", "zzz", ""),
    "reader": ("csv", "json-lines", "npz", "parquet", "zzz", ""),
    "options": ("A,B,C,D", "a,b", "0,1", "", "A,A", ",", "\x1b,b"),
    **dict.fromkeys(("question", "scorer", "split"), ("label", "test", "accuracy", "", "zzz")),
    **dict.fromkeys(("title", "caption"), TEXTS),
    "output_name": ("logits", "zzz", ""),
    "data": ("out.csv", "out.json", "-", "", "out.zzz", "good", "case.npz"),
    "output": ("out.txt", "out.csv", "-", "", "nowhere/out.txt", "good", "case.npz"),
    "plot": ("out.svg", "out.zzz"),
    "figure": ("out.svg", "out.zzz"),
    "init": ("out.toml", "good/check.toml"),
}
RIGHT = 3  # values at the beginning of a pool that are right
# options that name a column of the file, which part it plays, and a file beside it
ROLES = {
    *("weights", "labels", "score", "logits", "probs", "confidence", "correct", "predictions"),
    *("classes", "labels_file"),
}
COLUMN = {*ROLES, "by", "cluster", "group", "id", "time", "columns", "every"}
NAMES = ("country", "age", "day", "label", "score", "user", "predicted", "confidence", "zzz", "")
FILES_GOOD = (
    *("multi.npz", "two.npz", "table.parquet") * 2,
    *("conf.npz", "days.parquet", "multi.cells", "tags.parquet", "scenes.npz", "votes.npz"),
)
# good file -> options without which it is not read as what it is
TOLD = {f"{GOOD}/votes.npz": ("--soft-labels votes",)}
FILES_BESIDE = tuple(
    f"{GOOD}/{name}"
    for name in (
        *("multi.npz", "two.npz", "conf.npz", "table.parquet", "days.parquet", "labels.npy"),
        *("multi.cells", "two.state", "multi.json", "check.toml", "multi-calibrator.json"),
        *("multi-sets.json", "multi-threshold.json", "multi-costs.toml", "tags.parquet"),
    )
)


@cache
def leaves() -> dict[str, click.Command]:
    """Return every command that can be called, by the words that call it."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            inner = click.Context(command)
            for word in command.list_commands(inner):
                leaf = command.get_command(inner, word)
                assert leaf is not None
                found[f"{name} {word}"] = leaf
        elif command is not None:
            found[name] = command
    return found


def weights() -> dict[str, float]:
    """Return how often each command is tried; 0 for those that another kind of case tries."""
    return {name: SLOW.get(name.partition(" ")[0], 1.0) for name in leaves()}


def structured(
    rng: Random, file: str, out: str, *, most: int = 2, told: Sequence[str] = ("",)
) -> list[str]:
    """Return a command with `file` as input and up to `most` options of any value.

    Args:
        rng, file, out: state of randomness, input, and what names of outputs begin with.
        most: options at most, besides those that a command needs.
        told: what the file may need to be told to be read as what it is.
    """
    table = weights()
    (name,) = rng.choices(list(table), list(table.values()))
    command = leaves()[name]
    options = [p for p in command.get_params(click.Context(command)) if is_tried(p)]
    argv = name.split()
    for parameter in options:
        if isinstance(parameter, click.Argument) or parameter.required:
            argv += _required(rng, argv, parameter, file, out)
    free = [p for p in options if isinstance(p, click.Option) and not p.required]
    if rng.random() < 0.7:  # the names that files here use need no role
        free = [option for option in free if option.name not in ROLES]
    if file.endswith(".npz") and rng.random() < 0.9:  # which no condition works on
        free = [option for option in free if option.name != "filter"]
    chosen = rng.sample(free, min(len(free), rng.randrange(most + 1)))
    for option in chosen:
        argv += _option(rng, argv, option, out)
    given = {option.name for option in chosen}
    if any(option.name == "multilabel" for option in options):
        argv += rng.choice(told).split()
    if any(p.name == "resamples" for p in free) and "resamples" not in given:
        argv += ["--resamples", "20"]
    if name.startswith("fit-") and not given & {"ci", "output"}:
        argv += ["--ci", "none", "-o", f"{out}.json"]
    if name.startswith("plot") and "output" not in given:
        argv += ["-o", f"{out}.svg"]
    if name == "check" and not given & {"require", "init"}:
        argv += ["--require", rng.choice(TEXTUAL["require"])]
    return argv


def is_tried(parameter: click.Parameter) -> bool:
    """Return whether a parameter is given values."""
    return not NEVER & {*parameter.opts, *parameter.secondary_opts}


def _required(
    rng: Random, argv: list[str], parameter: click.Parameter, file: str, out: str
) -> list[str]:
    """Return what an argument, or an option that must be given, needs at least."""
    key = str(parameter.name)
    if isinstance(parameter, click.Argument):
        if key in FILES:
            more = [rng.choice(FILES_BESIDE)] if parameter.nargs == -1 else []
            return [file, *more]
        return [rng.choice(REQUIRED[key])] if key in REQUIRED else [out]
    if isinstance(parameter.type, click.Choice):
        return [parameter.opts[-1], str(rng.choice(list(parameter.type.choices)))]
    if key == "output":
        return [parameter.opts[-1], _output(argv, out)]
    return [parameter.opts[-1], rng.choice(REQUIRED[key])]


def _option(rng: Random, argv: list[str], option: click.Option, out: str) -> list[str]:
    """Return an option with a value that is right as often as not."""
    flag, key = option.opts[-1], str(option.name)
    if option.is_flag:
        return [flag]
    if key == "output" and rng.random() < 0.7:
        return [flag, _output(argv, out)]
    if isinstance(option.type, click.Choice) and rng.random() < 0.9:
        return [flag, str(rng.choice(list(option.type.choices)))]
    pool = pool_of(option) or (*TEXTS[:6], *DECIMALS)
    return [flag, rng.choice(pool[:RIGHT] if rng.random() < 0.85 else pool)]


def _output(argv: list[str], out: str) -> str:
    """Return a name for the output of a command, with a suffix that it takes."""
    if argv[0] == "export":
        return out + next((EXPORTS[token] for token in argv if token in EXPORTS), ".py")
    return out + OUTPUTS.get(re.split("-", argv[0], maxsplit=1)[0], ".txt")


def pool_of(option: click.Option) -> tuple[str, ...]:
    """Return the values that are tried for an option that takes any text; () for none."""
    key, kind = str(option.name), option.type.name
    if key == "resamples":
        return RESAMPLES
    if isinstance(option.type, Input) or key == "state":
        return (*SUITED.get(key, FILES_BESIDE[:RIGHT]), *FILES_BESIDE)
    if "int" in kind or "float" in kind:
        return INTEGERS if "int" in kind else DECIMALS
    return TEXTUAL.get(key, NAMES if key in COLUMN else ())

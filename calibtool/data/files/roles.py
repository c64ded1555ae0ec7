"""Roles: what each column is read as, by the user's option or its name, never by its values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from calibtool.data.files.reader import UNKNOWN, Column, Reader
from calibtool.data.predictions import Kind
from calibtool.errors import InputError, NoScoresError, UsageError

# role -> column names that have it, in lower case; of several in a file, the first one here is read
ALIASES: dict[str, tuple[str, ...]] = {
    "logits": ("logits", "logit", "log_probs", "log_prob", "logprobs", "log_probabilities"),
    "probs": (
        *("probs", "prob", "probabilities", "probability", "proba", "probas"),
        *("y_prob", "softmax", "posteriors"),
    ),
    "score": ("score", "scores"),
    "labels": ("labels", "label", "y", "y_true", "targets", "target", "true_labels", "label_ids"),
    "confidence": ("confidence", "confidences", "conf"),
    "correct": ("correct", "is_correct", "hit", "hits"),
    "predictions": ("predictions", "prediction", "predicted", "preds", "pred", "y_pred"),
    "weights": ("weights", "weight", "sample_weight", "sample_weights"),
    "classes": ("classes", "class_names", "label_names"),
}
SCORES = ("logits", "probs", "score", "confidence")  # the roles of what is measured
# role -> names of one column per class: logit_0, prob_cat, p.3
_PER_CLASS = {
    role: re.compile(rf"(?:{names})[_.](.+)", re.IGNORECASE | re.DOTALL)
    for role, names in {
        "logits": "logits?|log_?probs?",
        "probs": "probs?|probas?|probabilit(?:y|ies)|p",
    }.items()
}
_NUMBERED = re.compile(r"\d$")  # a column whose class has a number, and no name
_NUMBER = re.compile(r"\d{1,9}")  # of a column per class; more digits, or other signs, are a name


# what a column of a role may hold, by its family, and what a message says was expected; a text that
# should be a number is refused where it is read, by its row
_NUMBERS = ({"numbers", "text", UNKNOWN}, "a number per row")
_ROWS = ({*_NUMBERS[0], "lists of numbers"}, "a number, or a list of numbers, per row")
_NAMES = ({"numbers", "text", UNKNOWN}, "a class id or name per row")
_LABELS = ({*_NAMES[0], "lists of numbers"}, "a class id or name, or a one-hot list, per row")


@dataclass(frozen=True)
class Choice:
    """The options of reading a file; None and () leave a role to the columns' names.

    Attributes:
        logits, probs: a 2-d column, a list of columns "a,b,c", or the common prefix of one column
            per class.
        score, labels, confidence, correct, predictions, weights: one column each.
        labels_file: a file that holds the labels.
        classes: the class names, in the order of the columns.
        renormalize: whether rows of probabilities may sum to something other than 1.
        filter: a condition on the rows.
        skip_bad_files: whether files that cannot be read are left out.
        max_unpacked: to how many GB the compressed arrays of an npz file may unpack.
        reader: the name of the format; None to tell it by suffix and content.
        split: the split of a data set that has several.
        id: the column by which rows are joined to those of `labels_file`.
        join: "inner" to leave out rows that have no partner in `labels_file`; "" to refuse them.
        scale: what scores and confidences are divided by: 100 for percentages.
        drop_missing: whether rows without a value or a label are left out.
        skip_bad_rows: whether lines that cannot be read are left out.
        norm: what log-likelihoods of choices are divided by: "none", "chars", "bytes",
            "mutual-info".
        scorer: the scorer of an Inspect log.
        options: the answers that a language model could give, such as letters.
        question: the question of a log of decisions.
        multilabel: whether a row holds several labels, each with a probability of its own.
        layout: which axis holds the classes of scores of more than two dimensions:
            "channels-first" or "channels-last".
        ignore: labels that mark what is not to be measured.
        ordinal: whether the classes are levels, whose numbers are their names.
        soft_labels: columns, or one of lists, that hold a distribution, or votes, over the classes.
        cut_points: whether each row of K levels is read as K - 1 statements, "at most level k".
    """

    logits: str | None = None
    probs: str | None = None
    score: str | None = None
    labels: str | None = None
    labels_file: str | None = None
    confidence: str | None = None
    correct: str | None = None
    predictions: str | None = None
    weights: str | None = None
    classes: tuple[str, ...] = ()
    renormalize: bool = False
    filter: str | None = None
    skip_bad_files: bool = False
    max_unpacked: float | None = None
    reader: str | None = None
    split: str | None = None
    id: str | None = None
    join: str = ""
    scale: float | None = None
    drop_missing: bool = False
    skip_bad_rows: bool = False
    norm: str | None = None
    scorer: str | None = None
    options: tuple[str, ...] = ()
    question: str | None = None
    multilabel: bool = False
    layout: str | None = None
    ignore: tuple[int, ...] = ()
    ordinal: bool = False
    cut_points: bool = False
    soft_labels: str | None = None


@dataclass(frozen=True)
class Roles:
    """The columns that are read, by their role.

    Attributes:
        kind: what `values` holds.
        values: one column, or one column per class.
        labels: the labels; with confidences, only together with `predictions`.
        correct: whether a prediction was right; only with confidences.
        predictions: the predicted class; only with confidences.
        weights: the weight of a row.
        class_names: from the user, the file or the columns' names; None if unknown.
    """

    kind: Kind
    values: tuple[str, ...]
    labels: str | None = None
    correct: str | None = None
    predictions: str | None = None
    weights: str | None = None
    class_names: tuple[str, ...] | None = None

    def columns(self) -> list[str]:
        """Return every column to read, each once."""
        singles = (self.labels, self.correct, self.predictions, self.weights)
        return list(dict.fromkeys([*self.values, *(name for name in singles if name)]))


def has_role(name: str) -> bool:
    """Return whether a column of this name would be given a role by its name."""
    return any(name.lower() in names for names in ALIASES.values()) or any(
        pattern.fullmatch(name) for pattern in _PER_CLASS.values()
    )


def resolve(
    table: Reader, choice: Choice, *, need_labels: bool = True, apart: Collection[str] = ()
) -> Roles:
    """Return the roles of a table's columns, but of those `apart`.

    Raises InputError for a role that no column has and for a column that cannot have its role,
    UsageError for options that exclude each other.
    """
    columns = {name: column for name, column in table.columns.items() if name not in apart}
    kind, values, suffixes = values_of(table.source, columns, choice)
    weights = named(table.source, columns, "weights", choice.weights)
    labels = None
    if not choice.labels_file:
        labels = named(table.source, columns, "labels", choice.labels)
    if kind == "confidence":
        correct = named(table.source, columns, "correct", choice.correct)
        predictions = named(table.source, columns, "predictions", choice.predictions)
        both = predictions and (labels or choice.labels_file)
        if correct or not (need_labels or both or choice.labels_file):
            return _typed(table, Roles(kind, values, correct=correct, weights=weights))
        if both:
            return _typed(
                table,
                Roles(kind, values, labels=labels, predictions=predictions, weights=weights),
            )
        raise InputError(
            f"{table.source}: {values[0]} needs a column 'correct' (0 or 1), or 'predictions' and "
            f"'labels', beside it (--correct KEY); {_listing(columns)}"
        )
    if need_labels and not labels and not choice.labels_file:
        raise InputError(
            f"{table.source}: found no labels; name them with --labels KEY or "
            f"--labels-file FILE.npy; {_listing(columns)}"
        )
    roles = _typed(table, Roles(kind, values, labels=labels, weights=weights))
    width = len(values) if len(values) > 1 else columns[values[0]].width
    names = _class_names(table, choice, labels, suffixes, 2 if width == 1 else width)
    if names is None and len(values) > 1:  # columns that are called by their classes
        words = labels is not None and columns[labels].family == "text"
        names = values if words or not all(map(_NUMBERED.search, values)) else None
    return replace(roles, class_names=names)


def _typed(table: Reader, roles: Roles) -> Roles:
    """Return the roles if each column is of a type that can have its role.

    Raises InputError.
    """
    if roles.kind == "confidence":
        _require_type(table, roles.values[0], roles.kind, *_NUMBERS)
    else:
        require_numbers(table, roles.values, roles.kind)
    if roles.labels:
        _require_type(table, roles.labels, "labels", *(_NAMES if roles.predictions else _LABELS))
    if roles.predictions:
        _require_type(table, roles.predictions, "predictions", *_NAMES)
    for role, number in (("correct", roles.correct), ("weights", roles.weights)):
        if number:
            _require_type(table, number, role, *_NUMBERS)
    return roles


def require_numbers(table: Reader, names: Sequence[str], role: str) -> None:
    """Raise InputError if a column cannot hold a number per row, or, alone, a list of them."""
    for name in names:
        _require_type(table, name, role, *(_ROWS if len(names) == 1 else _NUMBERS))


def single(columns: Mapping[str, Column], names: Iterable[str]) -> bool:
    """Return whether each of the columns can hold a number, or a name, per row."""
    return all(columns[name].family in _NAMES[0] for name in names)


def _require_type(
    table: Reader, name: str, role: str, families: Collection[str], expected: str
) -> None:
    column = table.columns[name]
    held = column.family
    if column.width == 1 and "lists of numbers" in families:  # a list of one value is that value
        held = held.removeprefix("lists of ")
    if held not in families:
        raise InputError(
            f"{table.source}: {name}: expected {expected}, found {column.type}; convert the "
            f"column, or name another one (--{role} KEY)"
        )


def values_of(
    source: str, columns: Mapping[str, Column], choice: Choice
) -> tuple[Kind, tuple[str, ...], tuple[str, ...] | None]:
    """Return kind, columns and, for one column per class, the names after the common prefix."""
    options = {
        "logits": choice.logits,
        "probs": choice.probs,
        "score": choice.score,
        "confidence": choice.confidence,
    }
    used = [name for name, key in options.items() if key is not None]
    if len(used) > 1:
        raise UsageError(f"--{used[0]} and --{used[1]} exclude each other; use one of them")
    if used:
        role = used[0]
        match = by_option(source, columns, role, str(options[role]), levels=choice.ordinal)
    else:
        by_name = {role: _by_name(source, columns, role, levels=choice.ordinal) for role in options}
        if by_name["logits"] and by_name["probs"]:
            raise InputError(
                f"{source}: has both logits ({by_name['logits'][0][0]}) and probabilities "
                f"({by_name['probs'][0][0]}); say which to read with --logits KEY or --probs KEY"
            )
        role = next((name for name, hit in by_name.items() if hit), "")
        if not role and (outputs := _outputs(columns)):
            role, by_name["logits"] = "logits", ((outputs,), None)
        if not role:
            raise NoScoresError(
                f"{source}: found no logits, probabilities, score or confidence by name; say which "
                f"with --logits, --probs, --score or --confidence KEY; {_listing(columns)}"
            )
        match = by_name[role] or ((), None)
    names, suffixes = match
    if role in ("score", "confidence") and columns[names[0]].nested:
        raise InputError(f"{source}: {names[0]} holds several values per row, expected one")
    kind: Kind = "probs" if role == "score" else role  # type: ignore[assignment]
    return kind, names, suffixes


def _outputs(columns: Mapping[str, Column]) -> str | None:
    """Return the column of a network's outputs that is called predictions, as the Trainer of
    Hugging Face calls them, beside labels called label_ids: rows of fractions, not of classes."""
    lower = {name.lower(): name for name in columns}
    name = lower.get("predictions")
    if name is None or "label_ids" not in lower or columns[name].family != "lists of numbers":
        return None
    # numpy calls them float32, Arrow float, double or halffloat
    return name if re.search("float|double", columns[name].type) else None


def by_option(
    source: str, columns: Mapping[str, Column], role: str, key: str, *, levels: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Return the columns that an option names: one, a list, or those of a prefix, then with what
    follows it. Raises InputError."""
    if key in columns:
        return (key,), None
    several = tuple(name.strip() for name in key.split(","))
    if len(several) > 1 and all(name in columns for name in several):
        return several, _named_classes(role, several)
    pattern = re.compile(re.escape(key) + r"[_.]?(.+)", re.DOTALL)
    match = None
    if key and role in _PER_CLASS:
        match = per_class(source, columns, pattern, levels=levels)
    if match:
        return match
    raise InputError(f"{source}: there is no {key!r}; {_listing(columns)}")


def _named_classes(role: str, columns: Sequence[str]) -> tuple[str, ...] | None:
    """Return the classes after which columns such as prob_cat are named, or None."""
    pattern = _PER_CLASS.get(role)
    names = [match[1] for name in columns if pattern and (match := pattern.fullmatch(name))]
    named = len(names) == len(columns) and not all(map(_NUMBER.fullmatch, names))
    return tuple(names) if named else None


def _by_name(
    source: str, columns: Mapping[str, Column], role: str, *, levels: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...] | None] | None:
    """Return the columns whose names tell the role, or None."""
    lower = {name.lower(): name for name in columns}
    for alias in ALIASES[role]:
        if alias in lower:
            return (lower[alias],), None
    pattern = _PER_CLASS.get(role)
    return per_class(source, columns, pattern, levels=levels) if pattern else None


def per_class(
    source: str,
    columns: Mapping[str, Column],
    pattern: re.Pattern[str],
    *,
    levels: bool = False,
) -> tuple[tuple[str, ...], tuple[str, ...] | None] | None:
    """Return one column per class: numbered 0 to K-1 (in any order), or named by class (in file
    order); None if fewer than two match. Numbers of `levels` may be any; they are names."""
    hits = {name: match[1] for name in columns if (match := pattern.fullmatch(name))}
    if len(hits) < 2:
        return None
    if all(_NUMBER.fullmatch(suffix) for suffix in hits.values()):
        ordered = sorted(hits, key=lambda name: int(hits[name]))
        numbers = [int(hits[name]) for name in ordered]
        if levels and len(set(numbers)) == len(numbers):
            return tuple(ordered), tuple(map(str, numbers))
        if numbers != list(range(len(numbers))):
            raise InputError(
                f"{source}: columns {ordered[0]} ... {ordered[-1]} are not numbered 0 to "
                f"{len(numbers) - 1} without gaps; "
                "name them in order with --logits or --probs A,B,C, or say --ordinal if these are "
                "the numbers of levels"
            )
        return tuple(ordered), None
    return tuple(hits), tuple(hits.values())


def named(source: str, columns: Mapping[str, Column], role: str, key: str | None) -> str | None:
    """Return the column of a role that a single column has, or None."""
    if key is None:
        match = _by_name(source, columns, role)
        return match[0][0] if match else None
    if key not in columns:
        raise InputError(f"{source}: there is no {key!r} (--{role}); {_listing(columns)}")
    return key


def _class_names(
    table: Reader,
    choice: Choice,
    labels: str | None,
    suffixes: tuple[str, ...] | None,
    width: int | None,
) -> tuple[str, ...] | None:
    """Return the names of the classes, or None; `width` is their number, if known."""
    given = tuple(choice.classes)
    if suffixes and given != suffixes and set(given) == set(suffixes):
        raise InputError(
            f"{table.source}: --classes has another order than the columns, which name "
            f"{', '.join(suffixes)}; leave out --classes, or list them in this order"
        )
    if given:
        return given
    key = named(table.source, table.columns, "classes", None)
    if key is not None and (width is None or table.columns[key].rows == width):
        _require_type(table, key, "classes", {"numbers", "text"}, "a name per row")
        return table.strings(key)
    if suffixes:
        return suffixes
    # the labels of a log may come from another file, its classes do not
    key = labels or ("labels" if choice.labels_file else None)
    return table.names_of(key) if key else None


def _listing(columns: Mapping[str, Column]) -> str:
    names = [f"{column.name} ({column.type})" for column in columns.values()]
    return "the file has " + ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")

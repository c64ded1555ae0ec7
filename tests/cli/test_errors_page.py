"""docs/help/errors.md: each message that it explains is one that the command line prints."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "help" / "errors.md"
MESSAGES = re.findall(r"^### `(.+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
PROBS = np.random.default_rng(0).dirichlet([1, 1, 1], 60)
LABELS = np.arange(60) % 3
FILES = {
    "ok.npz": {"probs": PROBS, "labels": LABELS},
    "both.npz": {"logits": PROBS, "probs": PROBS, "labels": LABELS},
    "objects.npz": {"logits": PROBS, "labels": LABELS.astype(object)},
    "sums.npz": {"probs": 0.9 * PROBS, "labels": LABELS},
    "nan.npz": {"probs": np.where(LABELS[:, None] == 1, np.nan, PROBS), "labels": LABELS},
    "from_1.npz": {"probs": PROBS, "labels": LABELS + 1},
    "unequal.npz": {"probs": PROBS, "labels": LABELS[:50]},
    "two_of_three.npz": {"probs": PROBS, "labels": LABELS % 2},
    "zeros.npz": {"probs": np.tile([0, 0.5, 0.5], (60, 1)), "labels": LABELS},
    "reversed.npz": {"probs": PROBS, "labels": LABELS[::-1]},
    "short.npz": {"probs": PROBS[:50], "labels": LABELS[:50]},
    "users.npz": {"probs": PROBS, "labels": LABELS, "user": LABELS},
    "four.npz": {"probs": np.full((60, 4), 0.25), "labels": LABELS},
    "separated.csv": "score,label\n" + 20 * "0.2,0\n0.8,1\n",
    "other.csv": "a,b\n1,2\n",
    "scores.csv": "score\n0.2\n",
    "logits.csv": "score,label\n1.4,1\n-0.3,0\n",
    "percent.csv": "confidence,correct\n80,1\n90,0\n",
    "confidences.csv": "confidence,correct\n" + 30 * "0.8,1\n0.9,0\n",
    "null.csv": "score,label\n0.4,1\n,0\n",
    "names.csv": "prob_0,prob_1,label\n0.4,0.6,cat\n0.3,0.7,dog\n",
    "gap.csv": "prob_0,prob_2,label\n0.4,0.6,1\n0.3,0.7,0\n",
    "empty.csv": "score,label\n",
    "text.xyz": "",
    "cut.npz": "PK",
}
COMMANDS = {
    "… no such file": "evaluate missing.npz",
    "unknown suffix … expected one of .npz, …": "evaluate text.xyz",
    "an object array, that is a pickle, which is never read": "evaluate objects.npz",
    "not a whole zip archive, which npz files are": "evaluate cut.npz",
    "… cannot be written: …": "fit temperature ok.npz -o none/fitted.json",
    "would replace it, which is read": "apply fitted.json ok.npz -o ok.npz",
    "found no logits, probabilities, score or confidence by name": "evaluate other.csv",
    "found no labels": "evaluate scores.csv",
    "has both logits … and probabilities": "evaluate both.npz",
    "… values lie outside [0, 1]": "evaluate logits.csv",
    "… confidences are above 1 … --scale 100": "evaluate percent.csv",
    "… rows do not sum to 1": "evaluate sums.npz",
    "… values are not finite": "evaluate nan.npz",
    "… is null": "evaluate null.csv",
    "… labels lie outside 0 to …": "evaluate from_1.npz",
    "… is not among the classes": "evaluate names.csv",
    "columns … are not numbered": "evaluate gap.csv",
    "arrays differ in length": "evaluate unequal.npz",
    "there are no rows; nothing can be measured": "evaluate empty.csv",
    "there is no metric …": "evaluate ok.npz --metrics ecee",
    "the positive view needs two classes": "evaluate ok.npz --metrics ece(view=positive)",
    "… clusters are too few for intervals": "evaluate users.npz --cluster user",
    "nothing is required": "check ok.npz",
    "… so this can never fail": "check ok.npz --require ece<=3",
    "… could not be computed on …": "check confidences.csv --require classwise-ece<=0.1",
    "positives and negatives are separated perfectly": "fit platt separated.csv -o a.json",
    "every row is right, so the likelihood increases as T falls to 0": (
        "fit temperature separated.csv -o a.json"
    ),
    "some rows give their label a probability of exactly 0": "fit temperature zeros.npz -o a.json",
    "there are no positives among …": "fit histogram two_of_three.npz -o a.json",
    "has … classes, the calibrator was fitted for …": "evaluate four.npz --calibrator fitted.json",
    "the calibrator was fitted on these rows": (
        "threshold ok.npz --target accuracy>=0.5 --calibrator fitted.json"
    ),
    "labels differ in … rows": "compare ok.npz reversed.npz",
    "only predictions on the same rows can be paired": "compare ok.npz short.npz",
    "there is no column …": "evaluate ok.npz --by team",
}


@pytest.fixture
def files(folder):
    """The files that the commands read."""
    for name, content in FILES.items():
        if isinstance(content, str):
            (folder / name).write_text(content)
        else:
            np.savez(folder / name, **content)


def test_the_page_explains_the_messages_of_this_table():
    assert sorted(MESSAGES) == sorted(COMMANDS)


@pytest.mark.parametrize("message", COMMANDS)
def test_a_command_prints_the_message(message, files, run):
    if "fitted.json" in COMMANDS[message]:
        assert run("fit", "temperature", "ok.npz", "-o", "fitted.json").code == 0
    result = run(*COMMANDS[message].split())
    assert result.code == 2
    # the dots of the page stand for names and numbers
    pattern = r"\S.*".join(re.escape(part.strip()) + r"\s*" for part in message.split("…"))
    assert re.search(pattern, " ".join(result.err.split())), result.err

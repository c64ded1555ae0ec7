"""Goldens of the peers' calibrators, and BBQ by its definition."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bbq_by_definition import bbq
from inputs import fit_inputs, places, sha256, softmax

import calibtool as ct
from calibtool.data.rows import to_probs

ARRAYS = fit_inputs()
FILES = sorted((Path(__file__).parents[1] / "goldens" / "fits").glob("*.json"))
NAMES = {
    "betacal",
    "netcal",
    "probmetrics",
    "scikit-learn",
    "torch_uncertainty",
    "uncertainty-calibration",
    "venn-abers",
}


def goldens(compare=None):
    for file in FILES:
        document = json.loads(file.read_text())
        for number, entry in enumerate(document["values"]):
            if entry["compare"] == compare or (compare is None and entry["compare"]):
                label = f"{file.stem}-{number}-{entry['input']}-{entry['method']}"
                yield pytest.param(document["sha256"], entry, id=label)


def columns(name):
    arrays = ARRAYS[name]
    at = places(arrays)
    if "labels" in arrays:
        probs = softmax(arrays["logits"])
        rows = at.pop("at_rows")
        return (
            arrays
            | at
            | {
                "probabilities": probs,
                "at_probabilities": probs[rows],
                "at_logits": arrays["logits"][rows],
            }
        )
    return arrays | at


def predictions(form, values, labels=None, weights=None):
    make = ct.Predictions.from_logits if form == "logits" else ct.Predictions.from_probs
    return make(values, labels, weights=weights)


def fitted(entry):
    """Our calibrator of a golden's input, and the predictions where it is looked at."""
    name, form = entry["input"], entry["form"]
    arrays = columns(name)
    labels = arrays["labels"] if "labels" in arrays else arrays["outcomes"]
    weights = arrays["weights"] if entry["weighted"] else None
    p = predictions(form, arrays[form], labels, weights)
    at = arrays[f"at_{form}"]
    at = at[1:-1] if "at_scores[1:-1]" in entry["call"] else at
    return ct.fit(entry["method"], p, **entry["options"]), predictions(form, at)


def probabilities(p):
    return to_probs(p).matrix()


def nll(scores, labels):
    """Mean NLL of softmax(scores)."""
    top = scores.max(axis=1)
    total = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    return float(np.mean(total - scores[np.arange(len(labels)), labels]))


def test_there_are_goldens_of_every_peer():
    assert {file.stem.rsplit("-", 1)[0] for file in FILES} == NAMES


@pytest.mark.parametrize(("hashes", "entry"), list(goldens()))
def test_inputs_are_what_the_peer_was_given(hashes, entry):
    name = entry["input"]
    assert {key: sha256(array) for key, array in ARRAYS[name].items()} == hashes[name]


@pytest.mark.parametrize(("hashes", "entry"), list(goldens("predictions")))
def test_predictions_agree_with_the_peers(hashes, entry):
    calibrator, at = fitted(entry)
    after = calibrator(at)
    ours = probabilities(after)
    ours = ours[:, 1] if np.ndim(entry["value"]) == 1 else ours
    np.testing.assert_allclose(ours, entry["value"], rtol=0, atol=entry["tolerance"])


@pytest.mark.parametrize(("hashes", "entry"), list(goldens("interval")))
def test_intervals_agree_with_the_peers(hashes, entry):
    calibrator, at = fitted(entry)
    low, high = calibrator.interval(at)
    ours = [low[:, 1], high[:, 1], probabilities(calibrator(at))[:, 1]]
    np.testing.assert_allclose(ours, entry["value"], rtol=0, atol=entry["tolerance"])


@pytest.mark.parametrize(("hashes", "entry"), list(goldens("each class")))
def test_one_against_the_rest_agrees_with_the_peers_who_do_not_renormalise(hashes, entry):
    calibrator, at = fitted(entry)
    theirs = np.array(entry["value"])
    theirs = theirs / theirs.sum(axis=1, keepdims=True)
    ours = probabilities(calibrator(at))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=entry["tolerance"])


@pytest.mark.parametrize(("hashes", "entry"), list(goldens("confidence")))
def test_confidences_agree_with_the_peers(hashes, entry):
    calibrator, at = fitted(entry)
    top = at.values.argmax(axis=1)
    ours = probabilities(calibrator(at))[np.arange(at.rows), top]
    np.testing.assert_allclose(ours, entry["value"], rtol=0, atol=entry["tolerance"])


@pytest.mark.parametrize(("hashes", "entry"), list(goldens("objective")))
def test_the_objective_is_no_higher_than_at_the_peers_parameters(hashes, entry):
    z, labels = ARRAYS[entry["input"]]["logits"], ARRAYS[entry["input"]]["labels"]
    classes = z.shape[1]
    if entry["method"] == "dirichlet":
        z = np.log(softmax(z))
    price, price_of_bias = (entry["options"].get(k, 0.0) for k in ("off_diagonal", "bias"))

    def objective(weight, bias):
        square = np.sum(weight**2) - np.sum(np.diag(weight) ** 2)
        penalty = price * square / (classes * (classes - 1)) + price_of_bias * np.mean(bias**2)
        return nll(z @ weight.T + bias, labels) + penalty

    theirs = np.array(entry["value"])
    weight = theirs[:classes] if len(theirs) > classes else np.diag(theirs[0])
    bias = theirs[classes] if len(theirs) > classes else np.zeros(classes)
    fitted_map = fitted(entry)[0].map
    fitted_weight = fitted_map.weight if fitted_map.weight.ndim == 2 else np.diag(fitted_map.weight)
    ahead = objective(weight, bias) - objective(fitted_weight, fitted_map.bias)
    assert ahead > -entry["tolerance"]


@pytest.mark.parametrize(("hashes", "entry"), [g for g in goldens() if "falling-beta" in g.id])
def test_where_scores_run_backwards_our_beta_curve_is_flat(hashes, entry):
    """Slopes are held at 0 (Kull et al. 2017, sec. 4); betacal's curve falls there."""
    calibrator, at = fitted(entry)
    assert np.ptp(probabilities(calibrator(at))[:, 1]) == 0
    order = np.argsort(at.values[:, 0])
    assert (np.diff(np.array(entry["value"])[order]) <= 0).all()
    assert np.ptp(entry["value"]) > 0.3


@pytest.mark.parametrize("rows", [200, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_bbq_is_its_definition(rows, seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    scores = rng.beta(1, 2, rows)
    outcomes = (rng.random(rows) < scores**2).astype(int)
    calibrator = ct.fit("bbq", ct.Predictions.from_probs(scores, outcomes))
    at = np.concatenate([rng.random(200), scores[:50], [0.0, 1.0]])
    ours = calibrator(ct.Predictions.from_probs(at, None)).values[:, 0]
    theirs = bbq(scores.tolist(), outcomes.tolist(), at.tolist())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)

"""Ask MAPIE, TorchCP, crepes and puncc for prediction sets, one JSON a library.

    pip install torch==2.13.0 numpy scikit-learn==1.9.1 pandas
    pip install tqdm; pip install --no-deps mapie==1.6.0 torchcp==1.2.1 crepes==0.9.1 puncc==0.9.3
    python tests/goldens/make_set_goldens.py

All get the same 90 rows that set the threshold and the same 60 new ones, of eight classes, and the
same uniform draws. Probabilities are multiples of 1 / 1024 and draws of 1 / 64, so that sums of
them are exact in float32, in which TorchCP computes. No two probabilities of a row are equal, since
libraries order equal ones differently.

TorchCP imports torchsort, a compiled package that only its losses use, and torch_geometric for
graphs: its classification is loaded without either. The draws are put in the place of torch.rand
and of the generators of puncc and MAPIE. Not asked: MAPIE's RAPS, which chooses its penalty on a
part of the rows; puncc's deterministic sets, which hold one class more than the scores say; puncc's
randomised RAPS, which spreads the penalty over the draw. Of puncc's RAPS the scores are asked.
"""

import json
import re
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

FORMAT = 1
FOLDER = Path(__file__).parent / "sets"
CLASSES, VALIDATION, TEST = 8, 90, 60
COVERAGES = (0.8, 0.9)
PENALTY, K_REG = 1 / 32, 2


def rows(rng, count):
    """Probabilities on the grid, all different within a row, and labels drawn by them."""
    kept = []
    while len(kept) < count:
        whole = np.floor(1024 * rng.dirichlet(np.full(CLASSES, 0.6))).astype(int)
        whole[whole.argmax()] += 1024 - whole.sum()
        if len(set(whole)) == CLASSES and whole.min() > 0:
            kept.append(whole / 1024)
    probs = np.array(kept)
    labels = (rng.random(count)[:, None] > probs.cumsum(axis=1)).sum(axis=1)
    return probs, labels


def arrays():
    rng = np.random.default_rng(19)
    val_probs, val_labels = rows(rng, VALIDATION)
    test_probs, test_labels = rows(rng, TEST)
    return {
        "val_probs": val_probs,
        "val_labels": val_labels,
        # every class has rows for a threshold of its own at the lower coverage
        "val_draws": rng.integers(1, 64, VALIDATION) / 64,
        "test_probs": test_probs,
        "test_labels": test_labels,
        "test_draws": rng.integers(1, 64, TEST) / 64,
    }


def torchcp(data):
    """`draws` are 1 minus ours: a class counts with the rest of its probability."""
    losses = ModuleType("torchsort")
    losses.soft_rank = losses.soft_sort = None
    whole = ModuleType("torchcp")  # finds its own files, but does not load those for graphs
    whole.__path__ = list(find_spec("torchcp").submodule_search_locations)
    sys.modules |= {"torchsort": losses, "torchcp": whole}
    import torch
    from torchcp.classification.predictor import ClassConditionalPredictor, SplitPredictor
    from torchcp.classification.score import APS, LAC, RAPS

    float32 = {name: torch.tensor(value) for name, value in data.items()}
    val, test = (float32[name].float() for name in ("val_probs", "test_probs"))
    draws = [float32[name].float() for name in ("val_draws", "test_draws")]

    def rand(*size, **_):
        size = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
        taken = draws[0] if size[0] == VALIDATION else draws[1]
        return 1 - (taken if len(size) == 1 else taken[:, None].expand(size))

    torch.rand = rand
    raps = {"penalty": PENALTY, "kreg": K_REG}
    scores = {
        ("lac", False): LAC(score_type="identity"),
        ("aps", True): APS(score_type="identity"),
        ("aps", False): APS(score_type="identity", randomized=False),
        ("raps", True): RAPS(score_type="identity", **raps),
        ("raps", False): RAPS(score_type="identity", randomized=False, **raps),
    }
    for (method, randomized), score in scores.items():
        for per_class, make in ((False, SplitPredictor), (True, ClassConditionalPredictor)):
            for coverage in COVERAGES[:1] if per_class else COVERAGES:
                predictor = make(score)
                predictor._device = torch.device("cpu")
                # in tenths: 1 - 0.9 is below 0.1 in floats, and the rank would be one more
                predictor.calculate_threshold(val, float32["val_labels"], round(1 - coverage, 9))
                sets = predictor.predict_with_logits(test)
                yield entry(method, coverage, randomized, per_class, predictor.q_hat, sets)


def mapie(data):
    from mapie.classification import SplitConformalClassifier
    from mapie.conformity_scores.sets import aps

    fixed = SimpleNamespace(
        classes_=np.arange(CLASSES),
        fit=None,
        predict=lambda x: x.argmax(axis=1),
        predict_proba=lambda x: x,
        __sklearn_is_fitted__=lambda: True,
    )

    class Given:
        """A generator that gives our draws."""

        def uniform(self, size):
            drawn = data["val_draws" if np.ravel(size)[0] == VALIDATION else "test_draws"]
            return (1 - drawn).reshape(size)

    aps.check_random_state = lambda state: Given()
    for method, randomized in (("lac", False), ("aps", True)):
        for coverage in COVERAGES:
            classifier = SplitConformalClassifier(
                fixed, confidence_level=coverage, conformity_score=method, prefit=True
            )
            classifier.conformalize(data["val_probs"], data["val_labels"])
            more = {"include_last_label": "randomized"} if randomized else {}
            _, sets = classifier.predict_set(data["test_probs"], conformity_score_params=more)
            quantile = classifier._mapie_classifier.quantiles_
            yield entry(method, coverage, randomized, False, quantile, sets[:, :, 0])


def crepes(data):
    from crepes import ConformalClassifier
    from crepes.extras import hinge

    val = hinge(data["val_probs"], np.arange(CLASSES), data["val_labels"])
    test = hinge(data["test_probs"])
    for coverage in COVERAGES:
        classifier = ConformalClassifier()
        classifier.fit(val)
        sets = classifier.predict_set(test, confidence=coverage, smoothing=False)
        yield entry("lac", coverage, False, False, None, sets)


def puncc(data):
    from deel.puncc.api import backend
    from deel.puncc.api.nonconformity_scores import raps_score
    from deel.puncc.api.prediction import BasePredictor
    from deel.puncc.classification import APS, LAC

    class Fixed(BasePredictor):
        def predict(self, X, **_):  # noqa: N803, puncc's own name
            return X

    def draws(self, shape):
        return 1 - data["val_draws" if shape[0] == VALIDATION else "test_draws"]

    for name in dir(backend):
        kind = getattr(backend, name)
        if isinstance(kind, type) and "random_uniform" in vars(kind):
            kind.random_uniform = draws
    fixed = Fixed(None, is_trained=True)
    for method, make, randomized in (("lac", LAC, False), ("aps", APS, True)):
        for coverage in COVERAGES:
            predictor = make(fixed, train=False)
            predictor.fit(X_calib=data["val_probs"], y_calib=data["val_labels"])
            _, found = predictor.predict(data["test_probs"], alpha=round(1 - coverage, 9))
            sets = np.zeros((TEST, CLASSES), int)
            for row, members in zip(sets, found, strict=True):
                row[np.asarray(members, int)] = 1
            yield entry(method, coverage, randomized, False, None, sets)
    for randomized in (False, True):
        scores = raps_score(
            data["val_probs"], data["val_labels"], lambd=PENALTY, k_reg=K_REG, rand=randomized
        )
        yield {"method": "raps", "randomized": randomized, "scores": np.asarray(scores).tolist()}


def entry(method, coverage, randomized, per_class, quantile, sets):
    """One rule: its threshold, where the library tells it, and the set of each row as text."""
    texts = ["".join("01"[int(bool(value))] for value in row) for row in np.asarray(sets)]
    return {
        "method": method,
        "coverage": coverage,
        "randomized": randomized,
        "per_class": per_class,
        "quantiles": None if quantile is None else np.ravel(np.asarray(quantile, float)).tolist(),
        "sets": texts,
    }


def main():
    data = arrays()
    FOLDER.mkdir(exist_ok=True)
    held = {name: value.tolist() for name, value in data.items()}
    write(FOLDER / "rows.json", held | {"penalty": PENALTY, "k_reg": K_REG})
    for ask in (torchcp, mapie, crepes, puncc):
        name = ask.__name__
        record = {
            "format": FORMAT,
            "library": name,
            "version": version(name),
            "numpy": version("numpy"),
            "values": list(ask(data)),
        }
        write(FOLDER / f"{name}-{version(name)}.json", record)
        sys.stdout.write(f"{name}: {len(record['values'])} rules\n")


def write(path, record):
    """Write JSON, lists on one line."""
    text = json.dumps(record, indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Soft labels: a distribution, or votes, in the place of a label."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.optimize import minimize_scalar

import calibtool as ct
from calibtool.cli.main import main
from calibtool.errors import CalibtoolError

N, K = 90, 3
METRICS = "accuracy,nll,kl,brier,ece"


@pytest.fixture
def soft() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    probs = rng.dirichlet(np.ones(K), N)
    votes = np.array([rng.multinomial(5, row) for row in probs])
    return probs, votes


@pytest.fixture
def file(soft, tmp_path):
    pq.write_table(
        pa.table({"probs": soft[0].tolist(), "votes": soft[1].tolist()}), tmp_path / "s.parquet"
    )
    return tmp_path / "s.parquet"


def measured(data, **keys):
    report = ct.evaluate(data, METRICS, ci="none", **keys)
    return {estimate.name: estimate.value for estimate in report.estimates}


def test_metrics_by_their_definitions(soft, file):
    probs, votes = soft
    q = votes / votes.sum(axis=1, keepdims=True)
    found = measured(file, soft_labels="votes")
    cross = -(q * np.log(probs)).sum(axis=1).mean()
    own = -(q * np.log(np.where(q > 0, q, 1))).sum(axis=1).mean()
    top = probs.argmax(axis=1)
    assert found["accuracy"] == pytest.approx((top == q.argmax(axis=1)).mean())
    assert found["nll"] == pytest.approx(cross)
    assert found["kl"] == pytest.approx(cross - own)
    assert found["brier"] == pytest.approx(((probs - q) ** 2).sum(axis=1).mean())
    confidence, right = probs.max(axis=1), q[np.arange(N), top]
    bins = np.ceil(confidence * 15)
    gaps = [abs((confidence - right)[bins == b].sum()) for b in np.unique(bins)]
    assert found["ece"] == pytest.approx(sum(gaps) / N)


def test_certain_soft_labels_are_labels(soft, tmp_path):
    probs, votes = soft
    labels = votes.argmax(axis=1)
    columns = {"probs": probs.tolist(), "votes": np.eye(K)[labels].tolist()}
    pq.write_table(pa.table(columns), tmp_path / "hard.parquet")
    found, plain = (
        measured(tmp_path / "hard.parquet", soft_labels="votes"),
        measured((probs, labels)),
    )
    assert found == pytest.approx(plain)
    assert plain["kl"] == plain["nll"]


def test_two_classes_and_columns_by_prefix(tmp_path):
    p, q = np.array([0.9, 0.4, 0.2]), np.array([1.0, 0.25, 0.5])
    columns = {"p0": 1 - p, "p1": p, "votes0": 4 * (1 - q), "votes1": 4 * q}
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    found = measured(tmp_path / "c.parquet", probs="p", soft_labels="votes")
    assert found["brier"] == pytest.approx(((p - q) ** 2).mean())
    assert found["nll"] == pytest.approx(-(q * np.log(p) + (1 - q) * np.log(1 - p)).mean())


def test_rows_are_resampled_whole(file):
    source = ct.scan(file, soft_labels="votes")
    alone, named = ct.evaluate(source, "ece"), ct.evaluate(source, "ece", cluster="row")
    assert (alone["ece"].low, alone["ece"].high) == (named["ece"].low, named["ece"].high)


def test_a_temperature_minimises_the_cross_entropy(soft, file):
    probs, votes = soft
    q = votes / votes.sum(axis=1, keepdims=True)

    def cross(slope):
        z = slope * np.log(probs)
        return -(q * (z - np.log(np.exp(z).sum(axis=1, keepdims=True)))).sum()

    best = minimize_scalar(cross, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-10}).x
    fitted = ct.fit("temperature", file, soft_labels="votes")
    assert 1 / fitted.map.temperature == pytest.approx(best, rel=1e-5)


def test_weights_are_those_of_rows(soft, tmp_path):
    probs, votes = soft
    twice = np.arange(N) % 2 + 1
    columns = {"probs": probs.tolist(), "votes": votes.tolist(), "weights": twice}
    pq.write_table(pa.table(columns), tmp_path / "w.parquet")
    copies = np.repeat(np.arange(N), twice)
    columns = {"probs": probs[copies].tolist(), "votes": votes[copies].tolist()}
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    weighted = measured(tmp_path / "w.parquet", soft_labels="votes")
    assert weighted == pytest.approx(measured(tmp_path / "c.parquet", soft_labels="votes"))


@pytest.mark.parametrize(
    ("votes", "keys", "says"),
    [
        ([[1, 0, 0], [0, 0, 0]], {}, "row 1 "),
        ([[1, 0, 0], [2, -1, 0]], {}, "negative"),
        ([[1, 0, 0], [1e308, 1e308, 0]], {}, "row 1 .*inf"),
        ([[1, 0], [0, 1]], {}, "2 shares for 3 classes"),
        ([[1, 0, 0], [0, 1, 0]], {"labels": "votes"}, "place of --labels"),
    ],
)
def test_what_is_no_distribution(votes, keys, says, tmp_path):
    table = pa.table({"probs": [[0.2, 0.3, 0.5]] * 2, "votes": votes})
    pq.write_table(table, tmp_path / "b.parquet")
    with pytest.raises(CalibtoolError, match=says):
        ct.load(tmp_path / "b.parquet", soft_labels="votes", **keys)


def test_apply_needs_no_labels(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--soft-labels", "votes"]
    assert main(["fit-temperature", "s.parquet", *flags, "-o", "t.json"]) == 0
    assert main(["apply", "t.json", "s.parquet", *flags, "-o", "o.parquet"]) == 2
    assert "leave out --soft-labels" in capsys.readouterr().err
    assert main(["apply", "t.json", "s.parquet", "-o", "o.parquet"]) == 0
    assert main(["evaluate", "o.parquet", *flags, "--ci", "none"]) == 0

"""Rows that hold several predictions: labels of their own, or positions of images and texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import calibtool as ct
from calibtool.analysis.trial import make_trial
from calibtool.cli.main import main
from calibtool.data.clusters import FEWEST
from calibtool.data.files.unfolding import dense
from calibtool.errors import CalibtoolError, UsageError

N, L = 60, 3


@pytest.fixture
def several() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    probs = rng.random((N, L))
    return probs, (rng.random((N, L)) < probs).astype(np.int64)


def as_pairs(probs, targets, path):
    columns = {f"prob_{name}": probs[:, k] for k, name in enumerate("abc")}
    # in another order than the scores
    columns |= {f"label_{name}": targets[:, k] for k, name in reversed(list(enumerate("abc")))}
    pq.write_table(pa.table(columns), path)


def as_lists(probs, targets, path):
    pq.write_table(pa.table({"probs": probs.tolist(), "labels": targets.tolist()}), path)


def as_words(probs, targets, path):
    words = np.where(targets == 1, "Yes", "no").tolist()
    pq.write_table(pa.table({"probs": probs.tolist(), "labels": words}), path)


def as_arrays(probs, targets, path):
    with path.open("wb") as file:
        np.savez(file, probs=probs, labels=targets)


WRITTEN = [(as_pairs, "parquet"), (as_lists, "parquet"), (as_words, "parquet"), (as_arrays, "npz")]


@pytest.mark.parametrize(("write", "suffix"), WRITTEN)
def test_every_way_to_write_labels_is_the_same_long_table(several, write, suffix, tmp_path):
    probs, targets = several
    write(probs, targets, tmp_path / f"m.{suffix}")
    read = ct.load(tmp_path / f"m.{suffix}")
    np.testing.assert_array_equal(read.values[:, 0], probs.ravel())
    np.testing.assert_array_equal(read.labels, targets.ravel())
    np.testing.assert_array_equal(read.extra["row"], np.repeat(np.arange(N), L))
    assert "3 labels per row" in str(read)


def test_arrays_in_memory_are_read_like_files(several, tmp_path):
    probs, targets = several
    as_lists(probs, targets, tmp_path / "m.parquet")
    file, pair = ct.evaluate(tmp_path / "m.parquet"), ct.evaluate((probs, targets))
    assert [e.value for e in file.estimates] == [e.value for e in pair.estimates]
    assert [e.low for e in file.estimates] == [e.low for e in pair.estimates]


def test_rows_are_resampled_whole(several):
    """The interval is that of the long table with its rows as clusters, and wider than without."""
    probs, targets = several
    same = np.repeat(probs[:, :1], L, axis=1), np.repeat(targets[:, :1], L, axis=1)
    whole = ct.evaluate(same, "accuracy", multilabel=True)["accuracy"]
    one = ct.evaluate((same[0][:, 0], same[1][:, 0]), "accuracy")["accuracy"]
    assert whole.value == one.value
    long = ct.Predictions.from_probs(same[0].ravel(), same[1].ravel())
    alone = ct.evaluate(long, "accuracy")["accuracy"]
    # three copies of a row say no more than one
    assert whole.high - whole.low > 1.4 * (alone.high - alone.low)


def test_the_mean_over_labels_is_that_of_each(several):
    probs, targets = several
    report = ct.evaluate_by(ct.read((probs, targets)), "label", "ece,auroc,brier", ci="none")
    part = report.parts[0]
    for k, spec in enumerate(("ece", "auroc", "brier")):
        each = [ct.evaluate((probs[:, j], targets[:, j]), spec, ci="none") for j in range(L)]
        values = [report.estimates[0].value for report in each]
        by_name = {result.name: result.measures[k].estimate.value for result in part.slices}
        assert by_name == pytest.approx(dict(zip("012", values, strict=True)))
        assert part.mean[k].value == pytest.approx(np.mean(values))


def test_the_interval_of_a_mean_over_labels_is_that_of_whole_rows(several):
    probs, targets = several
    part = ct.evaluate_by(ct.read((probs, targets)), "label", "brier,ece,mce,auroc").parts[0]
    brier, ece, mce, auroc = part.mean
    # with a target for every label, the mean over labels is that of all predictions
    whole = ct.evaluate((probs, targets), "brier")["brier"]
    assert (brier.low, brier.high) == pytest.approx((whole.low, whole.high))
    assert 0 <= ece.low <= ece.corrected <= ece.high
    assert ece.value < ece.high or ece.corrected < ece.value
    assert ece.high <= mce.high
    assert auroc.value is not None
    assert auroc.low is None  # none is known to cover


def test_copies_of_a_label_say_no_more_than_one():
    rng = np.random.default_rng(3)
    probs = rng.random((400, 1))
    targets = (rng.random((400, 1)) < probs**2).astype(int)
    copies = ct.read((np.tile(probs, 4), np.tile(targets, 4)), multilabel=True)
    mean = ct.evaluate_by(copies, "label", "ece").parts[0].mean[0]
    one = ct.evaluate((probs[:, 0], targets[:, 0]), "ece")["ece"]
    assert mean.value == pytest.approx(one.value)
    assert mean.high - mean.low == pytest.approx(one.high - one.low, rel=0.15)


def test_a_mean_over_labels_reaches_as_far_as_their_mean_gaps():
    """Each label is off by as much all over, one too high and the next too low."""
    rng = np.random.default_rng(5)
    probs, off = rng.uniform(0.25, 0.75, (500, 4)), np.array([0.1, -0.1, 0.1, -0.1])
    targets = (rng.random((500, 4)) < probs + off).astype(int)
    for seed in range(3):
        made = ct.read((probs, targets), multilabel=True)
        mean = ct.evaluate_by(made, "label", "ece", seed=seed).parts[0].mean[0]
        gaps = np.abs((targets - probs).mean(axis=0))
        error = np.sqrt((targets - probs).var(axis=0).sum() / 500) / 4
        assert mean.high >= gaps.mean() + 1.8 * error


def test_labels_of_few_targets_count_as_much_as_others_in_the_mean():
    rng = np.random.default_rng(4)
    probs = rng.random((300, 2))
    targets = (rng.random((300, 2)) < np.stack([probs[:, 0], probs[:, 1] ** 3], 1)).astype(float)
    targets[60:, 1] = np.nan
    made = ct.read((probs, targets), multilabel=True)
    brier, bias = ct.evaluate_by(made, "label", "brier,bias").parts[0].mean
    for mean in (brier, bias):
        assert mean.low < mean.value < mean.high
    # the label that is off has a sixth of the targets, and half of the mean
    both = ct.evaluate(made, "bias")["bias"]
    assert not both.low <= bias.value <= both.high


def test_missing_targets_are_left_out_and_counted(several, tmp_path):
    probs, targets = several
    lists = targets.tolist()
    lists[4][1] = lists[7][2] = None
    pq.write_table(pa.table({"probs": probs.tolist(), "labels": lists}), tmp_path / "m.parquet")
    source = ct.scan(tmp_path / "m.parquet")
    assert source.rows == N * L - 2
    assert source.notes == ("left out: 2 missing targets",)
    assert source.load().rows == N * L - 2


def test_one_hot_rows_stay_classes():
    probs = np.full((9, 3), 0.1) + 0.7 * np.eye(3)[[0, 1, 2] * 3]
    assert ct.read((probs, np.eye(3)[[0, 1, 2] * 3])).classes == 3
    assert ct.read((probs, np.eye(3)[[0, 1, 2] * 3]), multilabel=True).classes == 2


def test_soft_labels_are_not_taken_for_several():
    with pytest.raises(CalibtoolError, match="not one-hot"):
        ct.read(([[0.5, 0.5], [0.2, 0.8]], [[0.5, 0.5], [0.1, 0.9]]))


def test_classes_name_the_labels(several, tmp_path):
    as_lists(*several, tmp_path / "m.parquet")
    source = ct.scan(tmp_path / "m.parquet", classes=("x", "y", "z"))
    assert set(source.also(["label"]).load().extra["label"]) == {"x", "y", "z"}
    with pytest.raises(UsageError, match="2 names"):
        ct.scan(tmp_path / "m.parquet", classes=("x", "y"))


# ------------------------------------------------------------------ images and texts


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(FEWEST, 4, 5, 6)).astype(np.float32)
    labels = rng.integers(0, 4, (FEWEST, 5, 6)).astype(np.uint8)
    labels[3, 2, 1] = labels[4, 0, 0] = 255
    return logits, labels


@pytest.mark.parametrize("last", [False, True])
def test_positions_are_rows(images, last, tmp_path):
    logits, labels = images
    flat = np.moveaxis(logits, 1, -1).reshape(-1, 4)
    there = labels.ravel() != 255
    np.savez(
        tmp_path / "s.npz", logits=np.moveaxis(logits, 1, -1) if last else logits, labels=labels
    )
    source = ct.scan(tmp_path / "s.npz", ignore=(255,))
    read = source.load()
    assert source.notes == ("left out: 2 ignored positions",)
    np.testing.assert_array_equal(read.values, flat[there])
    np.testing.assert_array_equal(read.labels, labels.ravel()[there])
    np.testing.assert_array_equal(read.extra["image"], np.repeat(np.arange(FEWEST), 30)[there])
    # in blocks that cut images, too
    pieces = list(source.blocks(7))
    np.testing.assert_array_equal(np.concatenate([p.values for p in pieces]), flat[there])


def test_images_are_clusters(images, tmp_path):
    np.savez(tmp_path / "s.npz", logits=images[0], labels=images[1])
    report = ct.evaluate(tmp_path / "s.npz", "ece,accuracy", ignore=(255,))
    named = ct.evaluate(tmp_path / "s.npz", "ece,accuracy", ignore=(255,), cluster="image")
    assert [e.low for e in report.estimates] == [e.low for e in named.estimates]
    assert "ece" in [e.name for e in report.estimates if e.low is not None]


def test_too_few_images_have_no_intervals(images):
    logits, labels = images[0][:5], np.minimum(images[1][:5], 3)
    report = ct.evaluate((logits, labels), "ece")
    assert report["ece"].low is None
    assert any("5 images are too few" in text for text in report.warnings)


@pytest.mark.parametrize(
    ("scores", "labels", "layout", "axis"),
    [
        ((9, 4, 5, 6), (9, 5, 6), None, 1),
        ((9, 5, 6, 4), (9, 5, 6), None, 3),
        ((9, 7, 4), (9, 7), None, 2),
        ((9, 4, 5, 6, 7), (9, 5, 6, 7), None, 1),
        ((9, 5, 5, 5), (9, 5, 5), "channels-last", 3),
        ((9, 5, 5, 5), None, "channels-first", 1),
    ],
)
def test_the_axis_of_the_classes_is_told_by_the_labels(scores, labels, layout, axis):
    beside = None if labels is None else ("labels", labels)
    how = dense("logits", ("z", scores), beside, source="s", layout=layout, ignore=())
    assert how.axis == axis
    values = np.arange(np.prod(scores)).reshape(scores)
    flat = how.scores({"z": values})
    assert flat.shape == (9 * how.per, scores[axis])
    np.testing.assert_array_equal(how.folded(flat), values)


@pytest.mark.parametrize(
    ("scores", "labels", "layout", "says"),
    [
        ((9, 5, 5, 5), (9, 5, 5), None, "--layout"),
        ((9, 5, 5, 5), None, None, "--layout"),
        ((9, 4, 5, 6), (9, 6, 5), None, "expected scores N x K"),
        ((9, 4, 5, 6), (9, 5, 6), "channels-last", "expected scores N x K"),
    ],
)
def test_shapes_that_do_not_fit(scores, labels, layout, says):
    beside = None if labels is None else ("labels", labels)
    with pytest.raises(UsageError, match=says):
        dense("logits", ("z", scores), beside, source="s", layout=layout, ignore=())


# ------------------------------------------------------------------ the command line


def test_apply_gives_a_file_of_the_same_shape(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logits, labels = images
    right = np.eye(4)[np.minimum(labels, 3)].transpose(0, 3, 1, 2)
    np.savez(
        "s.npz", logits=(2 * right + logits).astype(np.float32), labels=labels, name=np.arange(30)
    )
    flags = ("--ignore", "255")
    assert main(["fit-temperature", "s.npz", *flags, "-o", "t.json"]) == 0
    assert main(["apply", "t.json", "s.npz", *flags, "--write", "logits", "-o", "o.npz"]) == 0
    before, after = np.load("s.npz"), np.load("o.npz")
    assert set(before.files) == set(after.files)
    np.testing.assert_array_equal(after["labels"], labels)
    ratio = after["logits"] / before["logits"]
    np.testing.assert_allclose(ratio, ratio[0, 0, 0, 0], rtol=1e-5)
    assert main(["apply", "t.json", "s.npz", *flags, "-o", "p.npz"]) == 0
    np.testing.assert_allclose(np.load("p.npz")["probs"].sum(axis=1), 1, rtol=1e-6)


def test_a_calibrator_per_label(several, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    probs, targets = several
    as_pairs(probs**2, targets, tmp_path / "m.parquet")
    assert main(["fit-platt", "m.parquet", "--by", "label", "-o", "p.json"]) == 0
    assert main(["apply", "p.json", "m.parquet", "-o", "o.parquet"]) == 0
    before, after = pq.read_table("m.parquet"), pq.read_table("o.parquet")
    assert after.column_names == before.column_names
    for k, name in enumerate("abc"):
        fitted = ct.fit("platt", (probs[:, k] ** 2, targets[:, k]))
        alone = fitted(ct.read((probs[:, k] ** 2, targets[:, k])))
        np.testing.assert_allclose(after[f"prob_{name}"], alone.values[:, 0], atol=1e-9)


def test_a_temperature_is_shared_by_the_labels_or_each_has_its_own(several, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    probs, targets = several
    logits = np.log(probs / (1 - probs)) * np.array([1.0, 2.0, 4.0])
    sharp = 1 / (1 + np.exp(-logits))
    as_pairs(sharp, targets, tmp_path / "m.parquet")
    assert main(["fit-temperature", "m.parquet", "-o", "one.json"]) == 0
    assert main(["fit-temperature", "m.parquet", "--by", "label", "-o", "each.json"]) == 0
    long = ct.Predictions.from_probs(sharp.ravel(), targets.ravel())
    one = ct.fit("temperature", long).map.temperature
    assert ct.load_calibrator("one.json").map.temperature == pytest.approx(one)
    for saved, alone in (("one.json", [one] * 3), ("each.json", None)):
        assert main(["apply", saved, "m.parquet", "-o", "o.parquet", "--overwrite"]) == 0
        after = pq.read_table("o.parquet")
        for k, name in enumerate("abc"):
            column = after[f"prob_{name}"].to_numpy()
            t = (
                alone[k]
                if alone
                else ct.fit("temperature", (sharp[:, k], targets[:, k])).map.temperature
            )
            np.testing.assert_allclose(np.log(column / (1 - column)), logits[:, k] / t, rtol=1e-5)


def test_select_chooses_one_calibrator_for_all_labels(several, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    probs, targets = several
    as_pairs(probs**3, targets, tmp_path / "m.parquet")
    assert main(["select", "m.parquet", "--methods", "platt,beta", "-o", "s.json"]) == 0
    assert "180 predictions (3 labels per row)" in capsys.readouterr().out
    assert main(["apply", "s.json", "m.parquet", "-o", "o.parquet"]) == 0
    before, after = ct.evaluate("m.parquet", "nll"), ct.evaluate("o.parquet", "nll")
    assert after["nll"].value < before["nll"].value


def test_a_row_is_never_fitted_on_and_measured(several):
    """Every way to make folds keeps the predictions of a row together."""
    made = ct.read(several)
    trial = make_trial(made, None, of="", smoothing=False)
    by_fold = [made.extra["row"][at] for _, at in trial.splits]
    assert sum(len(set(rows.tolist())) for rows in by_fold) == N
    for fit_rows, at in trial.splits:
        assert not set(fit_rows().extra["row"].tolist()) & set(made.extra["row"][at].tolist())


def test_the_gate_knows_the_worst_label(several, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    probs, targets = several
    targets[:, 1] = 1 - targets[:, 1]
    as_pairs(probs, targets, tmp_path / "m.parquet")
    assert main(["check", "m.parquet", "--require", "worst(ece by label) <= 0.2"]) == 1
    assert "label b" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--multilabel",), "expected scores and targets"),
        (("--layout", "channels-last"), "more than two dimensions"),
        (("--ignore", "x"), "--ignore 'x'"),
    ],
)
def test_flags_that_do_not_fit(flags, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("y.npz", logits=np.eye(3), labels=np.arange(3))
    assert main(["evaluate", "y.npz", *flags]) == 2
    assert says in capsys.readouterr().err


def test_rows_without_a_prediction(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("n.npz", probs=np.zeros((9, 0, 1)), targets=np.zeros((9, 0)))
    assert main(["fit-vector", "n.npz", "-o", "v.json"]) == 2
    assert "n.npz: probs: a row of 9 x 0 x 1 holds no predictions" in capsys.readouterr().err


def test_what_takes_rows_to_be_independent_says_so(several, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    as_pairs(*several, tmp_path / "m.parquet")
    assert main(["test", "m.parquet", "--resamples", "19"]) == 0
    assert "Warning: 3 labels per row" in capsys.readouterr().out
    assert main(["monitor", "m.parquet", "--every", "file"]) == 2
    assert "independent" in capsys.readouterr().err


def test_select_knows_that_predictions_of_a_row_hang_together(several):
    probs, targets = several
    copies = ct.read((np.tile(probs[:, :1], 4), np.tile(targets[:, :1], 4)), multilabel=True)
    one = ct.select((probs[:, 0], targets[:, 0]), ["temperature", "platt"])
    four = ct.select(copies, ["temperature", "platt"])
    for method in ("temperature", "platt", "nothing"):
        if one[method].behind and four[method].behind:
            ratio = four[method].error / four[method].behind
            # four copies of a row are one; taken as independent, the ratio would be half
            assert ratio > 0.7 * one[method].error / one[method].behind


def test_huge_numbers_are_no_probabilities_of_labels(tmp_path):
    np.savez(tmp_path / "x.npz", probs=np.full((2, 3), -1e308), targets=np.eye(3, dtype=int)[:2])
    with pytest.raises(CalibtoolError, match="lie outside"):
        ct.load(tmp_path / "x.npz")

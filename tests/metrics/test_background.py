"""Means over classes that leave one out, such as the background of images."""

from __future__ import annotations

import numpy as np
import pytest

import calibtool as ct
from calibtool.cli.main import main
from calibtool.errors import UsageError
from calibtool.metrics.conventions.reproduce import reproduce


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    """Images of four classes, most of whose pixels are of class 0."""
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(40, 4, 6, 6)) + np.array([2.0, 0, 0, 0])[:, None, None]
    labels = (0.5 * logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    labels[0, 0, 0] = 255
    return logits.astype(np.float32), labels.astype(np.uint8)


@pytest.mark.parametrize("name", ["classwise-ece", "ace", "ece(view=class,norm=l2,bins=9)"])
def test_the_mean_is_that_of_the_other_classes(images, name):
    data = ct.read(images, ignore=(255,)).load()
    probs = np.exp(data.values) / np.exp(data.values).sum(axis=1, keepdims=True)
    alone = {"classwise-ece": "ece", "ace": "ada-ece"}.get(name, "rmsce(bins=9)")
    each = [
        ct.evaluate((probs[:, k], (data.labels == k).astype(int)), alone, ci="none")
        for k in range(4)
    ]
    values = [report.estimates[0].value for report in each]
    for left_out in range(4):
        spec = f"{name.removesuffix(')')}{',' if '(' in name else '('}without={left_out})"
        found = ct.evaluate(data, spec, ci="none").estimates[0]
        assert found.value == pytest.approx(np.mean(np.delete(values, left_out)), abs=1e-6)
        assert found.name == spec


def test_its_interval_is_its_own_and_resamples_images(images):
    data = ct.read(images, ignore=(255,))
    every, others = ct.evaluate(data, "classwise-ece,classwise-ece(without=0)").estimates
    assert others.low <= others.corrected <= others.high
    assert (others.low, others.high) != (every.low, every.high)
    assert others.signature.count("without:0") == 1
    pixels = ct.evaluate(data.load(), "classwise-ece(without=0)", cluster="image").estimates[0]
    assert (others.low, others.high) == (pixels.low, pixels.high)


def test_monai_leaves_the_first_class_out_in_the_same_way(images):
    data = ct.read(images, ignore=(255,)).load()
    ours = ct.evaluate(data, "classwise-ece(bins=20,without=0)", ci="none").estimates[0].value
    theirs = {row.metric: row.value for row in reproduce("monai", data)}
    assert theirs["expected-no-background"] == pytest.approx(ours, abs=1e-5)
    assert theirs["expected"] != pytest.approx(ours, abs=1e-3)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("classwise-ece(without=4)", "there is no class 4"),
        ("classwise-ece(without=-1)", "the number of a class"),
        ("classwise-ece(without=x)", "the number of a class"),
        ("ece(without=0)", "needs view=class"),
        ("brier(without=0)", "there is no option 'without'"),
    ],
)
def test_a_class_that_there_is_not(images, spec, says):
    with pytest.raises(UsageError, match=says):
        ct.evaluate(images, spec, ci="none", ignore=(255,))


def test_the_command_line_shows_errors_with_and_without(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("s.npz", logits=images[0], labels=images[1])
    flags = ("--ignore", "255", "--ci", "none")
    assert main(["evaluate", "s.npz", *flags, "--background", "0"]) == 0
    shown = capsys.readouterr().out
    assert "classwise-ece " in shown
    assert "classwise-ece(without=0)" in shown
    assert main(["evaluate", "s.npz", *flags, "--metrics", "ece,ace", "--background", "3"]) == 0
    shown = capsys.readouterr().out
    assert "ace(without=3)" in shown
    assert "classwise-ece" not in shown
    assert main(["evaluate", "s.npz", *flags, "--background", "sky"]) == 2
    assert "the classes are 0 to 3" in capsys.readouterr().err


def test_a_background_may_be_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    probs, names = rng.dirichlet(np.ones(3), 60), np.array(["sky", "road", "tree"])
    header = "prob_sky,prob_road,prob_tree,label\n"
    rows = [f"{a},{b},{c},{names[rng.integers(3)]}\n" for a, b, c in probs]
    (tmp_path / "p.csv").write_text(header + "".join(rows))
    assert main(["evaluate", "p.csv", "--background", "road", "--ci", "none"]) == 0
    assert "classwise-ece(without=1)" in capsys.readouterr().out


def test_a_change_of_it_has_an_interval(images):
    data = ct.read(images, ignore=(255,)).load()
    fitted = ct.fit("temperature", data)
    report = ct.evaluate(data, "classwise-ece(without=0)", calibrator=fitted, cluster="image")
    change = report.change[0]
    assert change.low <= change.value <= change.high

"""Losses against their formulas, their papers' theorems, torch's own and other libraries'."""

from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="losses need the extra calibtool[train]")

from torch.nn import functional  # noqa: E402

from calibtool.cli.main import main  # noqa: E402
from calibtool.errors import UsageError  # noqa: E402
from calibtool.train import (  # noqa: E402
    AdaFocalLoss,
    CrossEntropyLoss,
    DualFocalLoss,
    FLSDLoss,
    FocalAutoLoss,
    FocalLoss,
    FocalScheduledLoss,
    LabelSmoothingLoss,
    MMCELoss,
    WeightedMMCELoss,
    make_loss,
)
from calibtool.train.losses.base import Loss, log_others  # noqa: E402
from calibtool.train.losses.focal import focal, gradient_ratio  # noqa: E402
from calibtool.train.losses.focal_auto import auto_gamma  # noqa: E402
from calibtool.train.losses.registry import LOSSES, LossEntry  # noqa: E402


def draw(rows=64, classes=5, seed=0, scale=2.0, dtype=torch.float64):
    """Logits and labels, every class among them."""
    generator = torch.Generator().manual_seed(seed)
    z = scale * torch.randn(rows, classes, generator=generator, dtype=dtype)
    return z, torch.arange(rows) % classes


def gradient(loss, z, y):
    z = z.clone().requires_grad_()
    loss(z, y).backward()
    return z.grad


# ------------------------------------------------------------------ the names


def test_every_class_of_the_table_is_importable_by_name_and_takes_its_options():
    train = import_module("calibtool.train")
    for name, entry in LOSSES.items():
        loss_class = getattr(train, entry.cls)
        parameters = inspect.signature(loss_class).parameters
        assert {key: parameters[key].default for key in entry.options} == {
            key: option.default for key, option in entry.options.items()
        }, name
        assert loss_class.__module__ == f"calibtool.train.{entry.module}"
        assert type(make_loss(name, classes=3)) is loss_class


def test_a_spec_settles_options_and_is_written_back_in_one_form():
    assert make_loss("Focal( gamma = 2 )", classes=3).gamma == 2
    stepped = make_loss("flsd_53(thresholds=(0.1, 0.4), gammas=(7, 4, 1))", classes=3)
    assert stepped.gamma_at(torch.tensor([0.05, 0.1, 0.39, 0.4])).tolist() == [7, 4, 4, 1]
    assert make_loss("flsd-53(gammas=(5, 3), thresholds=0.2)", classes=3).thresholds == (0.2,)


class AbsoluteLoss(Loss):
    """1 - p, half the distance from the label's corner in the 1-norm."""

    def rows(self, batch):
        return -torch.expm1(-batch.nll)


def test_a_toy_loss_and_its_line_are_all_it_takes(monkeypatch, capsys):
    """CONTRIBUTING shows these lines."""
    entry = LossEntry("Toy.", "1 - p", "Nobody 2026", "losses.toy", "AbsoluteLoss")
    monkeypatch.setitem(LOSSES, "toy", entry)
    monkeypatch.setitem(sys.modules, "calibtool.train.losses.toy", sys.modules[__name__])
    z, y = draw()
    p = functional.softmax(z, 1)
    loss = make_loss("toy", classes=5)(z, y)
    torch.testing.assert_close(loss, (p - functional.one_hot(y, 5)).abs().sum(1).mean() / 2)
    assert main(["losses", "toy"]) == 0
    assert "1 - p" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("focl", "did you mean focal"),
        ("nonsense", "expected one of cross-entropy, focal, flsd-53"),
        ("focal(gama=3)", "no option 'gama'; did you mean gamma"),
        ("brier(gamma=3)", "no option 'gamma'; it takes none"),
        ("focal(gamma=-1)", "gamma must lie between 0 and 100, not -1"),
        ("focal(gamma='x')", "gamma must be a number, not 'x'"),
        ("focal(gamma=(1, 2))", "gamma must be a number, not (1, 2)"),
        ("focal(gamma=True)", "gamma must be a number, not True"),
        ("focal(3)", "give options by name"),
        ("focal(gamma=", "'focal(gamma='"),
        ("flsd-53(gammas=5)", "1 thresholds need 2 gammas, not 1"),
        ("flsd-53(thresholds=(0.5, 0.2), gammas=(5, 3, 1))", "thresholds must rise"),
        ("flsd-53(gammas=())", "gammas must be one number or more"),
        ("adafocal(bins=2.5)", "bins must be a whole number, not 2.5"),
        ("adafocal(switch=5)", "switch (5.0) and -switch must lie between least (-2.0)"),
        ("mmce(squared=1)", "squared must be True or False, not 1"),
        ("mmce-weighted(divided=3)", "divided must lie between 1 and 2, not 3"),
        ("label-smoothing(alpha=1.5)", "alpha must lie between 0 and 1"),
    ],
)
def test_a_wrong_spec_says_what_is_wrong(spec, says):
    with pytest.raises(UsageError) as caught:
        make_loss(spec, classes=3)
    assert says in str(caught.value)


def test_what_does_not_fit_is_said():
    z, y = draw()
    for call, says in [
        (lambda: FocalLoss(gamma=-1), "gamma must be 0 or more"),
        (lambda: FocalLoss(reduction="median"), "must be one of mean, sum, none (got 'median')"),
        (lambda: FocalLoss(class_weights=[1, -1]), "0 or more for each class"),
        (lambda: FocalLoss(class_weights=[1, math.nan]), "finite"),
        (lambda: FocalLoss(class_weights=[1, 1, 1], sigmoid=True), "there must be two"),
        (lambda: make_loss("focal", classes=5, class_weights=[1, 2]), "2 class weights for 5"),
        (lambda: FocalLoss(class_weights=[1, 2])(z, y), "2 class weights for 5 classes"),
        (lambda: FocalLoss()(z, y[:3]), "(64, 5) and labels of shape (3,)"),
        (lambda: FocalLoss()(z[:, 0], y), "(64,) and labels of shape (64,)"),
        (lambda: FocalLoss()(z, y.double()), "labels that are numbers of classes must be integers"),
        (lambda: FocalLoss()(z, y + 1), "label 5 is not in 0 to 4 (12 such rows)"),
        (lambda: FocalLoss(sigmoid=True)(z, y), "must be the same"),
        (lambda: FocalLoss(sigmoid=True)(z[:, 0], 0.4 * y), "must lie between 0 and 1"),
        (lambda: make_loss("focal", classes=0), "classes must be 1 or more"),
    ]:
        with pytest.raises(UsageError) as caught:
            call()
        assert says in str(caught.value)


# ------------------------------------------------------------------ focal loss


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_focal_at_gamma_0_is_cross_entropy_to_the_bit(dtype):
    for scale in (0.1, 3.0, 300.0):
        z, y = draw(rows=1000, scale=scale, dtype=dtype)
        zero, plain = FocalLoss(gamma=0), CrossEntropyLoss()
        assert torch.equal(zero(z, y), plain(z, y))
        assert torch.equal(gradient(zero, z, y), gradient(plain, z, y))
        rows = FocalLoss(gamma=0, reduction="none")(z, y)
        assert torch.equal(rows, functional.cross_entropy(z, y, reduction="none"))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.0, 7.5])
def test_its_gradient_is_g_times_that_of_cross_entropy(gamma):
    """Mukhoti et al. 2020: dFL/dw = g(p, gamma) dCE/dw, for the weights of a layer."""
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(200, 7, generator=generator, dtype=torch.float64)
    _, y = draw(rows=200)
    for row in range(0, 200, 10):
        x, label = features[row : row + 1], y[row : row + 1]
        w = torch.randn(7, 5, generator=generator, dtype=torch.float64, requires_grad=True)
        (of_focal,) = torch.autograd.grad(FocalLoss(gamma)(x @ w, label), w)
        (of_plain,) = torch.autograd.grad(CrossEntropyLoss()(x @ w, label), w)
        p = functional.softmax(x @ w.detach(), 1)[0, label[0]]
        g = gradient_ratio(p, gamma)
        torch.testing.assert_close(of_focal, g * of_plain, rtol=1e-10, atol=1e-14)


@given(
    gamma=st.just(0.0) | st.floats(1, 20),
    logits=st.lists(st.floats(-20, 20), min_size=2, max_size=8),
    label=st.integers(0, 7),
)
def test_it_bounds_kl_minus_gamma_times_entropy(gamma, logits, label):
    """FL >= KL(q || p) - gamma H(p), Mukhoti et al. 2020, eq. 4; the paper's proof is for gamma at
    least 1, by Bernoulli's inequality."""
    z = torch.tensor([logits], dtype=torch.float64)
    y = torch.tensor([label % len(logits)])
    log_p = functional.log_softmax(z, 1)
    entropy = -(log_p.exp() * log_p).sum()
    kl = -log_p[0, y[0]]  # q is all on the label
    assert FocalLoss(gamma)(z, y) >= kl - gamma * entropy - 1e-12


def test_log_others_is_exact_at_both_ends():
    far = [-1e-300, -1e-15, -0.5, -math.log(2), -0.7, -40.0, -1e4, 0.0]
    log_p = torch.tensor(far, dtype=torch.float64)
    values = log_others(log_p)
    for value, x in zip(values.tolist()[1:-2], log_p.tolist()[1:-2], strict=True):
        assert value == pytest.approx(math.log(-math.expm1(x)), rel=1e-14)
    assert values[0].item() == pytest.approx(math.log(1e-300))
    assert values[-2:].tolist() == [0.0, math.log(torch.finfo(torch.float64).tiny)]


# ------------------------------------------------------------------ gammas


def test_flsd_53_is_focal_loss_with_gamma_5_below_a_fifth_and_3_from_there():
    loss = FLSDLoss(reduction="none")
    z, y = draw(rows=500)
    p = functional.softmax(z, 1).gather(1, y[:, None])[:, 0]
    assert 50 < (p < 0.2).sum() < 450
    expected = torch.where(p < 0.2, (1 - p) ** 5, (1 - p) ** 3) * -p.log()
    torch.testing.assert_close(loss(z, y), expected, rtol=1e-12, atol=0)
    assert loss.gamma_at(torch.tensor([0.0, 0.1999999, 0.2, 1.0])).tolist() == [5, 5, 3, 3]


def test_the_paper_s_gammas():
    p = torch.tensor([0.2, 0.25, 0.5, 0.7, 1.0], dtype=torch.float64)
    assert [round(gamma, 2) for gamma in auto_gamma(p.log()).tolist()] == [4.85, 3.07, 0, 0, 0]


def test_auto_gamma_is_the_lambert_w_rule():
    from scipy.special import lambertw

    p = torch.linspace(0.01, 0.45, 200, dtype=torch.float64).numpy()
    a, b = 1 - p, p * torch.from_numpy(p).log().numpy()
    w = lambertw(-(a ** (1 - a / b)) * torch.from_numpy(a).log().numpy() / b, -1).real
    paper = a / b + w / torch.from_numpy(a).log().numpy()
    gamma = auto_gamma(torch.from_numpy(p).log()).numpy()
    assert abs(gamma / paper - 1).max() < 1e-9


@pytest.mark.parametrize(("dtype", "off"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_auto_gamma_solves_its_equation_at_every_p(dtype, off):
    """g(p, gamma) = 1, with g = exp(gamma log(1 - p)) (1 + gamma c) for p as small as it gets."""
    log_p = torch.cat([-torch.logspace(-0.1591, 1.778, 4000), torch.tensor([-0.6932])]).to(dtype)
    gamma, p = auto_gamma(log_p).double(), log_p.double().exp()
    c = -p * log_p.double() / (1 - p)
    assert (gamma >= 0).all()
    assert gamma.isfinite().all()
    g = torch.exp(gamma * torch.log1p(-p)) * (1 + gamma * c)
    assert (g - 1).abs().max() < off * (gamma * c).max()
    inside = gamma[:-1].diff() > 0
    assert inside[log_p[:-2] < -0.7].all(), "gamma falls as p rises"


def test_auto_gamma_gives_up_before_float32_does():
    gammas = auto_gamma(torch.tensor([-1e4, -60.1, -60.0]))
    assert gammas[:2].tolist() == [0, 0]
    assert 1e26 < gammas[2] < 1e28


def test_focal_auto_trains_exactly_as_cross_entropy():
    """Not a defect of the code: g(p, gamma) = 1 at every row says just this."""
    z, y = draw(rows=2000, scale=4.0)
    ours, plain = gradient(FocalAutoLoss(), z, y), gradient(CrossEntropyLoss(), z, y)
    torch.testing.assert_close(ours, plain, rtol=1e-10, atol=1e-15)
    assert FocalAutoLoss()(z, y) < CrossEntropyLoss()(z, y)


def test_focal_auto_with_a_least_gamma_holds_back_rows_that_are_right():
    z, y = draw(rows=500)
    loss = FocalAutoLoss(least=3, reduction="none")
    p = functional.softmax(z, 1).gather(1, y[:, None])[:, 0]
    sure = p > 0.26
    expected = focal(-p.log(), 3.0)
    torch.testing.assert_close(loss(z, y)[sure], expected[sure], rtol=1e-12, atol=0)
    assert (loss(z, y)[p < 0.25] < expected[p < 0.25]).all()


def test_the_schedule_is_the_paper_s():
    loss = FocalScheduledLoss()
    z, y = draw()
    seen = []
    for epoch in range(350):
        loss.start_epoch(epoch, 350)
        seen.append(loss.gamma.item())
    assert seen == [5.0] * 100 + [3.0] * 150 + [1.0] * 100
    torch.testing.assert_close(loss(z, y), FocalLoss(1)(z, y))


# ------------------------------------------------------------------ the others


@pytest.mark.parametrize("alpha", [0.0, 0.05, 0.3, 1.0])
def test_label_smoothing_is_torch_s(alpha):
    z, y = draw()
    torch.testing.assert_close(
        LabelSmoothingLoss(alpha)(z, y), functional.cross_entropy(z, y, label_smoothing=alpha)
    )


def test_brier_is_the_sum_over_classes():
    z, y = draw()
    p = functional.softmax(z, 1)
    expected = ((p - functional.one_hot(y, 5)) ** 2).sum(1).mean()
    torch.testing.assert_close(make_loss("brier", classes=5)(z, y), expected)


def pairs(z, y, term):
    """Sum over pairs by the definition, one after another."""
    p = functional.softmax(z, 1)
    r, predicted = p.max(1)
    right = (predicted == y).tolist()
    total = 0.0
    for i in range(len(y)):
        for j in range(len(y)):
            kernel = math.exp(-abs(r[i] - r[j]) / 0.4)
            total += term(r[i].item(), right[i], r[j].item(), right[j], right) * kernel
    return math.sqrt(total)


def test_mmce_is_its_definition():
    z, y = draw(rows=30)
    mmce = pairs(z, y, lambda r, c, s, d, right: (c - r) * (d - s) / len(right) ** 2)
    expected = functional.cross_entropy(z, y) + 2 * mmce
    torch.testing.assert_close(MMCELoss()(z, y), expected)


def test_weighted_mmce_is_the_paper_s_equation_8_or_its_authors_code():
    """Its three sums: wrong with wrong, right with right, and, less twice, right with wrong.

    The code divides each by its numbers of rows twice."""
    z, y = draw(rows=30)
    for divided in (1, 2):

        def term(r, c, s, d, right, power=divided):
            of_right, of_wrong = sum(right), len(right) - sum(right)
            if c and d:
                return (1 - r) * (1 - s) / of_right ** (2 * power)
            if not c and not d:
                return r * s / of_wrong ** (2 * power)
            return -((1 - r) * s if c else r * (1 - s)) / (of_right * of_wrong) ** power

        expected = functional.cross_entropy(z, y) + 2 * pairs(z, y, term)
        torch.testing.assert_close(WeightedMMCELoss(divided=divided)(z, y), expected)


@pytest.mark.parametrize("divided", [1, 2])
@pytest.mark.parametrize("shift", [0, 1])
def test_weighted_mmce_of_rows_that_are_all_right_or_all_wrong_is_cross_entropy(divided, shift):
    z, _ = draw()
    y = (z.argmax(1) + shift) % 5
    ours, plain = WeightedMMCELoss(divided=divided), CrossEntropyLoss()
    torch.testing.assert_close(ours(z, y), plain(z, y), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient(ours, z, y), gradient(plain, z, y), rtol=1e-12, atol=1e-16)


def test_mmce_squared_is_its_square():
    z, y = draw()
    plain = functional.cross_entropy(z, y)
    root, square = MMCELoss(weight=1)(z, y) - plain, MMCELoss(weight=1, squared=True)(z, y) - plain
    torch.testing.assert_close(root**2, square)


def test_mmce_agrees_with_the_metric():
    """calibtool's own MMCE of the same rows, which leaves out no pair either."""
    import calibtool as ct

    z, y = draw(rows=50)
    mmce = MMCELoss(weight=1)(z, y) - functional.cross_entropy(z, y)
    p = ct.Predictions.from_logits(z.numpy(), y.numpy())
    metric = ct.evaluate(p, ["mmce"], ci="none").estimates[0].value
    assert mmce.item() == pytest.approx(metric, rel=1e-6)


def test_dual_focal_is_its_definition():
    z, y = draw(rows=200)
    p = functional.softmax(z, 1)
    expected = []
    for row, label in zip(p.tolist(), y.tolist(), strict=True):
        below = [other for other in row if other < row[label]]
        q = max(below, default=0.0)
        expected.append(-((1 - row[label] + q) ** 5) * math.log(row[label]))
    losses = DualFocalLoss(reduction="none")(z, y)
    torch.testing.assert_close(losses, torch.tensor(expected, dtype=torch.float64))


# ------------------------------------------------------------------ AdaFocal


def test_adafocal_starts_as_focal_loss_of_its_first_gamma():
    z, y = draw()
    torch.testing.assert_close(AdaFocalLoss(gamma=2)(z, y), FocalLoss(2)(z, y))


def test_adafocal_moves_each_bin_by_its_gap():
    """Two bins by hand: confidence 0.6 and right half the time; 0.9 and always right."""
    low, high = torch.tensor([0.6, 0.4]).log(), torch.tensor([0.9, 0.1]).log()
    logits = torch.stack([low] * 4 + [high] * 4)
    loss = AdaFocalLoss(bins=2, gamma=1.0)
    loss.after_validation(logits, torch.tensor([0, 1, 0, 1, 0, 0, 0, 0]))
    assert loss.edges.tolist() == pytest.approx([0.9])
    assert loss.gammas.tolist() == pytest.approx([math.exp(0.1), math.exp(-0.1)])
    rows = AdaFocalLoss(bins=2, reduction="none")
    rows.load_state_dict(loss.state_dict())
    gammas = [math.exp(0.1), math.exp(-0.1)]
    expected = [-(0.4 ** gammas[0]) * math.log(0.6), -(0.1 ** gammas[1]) * math.log(0.9)]
    losses = rows(torch.stack([low, high]), torch.tensor([0, 0])).tolist()
    assert losses == pytest.approx(expected, rel=1e-5)


def test_adafocal_turns_to_inverse_focal_loss_where_validation_is_underconfident():
    logits = torch.tensor([[0.5, 0.5001]] * 8, dtype=torch.float64).log()
    right = torch.ones(8, dtype=torch.long)
    loss = AdaFocalLoss(bins=1, gamma=0.25)
    loss.after_validation(logits, right)  # 0.25 exp(-0.5) < 0.2: the sign changes
    assert loss.gammas.item() == pytest.approx(-0.2)
    loss.after_validation(logits, right)  # still underconfident: -0.2 exp(0.5)
    assert loss.gammas.item() == pytest.approx(-0.2 * math.exp(0.5), rel=1e-3)
    p = torch.tensor(0.5)
    expected = -((1 + p) ** (0.2 * math.exp(0.5))) * p.log()
    value = loss(torch.zeros(1, 2), torch.tensor([0]))
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    for _ in range(20):
        loss.after_validation(logits, right)
    assert loss.gammas.item() == -2, "held at the least gamma"
    for _ in range(100):
        loss.after_validation(logits, 1 - right)
    assert loss.gammas.item() == 20, "overconfident: back over the switch, held at the most"


def test_adafocal_keeps_its_gammas_through_a_resume_and_skips_empty_validation():
    loss = AdaFocalLoss()
    z, y = draw(rows=300)
    loss.after_validation(z, y)
    other = AdaFocalLoss()
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other(z, y), loss(z, y))
    before = loss.gammas.clone()
    loss.after_validation(z, torch.full_like(y, -100))
    assert torch.equal(loss.gammas, before)


# ------------------------------------------------------------------ the command


def test_the_command_lists_every_loss_with_its_formula(capsys):
    assert main(["losses"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "In the formulas, p_k are the probabilities of a row" in out
    flat = " ".join(out.split())
    for name, line in LOSSES.items():
        assert f"{name} {line.summary}" in flat
        assert line.formula in flat
        assert line.source in flat
        for key, option in line.options.items():
            assert f" {key}=" in flat
            assert option.what in flat


def test_the_command_s_json_is_the_table(capsys):
    assert main(["losses", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["format"] == "calibtool-losses"
    assert [line["loss"] for line in document["losses"]] == list(LOSSES)
    flsd = document["losses"][2]
    assert flsd["class"] == "FLSDLoss"
    assert flsd["formula"] == LOSSES["flsd-53"].formula
    assert [o["default"] for o in flsd["options"]] == [[0.2], [5.0, 3.0]]


def test_the_command_takes_names_and_says_which_are_near(capsys):
    assert main(["losses", "brier", "focal", "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(",")[0] for row in rows] == ["loss", "brier", "focal"]
    assert main(["losses", "focl"]) == 2
    assert "there is no loss 'focl'; did you mean focal" in capsys.readouterr().err


# ------------------------------------------------------------------ without torch


def test_the_table_and_its_command_load_no_torch():
    code = (
        "import sys; from calibtool.cli.main import main; import calibtool.train; "
        "main(['losses']); main(['losses', '--format', 'json']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.splitlines()[-1].split()
    assert "flsd-53" in done.stdout

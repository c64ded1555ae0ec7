"""Losses as loops use them: soft labels, weights per label, compiled, printed, and their memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="losses need the extra calibtool[train]")

from torch.nn import functional  # noqa: E402

from calibtool.errors import UsageError  # noqa: E402
from calibtool.train import (  # noqa: E402
    AdaFocalLoss,
    BrierLoss,
    CrossEntropyLoss,
    FocalLoss,
    make_loss,
)
from calibtool.train.losses.registry import LOSSES  # noqa: E402

SPECS = (*LOSSES, "focal(gamma=0.5)", "mmce(squared=True)", "mdca(gamma=0)")
every = pytest.mark.parametrize("spec", SPECS)
OF_ROWS = [spec for spec in SPECS if not spec.startswith(("mmce", "mdca"))]


def draw(rows=24, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    t = torch.rand(rows, classes, generator=generator, dtype=torch.float64) ** 3
    return z, torch.randint(classes, (rows,), generator=generator), t / t.sum(1, keepdim=True)


# ------------------------------------------------------------------ soft labels


@every
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.0, 3.0]])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_one_hot_labels_are_the_hard_ones(spec, weights, reduction):
    z, y, _ = draw()
    loss = make_loss(spec, classes=4, class_weights=weights)
    loss.reduction = reduction
    one_hot = functional.one_hot(y, 4).double()
    torch.testing.assert_close(loss(z, one_hot), loss(z, y))


@pytest.mark.parametrize("spec", OF_ROWS)
def test_a_soft_label_is_the_mean_over_the_labels(spec):
    """So that a row mixed of two by mixup has the mixture of their losses."""
    z, _, t = draw()
    loss = make_loss(spec, classes=4)
    loss.reduction = "none"
    hard = torch.stack([loss(z, torch.full((24,), k)) for k in range(4)], dim=1)
    torch.testing.assert_close(loss(z, t), (t * hard).sum(1))


@every
def test_a_soft_label_is_as_many_rows_as_it_has_shares(spec):
    """Half one class and half another: two rows of half the weight."""
    z, y, _ = draw()
    other = (y + 1) % 4
    t = (functional.one_hot(y, 4) + functional.one_hot(other, 4)) / 2.0
    half = make_loss(spec, classes=4, class_weights=[0.5] * 4)
    twice = half(torch.cat([z, z]), torch.cat([y, other]))
    torch.testing.assert_close(make_loss(spec, classes=4)(z, t.double()), twice)


@every
def test_gradients_of_soft_labels_are_those_of_autograd(spec):
    z, _, t = draw(rows=8)
    if spec == "focal-auto":
        pytest.skip("its gradient takes gamma as a constant")
    loss = make_loss(spec, classes=4)
    leaf = z.requires_grad_()
    if spec == "flsd-53":  # gamma is constant between its steps
        assert ((torch.softmax(z, 1) - 0.2).abs() > 1e-4).all()
    assert torch.autograd.gradcheck(lambda x: loss(x, t), leaf)


def test_cross_entropy_of_soft_labels_is_torch_s_and_distils():
    z, _, t = draw()
    torch.testing.assert_close(CrossEntropyLoss()(z, t), functional.cross_entropy(z, t))
    images, shares = z.reshape(6, 4, 4).movedim(2, 1), t.reshape(6, 4, 4).movedim(2, 1)
    torch.testing.assert_close(
        CrossEntropyLoss()(images, shares), functional.cross_entropy(images, shares)
    )


def test_brier_of_soft_labels_is_their_distance_but_for_a_constant():
    z, _, t = draw()
    p = torch.softmax(z, 1)
    plain = ((p - t) ** 2).sum(1) + (t * (1 - t)).sum(1)
    torch.testing.assert_close(BrierLoss(reduction="none")(z, t), plain)


@every
def test_shares_of_the_sigmoid_form_are_those_of_two_classes(spec):
    z, _, t = draw(classes=2)
    z[:, 0] = 0
    sigmoid, softmax = make_loss(spec, classes=1), make_loss(spec, classes=2)
    torch.testing.assert_close(sigmoid(z[:, 1], t[:, 1]), softmax(z, t))
    hidden = t[:, 1].clone()
    hidden[::3] = -100
    kept = torch.arange(24) % 3 != 0
    torch.testing.assert_close(sigmoid(z[:, 1], hidden), softmax(z[kept], t[kept]))


def test_labels_that_are_no_shares_are_refused():
    z, y, t = draw()
    loss, sigmoid = FocalLoss(), FocalLoss(sigmoid=True)
    multi_hot = (t > 0.1).double()
    for target, says in [
        (multi_hot, "labels that do not exclude one another belong to sigmoid=True"),
        (2 * t, "sum to 1, unlike those of row 0 (24 such rows)"),
        (t[:, :3], "soft labels of shape (24, 3): they must be (N, K) and (N, K)"),
        (y.double(), "labels that are numbers of classes must be integers"),
    ]:
        with pytest.raises(UsageError) as caught:
            loss(z, target)
        assert says in str(caught.value)
    assert sigmoid(z, multi_hot) > 0
    with pytest.raises(UsageError, match="with sigmoid, labels must lie between 0 and 1"):
        sigmoid(z, 3 * t)


def test_shares_rounded_to_bfloat16_are_shares():
    _, _, t = draw(rows=500, classes=1000)
    z = torch.randn(500, 1000, generator=torch.Generator().manual_seed(1))
    FocalLoss()(z, t.bfloat16())


def test_adafocal_counts_soft_validation_labels_by_the_share_that_is_right():
    loss, hard = AdaFocalLoss(bins=1), AdaFocalLoss(bins=1)
    z = torch.tensor([[0.8, 0.2]]).log()
    loss.after_validation(z, torch.tensor([[0.5, 0.5]]))
    hard.after_validation(z.repeat(2, 1), torch.tensor([0, 1]))
    torch.testing.assert_close(loss.gammas, hard.gammas)


# ------------------------------------------------------------------ weights per label


@every
@pytest.mark.parametrize("hard", [True, False])
def test_weights_per_label_weigh_each_label_by_its_own(spec, hard):
    z, _, t = draw(classes=3)
    target = (t > 0.2).long() if hard else t
    weights = torch.tensor([[1.0, 2.0], [0.5, 4.0], [1.0, 1.0]], dtype=torch.float64)
    loss = make_loss(spec, classes=1, class_weights=weights)
    loss.reduction = "sum"
    if spec in OF_ROWS:
        alone = [make_loss(spec, classes=1, class_weights=weights[label]) for label in range(3)]
        for one in alone:
            one.reduction = "sum"
        parts = [one(z[:, k], target[:, k]) for k, one in enumerate(alone)]
        torch.testing.assert_close(loss(z, target), sum(parts))
    same = make_loss(spec, classes=1, class_weights=weights[:1].repeat(3, 1))
    plain = make_loss(spec, classes=1, class_weights=weights[0])
    torch.testing.assert_close(same(z, target), plain(z, target))
    # dimension 1 is that of the labels, as in (N, K, ...) logits
    images = z.reshape(6, 4, 3).movedim(2, 1), target.reshape(6, 4, 3).movedim(2, 1)
    torch.testing.assert_close(loss(*images), loss(z, target))


def test_weights_per_label_are_pos_weight_of_torch():
    z, _, t = draw(classes=3)
    y = (t > 0.2).double()
    positive = torch.tensor([2.0, 4.0, 1.0], dtype=torch.float64)
    weights = torch.stack([torch.ones(3, dtype=torch.float64), positive], dim=1)
    ours = CrossEntropyLoss(sigmoid=True, class_weights=weights, reduction="none")(z, y)
    theirs = functional.binary_cross_entropy_with_logits(
        z, y, pos_weight=positive, reduction="none"
    )
    torch.testing.assert_close(ours, theirs)


def test_weights_of_other_labels_are_refused():
    z, _, t = draw(classes=3)
    loss = FocalLoss(sigmoid=True, class_weights=[[1.0, 2.0], [1.0, 1.0]])
    with pytest.raises(UsageError, match="class weights of 2 labels for logits of shape"):
        loss(z, t)
    with pytest.raises(UsageError, match="must be finite and 0 or more"):
        FocalLoss(class_weights=[[1.0, 2.0]])
    with pytest.raises(UsageError, match="there must be two, for 0 and 1"):
        FocalLoss(sigmoid=True, class_weights=[[1.0, 2.0, 3.0]])


# ------------------------------------------------------------------ the command


def test_the_command_trains_with_each_loss(train, features):
    losses = ",".join((*LOSSES, "mmce(squared=True)", "mmce-weighted(divided=1)"))
    few = ("--epochs", "3", "--batch-size", "32", "--lr", "0.01")
    result = train("--sweep", losses, "--data", features, *few, "--out", "sweep")
    assert result.code == 0, result.err
    runs = json.loads(Path("sweep/sweep.json").read_text())["runs"]
    assert [run["loss"] for run in runs] == losses.split(",")
    assert max(run["error"] for run in runs) < 0.4, "guessing is 0.67"


# ------------------------------------------------------------------ compiled, printed, memory


@every
@pytest.mark.parametrize("how", ["hard", "soft", "sigmoid"])
def test_a_loss_compiles_to_one_graph(spec, how):
    """By the backend that runs the graph as it is: a compiler takes ten seconds per loss."""
    z, y, t = draw()
    loss = make_loss(spec, classes=1 if how == "sigmoid" else 4)
    target = {"hard": y, "soft": t, "sigmoid": (t > 0.2).long()}[how]
    torch.compiler.reset()
    compiled = torch.compile(loss, backend="eager", fullgraph=True)
    ours, plain = z.clone().requires_grad_(), z.clone().requires_grad_()
    value, expected = compiled(ours, target), loss(plain, target)
    value.backward()
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(ours.grad, plain.grad)


def test_a_loss_prints_its_options():
    assert repr(FocalLoss(gamma=2)) == "FocalLoss(gamma=2)"
    loss = FocalLoss(class_weights=[1.0, 2.0], reduction="sum", ignore_index=7)
    assert repr(loss) == (
        "FocalLoss(gamma=3.0, ignore_index=7, reduction='sum', class_weights=[1.0, 2.0])"
    )
    for name, entry in LOSSES.items():
        shown = repr(make_loss(name, classes=3))
        assert shown.startswith(f"{entry.cls}(")
        assert all(f"{key}=" in shown for key in entry.options)


def kept(loss, z, y):
    """Bytes that the backward pass keeps, each memory once."""
    sizes = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss(z.requires_grad_(), y)
    return sum(sizes.values())


@pytest.mark.parametrize("spec", ["focal", "focal(gamma=0.5)", "flsd-53", "focal-scheduled"])
def test_focal_losses_keep_no_more_than_a_tenth_more_than_cross_entropy(spec):
    z = torch.randn(64, 1000, generator=torch.Generator().manual_seed(0))
    y = torch.arange(64)
    plain = kept(functional.cross_entropy, z.clone(), y)
    assert plain >= z.nbytes
    assert kept(make_loss(spec, classes=1000), z.clone(), y) <= 1.1 * plain

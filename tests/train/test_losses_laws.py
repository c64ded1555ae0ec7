"""Laws of losses, over the whole table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="losses need the extra calibtool[train]")

from calibtool.train import make_loss  # noqa: E402
from calibtool.train.losses.registry import LOSSES  # noqa: E402

OTHERS = (
    "focal(gamma=0)",
    "focal(gamma=0.5)",
    "flsd-53(thresholds=(0.1, 0.4), gammas=(7, 0.5, 0))",
    "focal-auto(least=3)",
    "label-smoothing(alpha=1)",
    "adafocal(gamma=-1.5)",
    "dual-focal(gamma=0.5)",
)
SPECS = (*LOSSES, *OTHERS)
every = pytest.mark.parametrize("spec", SPECS)


def draw(rows=24, classes=4, seed=0, scale=2.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    z = scale * torch.randn(rows, classes, generator=generator, dtype=dtype)
    return z, torch.randint(classes, (rows,), generator=generator)


def prepared(spec, classes=4, reduction="mean", **options):
    """The loss, after a validation that moves what it moves, in the middle of training."""
    loss = make_loss(spec, classes=classes, **options)
    loss.reduction = reduction
    if hasattr(loss, "start_epoch"):
        loss.start_epoch(5, 10)
    if hasattr(loss, "after_validation"):
        z, y = draw(rows=200, seed=9, classes=max(classes, 2))
        z, y = (z[:, 0], y % 2) if classes == 1 else (z, y)
        loss.after_validation(z, y)
    return loss


@every
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.0, 3.0]])
def test_gradients_are_those_of_autograd(spec, weights):
    z, y = draw(rows=12)
    loss = prepared(spec, class_weights=weights and torch.tensor(weights, dtype=torch.float64))
    if spec.startswith("focal-auto"):
        loss = constant_gamma(loss, z, y)
    assert torch.autograd.gradcheck(lambda x: loss(x, y), z.requires_grad_())


def constant_gamma(loss, z, y):
    """The loss with the gammas of these logits: the gradient takes them as constants."""
    from calibtool.train.losses.focal_auto import auto_gamma, far_focal

    log_p = torch.log_softmax(z, 1)[torch.arange(len(y)), y].detach()
    gamma = auto_gamma(log_p).clamp_min(loss.least)
    w = torch.ones_like(gamma) if loss.class_weights is None else loss.class_weights[y]

    class Constant(torch.nn.Module):
        def forward(self, x, y):
            log_p = torch.log_softmax(x, 1)[torch.arange(len(y)), y]
            return (w * far_focal(-log_p, gamma)).sum() / w.sum()

    constant = Constant()
    ours, theirs = z.clone().requires_grad_(), z.clone().requires_grad_()
    loss(ours, y).backward()
    constant(theirs, y).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    return constant


@every
def test_a_class_of_weight_k_is_k_copies_of_its_rows(spec):
    z, y = draw()
    weights = torch.tensor([1, 3, 2, 1])
    copies = weights[y]
    weighted = prepared(spec, class_weights=weights)(z, y)
    repeated = prepared(spec)(z.repeat_interleave(copies, 0), y.repeat_interleave(copies))
    torch.testing.assert_close(weighted, repeated)


@every
def test_a_class_of_weight_0_counts_for_nothing(spec):
    z, y = draw()
    without = prepared(spec, class_weights=[0.0, 1.0, 1.0, 1.0])(z, y)
    torch.testing.assert_close(without, prepared(spec)(z[y != 0], y[y != 0]))


@every
@pytest.mark.parametrize("ignored", [-100, 7])
def test_rows_of_ignore_index_are_left_out(spec, ignored):
    z, y = draw()
    z.requires_grad_()
    hidden = torch.where(torch.arange(24) % 3 == 0, ignored, y)
    loss = prepared(spec, ignore_index=ignored)
    value = loss(z, hidden)
    counted = hidden != ignored
    torch.testing.assert_close(value, prepared(spec)(z[counted], y[counted]))
    value.backward()
    assert (z.grad[~counted] == 0).all()
    assert (z.grad[counted] != 0).any(1).all()
    loss.reduction = "none"
    assert (loss(z, hidden)[~counted] == 0).all()


@every
def test_a_batch_of_ignored_rows_has_loss_0_and_no_gradient(spec):
    z, y = draw()
    loss = prepared(spec)(z.requires_grad_(), torch.full_like(y, -100))
    loss.backward()
    assert loss == 0
    assert (z.grad == 0).all()


@every
def test_reductions_agree(spec):
    z, y = draw()
    weights = [0.5, 1.0, 2.0, 3.0]
    rows, total, mean = (
        prepared(spec, reduction=name, class_weights=weights)(z, y)
        for name in ("none", "sum", "mean")
    )
    w = torch.tensor(weights, dtype=torch.float64)[y]
    assert rows.shape == y.shape
    torch.testing.assert_close(rows.sum(), total)
    torch.testing.assert_close(total / w.sum(), mean)


@every
def test_the_order_of_rows_and_a_shift_of_logits_do_not_matter(spec):
    z, y = draw()
    loss = prepared(spec)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loss(z[order], y[order]), loss(z, y))
    torch.testing.assert_close(loss(z + 3.0, y), loss(z, y))


@every
def test_positions_are_rows(spec):
    """(N, K, H, W) logits and (N, H, W) labels, as in torch's cross-entropy."""
    z, y = draw(rows=24)
    images = z.reshape(2, 3, 4, 4).permute(0, 3, 1, 2)
    loss = prepared(spec)
    torch.testing.assert_close(loss(images, y.reshape(2, 3, 4)), loss(z, y))
    loss.reduction = "none"
    assert loss(images, y.reshape(2, 3, 4)).shape == (2, 3, 4)


@every
def test_the_sigmoid_form_is_that_of_two_classes_with_logits_0_and_z(spec):
    z, y = draw(classes=2)
    z[:, 0] = 0
    softmax = prepared(spec, classes=2, class_weights=[1.0, 2.5])
    sigmoid = prepared(spec, classes=1, class_weights=[1.0, 2.5])
    sigmoid.load_state_dict(softmax.state_dict())
    torch.testing.assert_close(sigmoid(z[:, 1], y), softmax(z, y))
    torch.testing.assert_close(sigmoid(z[:, 1:], y[:, None].double()), softmax(z, y))
    torch.testing.assert_close(sigmoid(z[:, 1].reshape(4, 6), y.reshape(4, 6)), softmax(z, y))
    hidden = y.clone()
    hidden[::2] = -100
    torch.testing.assert_close(sigmoid(z[:, 1], hidden), softmax(z, hidden))


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [1e4, 80.0, 17.0])
def test_finite_at_logits_of_1e4_right_and_wrong(spec, dtype, size):
    """p of exactly 0 and 1, of all rows or of some, ties, and plain rows beside them."""
    far = torch.tensor([[size, -size, 0, 0], [-size, -size, -size, -size], [0, 0, 0, 0]])
    mixed = torch.cat([far, draw()[0].float()]).to(dtype)
    mean, none = prepared(spec), prepared(spec, reduction="none")
    for z in (mixed, mixed[:1]):
        for label in range(4):
            x = z.clone().requires_grad_()
            y = torch.full((len(z),), label)
            loss = mean(x, y)
            loss.backward()
            assert torch.isfinite(loss)
            assert loss >= 0
            assert torch.isfinite(x.grad).all()
            assert torch.isfinite(none(z, y)).all()


@every
@pytest.mark.parametrize("z", [1e4, -1e4, 0.0])
@pytest.mark.parametrize("label", [0, 1])
def test_the_sigmoid_form_is_finite_too(spec, z, label):
    x = torch.tensor([z, 0.5], requires_grad=True)
    loss = prepared(spec, classes=1)(x, torch.tensor([label, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(x.grad).all()


@every
def test_a_loss_survives_its_state(spec):
    z, y = draw()
    loss, again = prepared(spec), make_loss(spec, classes=4)
    again.load_state_dict(loss.state_dict())
    assert torch.equal(again(z, y), loss(z, y))


@every
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 50))
def test_a_loss_is_finite_and_its_gradient_sums_to_0(spec, seed, scale):
    """A shift of a row's logits changes nothing, so a row's gradient has no part along it."""
    z, y = draw(seed=seed, scale=scale)
    loss = prepared(spec)(z.requires_grad_(), y)
    loss.backward()
    assert torch.isfinite(loss)
    assert loss >= 0
    assert z.grad.sum(1).abs().max() < 1e-12 * (1 + z.grad.abs().max())

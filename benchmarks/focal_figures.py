"""Draw what benchmarks/focal.py saw: python benchmarks/focal_figures.py

docs/images/focal-fashion.png, focal-debian.png: the paper's mechanism, epoch by epoch;
focal-gamma.png: gamma against p, and how gradients are weighed; focal-bound.png: focal loss and its
lower bound; focal-shift.png: what benchmarks/focal_shift.py saw. `just docs` runs it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch

from calibtool.train import FLSDLoss
from calibtool.train.losses.focal import focal, gradient_ratio
from calibtool.train.losses.focal_auto import auto_gamma

HERE = Path(__file__).parent
IMAGES = HERE.parent / "docs" / "images"
SHOWN = {  # loss -> colour, line, width; told apart in grey too
    "cross-entropy": ("#111111", "-", 1.8),
    "focal": ("#d95f02", "--", 1.8),
    "label-smoothing": ("#1b7837", ":", 2.2),
    "brier": ("#7570b3", "-.", 1.6),
}
PANELS = {
    "train_right_nll": "NLL of training rows that are right",
    "train_wrong_nll": "NLL of training rows that are wrong",
    "val_nll": "Validation NLL",
    "train_right_entropy": "Entropy of training rows that are right",
    "head_norm": "Norm of the last layer's weights",
    "val_ece": "Validation ECE",
}
LOG = ("train_right_nll",)
SHIFTED = {"fashion": "perceptron", "fashion-conv": "convolutions"}
UNITS = {
    "noise": "deviation, share of the range",
    "rotation": "degrees",
    "translation": "pixels of 28",
}
TITLES = {
    "fashion": "Fashion-MNIST, multi-layer perceptron",
    "debian": "Debian sections, bag of words",
}


def main() -> None:
    """All of them."""
    plt.rcParams.update(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "savefig.dpi": 130}
    )
    IMAGES.mkdir(exist_ok=True)
    runs = json.loads((HERE / "results" / "focal.json").read_text())["runs"]
    for name in TITLES:
        mechanism(name, [run for run in runs if run["data"] == name])
    gammas()
    bound()
    shifted(json.loads((HERE / "results" / "focal_shift.json").read_text())["runs"])


def mechanism(name: str, runs: list[dict[str, Any]]) -> None:
    """Six quantities over epochs: the mean of the seeds, and their range as a band."""
    figure, axes = plt.subplots(2, 3, figsize=(9.5, 5.4), layout="constrained")
    for axis, (key, title) in zip(axes.flat, PANELS.items(), strict=True):
        for loss, (colour, line, width) in SHOWN.items():
            own = [run["epochs"][key] for run in runs if run["loss"] == loss and "epochs" in run]
            values = np.array(own, dtype=float)
            epochs = 1 + np.arange(values.shape[1])
            whole = np.isfinite(values).all(0)
            axis.plot(
                epochs[whole],
                values.mean(0)[whole],
                color=colour,
                linestyle=line,
                linewidth=width,
                label=loss,
            )
            low, high = values.min(0)[whole], values.max(0)[whole]
            axis.fill_between(epochs[whole], low, high, color=colour, alpha=0.15, linewidth=0)
        axis.set_title(title, fontsize=9)
        if key in LOG:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
        axis.set_xlim(left=1)
    for axis in axes[1]:
        axis.set_xlabel("epoch")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(SHOWN), handlelength=3.5)
    figure.suptitle(TITLES[name], fontsize=10)
    figure.savefig(IMAGES / f"focal-{name}.png")
    plt.close(figure)


def bound() -> None:
    """Focal loss of two classes, and KL - gamma H, which it does not fall below."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained", sharey=True)
    p = torch.linspace(0.005, 0.995, 991, dtype=torch.float64)
    kl = -p.log()  # of the label, which has all of q
    entropy = -p * p.log() - (1 - p) * torch.log1p(-p)
    for axis, gamma in zip(axes, (1.0, 3.0), strict=True):
        axis.plot(p, kl, color="0.6", linestyle=":", linewidth=2, label="cross-entropy, KL(q || p)")
        axis.plot(p, focal(kl, gamma), color="#d95f02", label="focal loss")
        axis.plot(
            p,
            kl - gamma * entropy,
            color="#111111",
            linestyle="--",
            label="KL(q || p) - gamma H(p)",
        )
        axis.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        least = float(p[(kl - gamma * entropy).argmin()])
        axis.axvline(least, color="#111111", linestyle="--", linewidth=0.6)
        axis.text(least - 0.02, 2.6, f"smallest at p = {least:.2f}", ha="right", fontsize=8)
        axis.set(xlim=(0, 1), ylim=(-2, 3.4), xlabel="p, the probability of the label")
        axis.set_title(f"gamma = {gamma:g}", fontsize=9)
    axes[0].set_ylabel("loss of a row, two classes")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=3.5)
    figure.savefig(IMAGES / "focal-bound.png")
    plt.close(figure)


def shifted(runs: list[dict[str, Any]]) -> None:
    """ECE after the temperature of clean rows, and error, by shift and strength."""
    names = list(dict.fromkeys(run["data"] for run in runs))
    shifts = list(dict.fromkeys(point["shift"] for point in runs[0]["points"]))
    figure, axes = plt.subplots(
        len(names),
        len(shifts),
        figsize=(9.5, 0.6 + 2.6 * len(names)),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    for row, name in zip(axes, names, strict=True):
        for axis, shift in zip(row, shifts, strict=True):
            for loss in ("cross-entropy", "focal"):
                own = [run for run in runs if (run["data"], run["loss"]) == (name, loss)]
                lines_of(axis, own, shift, loss)
            axis.set_title(f"{SHIFTED[name]}: {shift}", fontsize=9)
            axis.set(ylim=(0, 1), xlabel=UNITS[shift])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=3.5)
    figure.savefig(IMAGES / "focal-shift.png")
    plt.close(figure)


def lines_of(axis: Any, runs: list[dict[str, Any]], shift: str, loss: str) -> None:
    """A loss: error, ECE before the temperature and after it, means of the seeds."""
    colour = SHOWN[loss][0]
    points = [[p for p in run["points"] if p["shift"] == shift] for run in runs]
    strengths = [point["strength"] for point in points[0]]
    error = np.array([[1 - p["after"]["accuracy"] for p in own] for own in points])
    axis.plot(strengths, error.mean(0), color=colour, linewidth=0.9, label=f"{loss}: error")
    for when, line in (("before", ":"), ("after", "--")):
        ece = np.array([[p[when]["ece"] for p in own] for own in points])
        label = f"{loss}: ECE {when} temperature"
        axis.plot(strengths, ece.mean(0), line, color=colour, linewidth=1.8, label=label)


def gammas() -> None:
    """Gamma against p by rule; g(p, gamma), the weight of a row's gradient, by gamma."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
    p = torch.linspace(0.005, 0.995, 991, dtype=torch.float64)
    auto = auto_gamma(p.log())
    left.plot(p, auto, color="#d95f02", linestyle="--", label="focal-auto: g(p, gamma) = 1")
    left.plot(p, FLSDLoss().gamma_at(p), color="#111111", label="flsd-53")
    left.plot(
        p,
        auto.clamp_min(3),
        color="#7570b3",
        linestyle=":",
        linewidth=2.4,
        label="focal-auto(least=3)",
    )
    for at in (0.2, 0.25):
        gamma = auto_gamma(torch.tensor([at], dtype=torch.float64).log()).item()
        left.plot([at], [gamma], "o", color="#d95f02", markersize=5)
        left.annotate(
            f"p = {at:g}: {gamma:.2f}",
            (at, gamma),
            (at + 0.08, gamma + 1.2),
            arrowprops={"arrowstyle": "-", "color": "0.4", "linewidth": 0.8},
        )
    left.set(xlim=(0, 1), ylim=(-0.2, 12), xlabel="p, the probability of the label", ylabel="gamma")
    left.set_title("gamma of a row", fontsize=9)
    left.legend(loc="upper right", frameon=False)
    lines = (("0 (cross-entropy)", 0.0, "-"), ("1", 1.0, ":"), ("3", 3.0, "--"), ("5", 5.0, "-."))
    for (label, gamma, line), grey in zip(lines, ("0.0", "0.55", "0.35", "0.2"), strict=True):
        right.plot(
            p, gradient_ratio(p, gamma), color=grey, linestyle=line, label=f"gamma = {label}"
        )
    right.plot(
        p,
        gradient_ratio(p, FLSDLoss().gamma_at(p)),
        color="#d95f02",
        linewidth=3,
        alpha=0.45,
        label="flsd-53",
    )
    right.set(
        xlim=(0, 1), ylim=(0, 2), xlabel="p, the probability of the label", ylabel="g(p, gamma)"
    )
    right.set_title("gradient of focal loss over that of cross-entropy", fontsize=9)
    right.legend(loc="upper right", frameon=False)
    figure.savefig(IMAGES / "focal-gamma.png")
    plt.close(figure)


if __name__ == "__main__":
    main()

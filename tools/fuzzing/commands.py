"""Commands that read a file of a kind, most of them cheap, so that many can be tried."""

from __future__ import annotations

from random import Random

from calibtool.diagrams.registry import KINDS as DIAGRAMS
from fuzzing.arrays import SEVERAL
from fuzzing.seeds import GOOD

# A template is split at spaces, then {file}, {partner}, {out} and words of POOLS are filled in.
PHRASES = {"rule", "exported", "kind", "prior"}  # pools whose values are templates of their own
POOLS: dict[str, tuple[str, ...]] = {
    "few": (
        *("ece,nll", "ece", "brier,accuracy", "nll,ece(bins=5),mce", "auroc,ece-em"),
        "calibration-lp,calibration-lp(view=top,side=over)",
    ),
    "metrics": ("default", "paper", "binned", "scores", "clinical,ranking", "all"),
    "format": ("table", "json", "csv", "markdown"),
    "gate": ("table", "json", "csv", "markdown", "github", "gitlab", "junit", "sarif", "tap"),
    "shown": ("table", "json"),
    "quick": (
        *("temperature", "platt", "isotonic", "histogram", "vector", "beta", "spline", "bbq"),
        "quadratic",
        *("matrix", "dirichlet", "venn-abers", "scaling-binning", "enir", "bias-corrected"),
        *("structured-vector", "ensemble-temperature", "order-preserving"),
    ),
    "binary": ("platt", "isotonic", "histogram", "beta", "quadratic", "bbq"),
    "by": ("predicted", "confidence", "country", "label", "day", "age"),
    "every": ("day", "file", "country", "week"),
    "filter": (
        *("score > 0.5", "label = 1", "country = 'PL'", "age is null", "confidence < 0.9"),
        *("country in ('PL', 'SE') and not age >= 30", "day = '2026-11-01'", "label in (0, 2)"),
    ),
    "table": (".npz", ".parquet", ".csv", ".arrow"),
    "shape": ("logits", "probs", "score"),
    "drawn": tuple(name for name in DIAGRAMS if name not in ("shift", "compare", "sets")),
    "exported": ("--to python -o {out}.py", "--to c -o {out}.h"),
    "kind": (*(flags for _, several in SEVERAL.values() for flags in several), "--ignore 1"),
    "prior": (
        *("--undersampled 0.2", "--target-prior 0.2,0.8", "--target-prior 0.2,0.3,0.5"),
        *(f"--target {GOOD}/multi.npz", f"--target {GOOD}/two.npz"),
    ),
    "other": (f"{GOOD}/multi.npz", f"{GOOD}/two.npz", f"{GOOD}/conf.npz", f"{GOOD}/table.parquet"),
    "calibrator": (f"{GOOD}/multi-calibrator.json", f"{GOOD}/two-calibrator.json"),
    "costs": (f"{GOOD}/multi-costs.toml", f"{GOOD}/two-costs.toml"),
    "rule": ("lac", "aps", "raps", "lac --per-class", "aps --deterministic", "raps --penalty 1"),
    "question": ("team", "spam", "refund", "zzz", ""),
    "norm": ("none", "chars", "bytes", "mutual-info"),
    "field": (
        *("confidence", "scores.stated.metadata.confidence", "probs.0", "id", "custom_id"),
        *("filtered_resps.0.0", "answers", "a.b", "..", "logits", "type", "cifar/vit/test/labels"),
    ),
    "reader": ("json-lines", "lm-eval", "helm", "json", "decisions", "csv", "npz", "zzz"),
    "delta": ("delta(nll) <= 0.1", "delta(ece) <= 0.1"),
}
# kind of file -> (weight, template)
TEMPLATES: dict[str, tuple[tuple[float, str], ...]] = {
    "rows": (
        (5, "inspect {file} --format {shown}"),
        (8, "evaluate {file} --ci none --metrics {few}"),
        (0.4, "evaluate {file} --ci none --metrics {metrics}"),
        (1, "evaluate {file} --metrics {few} --resamples 20 --format {format}"),
        (4, "cells {file} -o {out}.cells"),
        (0.5, "test {file} --resamples 19 --format {format}"),
        (3, "apply {calibrator} {file} -o {out}{table}"),
        (1, "split {file} -o {out}1{table} -o {out}2{table}"),
        (1.5, "fit-{quick} {file} -o {out}.json --ci none"),
        (0.3, "fit-multicalibration {file} --by {by} -o {out}.json --ci none --format {format}"),
        (1, "check {file} --require ece<=0.5 --resamples 20 --format {gate}"),
        (0.2, "check {file} --require ece<=0.9 --by {by} --resamples 20 --format {gate}"),
        (0.05, "plot {drawn} {file} --resamples 20 -o {out}.svg"),
        (0.6, "evaluate {file} --by {by} --ci none --metrics {few} --format {format}"),
        (0.1, "compare {file} {other} --metrics ece,nll --resamples 20 --format {format}"),
        (0.5, "evaluate {file} {other} --metrics {few} --resamples 20 --format {format}"),
        (0.5, "evaluate {file} {file} --metrics {few} --resamples 20 --format latex --pm"),
        (1.5, "evaluate {file} --ci none --metrics ece --filter {filter}"),
        (0.1, "compare {file} {file} --metrics ece,nll --resamples 20 --format {format}"),
        (0.3, "slices {file} --format {format}"),
        (0.6, "monitor {file} --every {every} --ci none --format {format}"),
        (0.6, "evaluate {file} --ci none --metrics ece --skip-bad-files"),
        (1, "threshold {file} --target risk<=0.6 --delta 0.3 -o {out}.json --format {format}"),
        (0.3, "threshold {file} --cost {costs} --format {format}"),
        (0.3, "threshold {file} --cost {costs} --target cost<=1 --delta 0.3 -o {out}.json"),
        (0.1, "report {file} -o {out}.html --resamples 20 --metrics ece"),
        (1, "evaluate {file} --ci none --metrics {few} {kind}"),
        (0.5, "inspect {file} {kind}"),
        (0.5, "cells {file} -o {out}.cells {kind}"),
        (0.5, "fit-{quick} {file} -o {out}.json --ci none {kind}"),
        (0.5, "apply {calibrator} {file} -o {out}{table} {kind}"),
        (0.5, "fit-{quick} {file} -o {out}.json --ci none {prior}"),
        (0.5, "estimate {file} --resamples 20 --format {format}"),
        (0.3, "estimate {file} --labelled {other} --resamples 20 --format {format}"),
        (0.3, "estimate {other} --labelled {file} --resamples 20 --format {format}"),
        (1, "sets {file} -o {out}.json --coverage 0.8 --method {rule} --format {format}"),
        (1, "evaluate {file} --sets good/multi-sets.json --resamples 20 --format {format}"),
    ),
    "array": (
        (3, "evaluate {file} --{shape} {stem} --labels-file good/labels.npy --ci none"),
        (2, "inspect {file} --labels-file good/labels.npy"),
        (1, "cells {file} --{shape} {stem} --labels-file good/labels.npy -o {out}.cells"),
        (1, "fit-{quick} {file} --{shape} {stem} --labels-file good/labels.npy -o {out}.json"),
    ),
    "labels": (
        (3, "evaluate good/outputs.npy --logits outputs --labels-file {file} --ci none"),
        (1, "fit-temperature good/outputs.npy --logits outputs --labels-file {file} -o {out}.json"),
        (1, "inspect {file}"),
    ),
    "calibrator": (
        (5, "apply {file} {partner} -o {out}{table}"),
        (1, "evaluate {partner} --calibrator {file} --ci none --metrics ece,nll"),
        (2, "export {file} --to python -o {out}.py"),
        (2, "export {file} --to c -o {out}.h"),
        (0.5, "check {partner} --calibrator {file} --require ece<=0.9 --resamples 20"),
        (0.05, "plot reliability {partner} --calibrator {file} --resamples 20 -o {out}.svg"),
        (0.5, "apply {file} {other} -o {out}{table}"),
    ),
    "threshold": (
        (5, "apply {file} {partner} -o {out}{table}"),
        (3, "check {partner} --threshold {file} --resamples 20 --format {format}"),
        (2, "export {file} {exported}"),
        (0.5, "apply {file} {other} -o {out}{table}"),
    ),
    "costs": (
        (4, "threshold {partner} --cost {file} --format {format}"),
        (2, "threshold {partner} --cost {file} --target cost<=1.5 --delta 0.3 -o {out}.json"),
        (1, "threshold {other} --cost {file} --calibrator {calibrator} --format {format}"),
    ),
    "sets": (
        (5, "apply {file} {partner} -o {out}{table}"),
        (3, "evaluate {partner} --sets {file} --by {by} --resamples 20 --format {format}"),
        (1, "check {partner} --sets {file} --require set-size<=2 --resamples 20"),
        (0.05, "plot sets {partner} --sets {file} --resamples 20 -o {out}.svg"),
        (0.5, "apply {file} {other} -o {out}{table}"),
    ),
    "cells": (
        (5, "evaluate {file} --ci none --format {format}"),
        (0.3, "evaluate {file} --resamples 20"),
        (4, "merge {file} good/multi.cells -o {out}.cells"),
        (0.5, "check {file} --require ece<=0.5 --resamples 20 --format {gate}"),
        (1, "fit-{binary} {file} -o {out}.json --ci none"),
        (0.05, "plot reliability {file} --resamples 20 -o {out}.svg"),
        (0.05, "report {file} -o {out}.html --resamples 20"),
        (0.5, "monitor {file} --every file --ci none"),
    ),
    "logs": (
        (4, "evaluate {file} --ci none --metrics accuracy,ece"),
        (3, "evaluate {file} --ci none --metrics accuracy,ece --options A,B,C,D"),
        (1, "evaluate {file} --ci none --metrics accuracy,ece --question {question}"),
        (1, "evaluate {file} --ci none --metrics ece --norm {norm} --drop-missing"),
        (1, "evaluate {file} --ci none --metrics ece --skip-bad-rows --by {field}"),
        (1, "evaluate {file} --ci none --confidence {field} --correct {field}"),
        (1, "evaluate {file} --ci none --logits {field} --labels-file good/labels.npy"),
        (1, "evaluate {file} --ci none --labels-file good/table.parquet --id {field}"),
        (1, "evaluate {file} --ci none --reader {reader} --metrics ece"),
        (1, "evaluate {file} --ci none --metrics {few} {kind}"),
        (0.3, "estimate {file} --resamples 20"),
        (3, "inspect {file}"),
        (1, "apply {calibrator} {file} -o {out}{table} --scale 100"),
        (0.5, "check {file} --require ece<=0.5 --resamples 20"),
        (0.3, "fit-{binary} {file} -o {out}.json --ci none"),
    ),
    "state": ((1, "cells {partner} -o {out}.cells --state {file}"),),
    "report": (
        (1, "check {partner} --baseline {file} --require {delta} --resamples 20 --format {gate}"),
        (0.2, "check {other} --baseline {file} --require {delta} --resamples 20"),
    ),
    "toml": ((4, "check {other} --config {file}"), (1, "check --config {file}")),
    "train": (
        (4, "train --data {file} --model mlp --epochs 1 --threads 1 --device cpu --out {out}"),
        (1, "train --config {file} --threads 1 --device cpu --out {out}"),
    ),
}


def reading(rng: Random, kind: str, file: str, out: str, partner: str = "") -> list[str]:
    """Return a command that reads `file`, which writes to names that begin with `out`."""
    weights, templates = zip(*TEMPLATES[kind], strict=True)
    (template,) = rng.choices(templates, weights)
    words = {name: rng.choice(pool) for name, pool in POOLS.items()}
    words |= {"file": file, "out": out, "stem": file.rpartition(".")[0]}
    words["partner"] = partner or words["other"]
    for name in PHRASES:
        template = template.replace(f"{{{name}}}", words[name])
    return [token.format(**words) for token in template.split()]

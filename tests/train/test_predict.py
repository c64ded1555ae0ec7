"""`calibtool predict` and `load_model`: a run's model on new data, and what it says of them."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
from PIL import Image
from scipy.special import softmax
from small import blobs, pictures
from torch import nn

import calibtool as ct
from calibtool.errors import InputError, UsageError
from calibtool.train import load_model
from calibtool.train import predict as predict_rows

FEW = ("--epochs", "2", "--batch-size", "32", "--threads", "1")
WORDS = ("dull", "fair", "good")


@pytest.fixture
def predict(train):
    """`calibtool predict` to out.npz, which is returned."""

    def call(run, data, *options):
        result = train("--run", run, "--data", data, *options, "-o", "out.npz", command="predict")
        assert result.code == 0, result.err
        assert result.out == ""
        return dict(np.load("out.npz")), result.err

    return call


@pytest.fixture
def run(train, features):
    """A run on features.npz."""
    assert train("--data", features, *FEW, "--out", "run").code == 0
    return Path("run")


def table(path, columns):
    pa.csv.write_csv(pa.table(columns), path)


def texts(n=60):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    return [f"a {WORDS[k]} one, number {rng.integers(9)}" for k in y], y


# ------------------------------------------------------------------ what is written


def test_logits_labels_and_ids_are_those_of_the_run(run, features, predict, train):
    out, said = predict(run, features)
    test = np.load("run/test_logits.npz")
    rows = np.searchsorted(out["ids"], test["ids"])
    np.testing.assert_allclose(out["logits"][rows], test["logits"], atol=1e-5)
    np.testing.assert_array_equal(out["labels"][rows], test["labels"])
    next_ = re.search(r"Next: calibtool (\S+) (.*)", said)
    assert next_[2] == "out.npz --calibrator run/temperature.json"
    assert train(*next_[2].split(), command=next_[1]).code == 0


def test_rows_without_labels_get_logits_and_the_next_command_calibrates_them(run, predict, train):
    x, _ = blobs(30, seed=4)
    np.savez("new.npz", x=x)
    out, said = predict(run, "new.npz")
    assert set(out) == {"logits", "ids"}
    assert "new.npz: has no labels" in said
    next_ = re.search(r"Next: calibtool (\S+) (.*)", said)
    assert train(*next_[2].split(), command=next_[1]).code == 0
    probs, _ = predict(run, "new.npz", "--write", "probs")
    np.testing.assert_allclose(np.load("calibrated.npz")["probs"], probs["probs"], atol=1e-6)


def test_probabilities_are_those_after_the_temperature(run, features, predict):
    x, y = blobs(30, seed=4)
    np.savez("new.npz", x=x, y=y)
    out, said = predict(run, "new.npz", "--write", "probs")
    temperature = json.loads((run / "report.json").read_text())["temperature"]
    logits = load_model(run)(torch.from_numpy(x))
    np.testing.assert_allclose(
        out["probs"], softmax(logits.detach().numpy() / temperature, 1), atol=1e-6
    )
    assert f"run after temperature scaling (T = {temperature:.5g}), to out.npz" in said
    model = load_model(run, calibrated=True)
    given = model(x)  # an array will do
    np.testing.assert_allclose(given.numpy(), out["probs"], atol=1e-6)
    assert not given.requires_grad
    assert ct.evaluate(ct.load("out.npz"), "nll", ci="none")["nll"].value > 0


def test_another_calibrator_is_applied(run, features, predict, train):
    assert train("run/val_logits.npz", "-o", "v.json", command="fit-structured-vector").code == 0
    out, said = predict(run, features, "--write", "probs", "--calibrator", "v.json")
    assert "after structured vector scaling" in said
    np.testing.assert_allclose(
        load_model(run, calibrated="v.json")(np.load(features)["x"]).numpy(), out["probs"]
    )
    # a calibrator.json in the folder goes before the temperature
    shutil.move("v.json", run / "calibrator.json")
    again, _ = predict(run, features, "--write", "probs")
    np.testing.assert_array_equal(again["probs"], out["probs"])
    assert "--calibrator run/calibrator.json" in predict(run, features)[1]
    (run / "calibrator.json").unlink()
    (run / "temperature.json").unlink()
    assert "Next: calibtool evaluate out.npz\n" in predict(run, features)[1]
    with pytest.raises(InputError, match=r"no temperature.json.*calibtool select run/val"):
        load_model(run, calibrated=True)


# ------------------------------------------------------------------ doors


def test_columns_are_found_by_their_names_in_any_order(train, folder, predict):
    x, y = blobs(120)
    named = {f"f{k}": x[:, k] for k in range(8)}
    table("t.csv", {**named, "label": y})
    assert train("--data", "t.csv", *FEW, "--out", "run").code == 0
    whole, _ = predict("run", "t.csv")
    table("new.csv", {"who": np.arange(120), **dict(reversed(named.items()))})
    turned, _ = predict("run", "new.csv")
    np.testing.assert_allclose(turned["logits"], whole["logits"], atol=1e-6)
    table("less.csv", {k: v for k, v in named.items() if k != "f3"})
    result = train("--run", "run", "--data", "less.csv", "-o", "o.npz", command="predict")
    assert "less.csv: --inputs: there is no 'f3'" in result.err


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_of_data_that_are_split(run, predict, part):
    x, y = blobs(40, seed=2)
    parts = {"train": (x[:30], y[:30]), "test": (x[30:], y[30:])}
    keys = {f"x_{name}": pair[0] for name, pair in parts.items()}
    np.savez("keys.npz", **keys, **{f"y_{name}": pair[1] for name, pair in parts.items()})
    np.savez("column.npz", x=x, y=y, split=["train"] * 30 + ["test"] * 10)
    Path("d.py").write_text(
        "import numpy as np\ndef load():\n    d = np.load('keys.npz')\n"
        "    return {p: (d[f'x_{p}'], d[f'y_{p}']) for p in ('train', 'test')}\n"
    )
    outs = [
        predict(run, data, "--part", part)[0] for data in ("keys.npz", "column.npz", "d.py:load")
    ]
    for out in outs:
        np.testing.assert_array_equal(out["labels"], parts[part][1])
        np.testing.assert_array_equal(out["logits"], outs[0]["logits"])
    whole, _ = predict(run, "column.npz")
    assert len(whole["labels"]) == 40


def test_functions_may_return_inputs_alone(run, predict):
    x, y = blobs(20, seed=2)
    np.savez("new.npz", x=x, y=y)
    Path("d.py").write_text(
        "import numpy as np\nx, y = (np.load('new.npz')[k] for k in 'xy')\n"
        "def plain(): return x\n"
        "def pair(): return x, y\n"
        "def none(): return x, None\n"
        "def named(): return {'x': x, 'ids': 100 + np.arange(20)}\n"
        "def listed(): return list(zip(x, y))\n"
    )
    expected, _ = predict(run, "new.npz")
    for name, labelled in (("plain", 0), ("pair", 1), ("none", 0), ("named", 0), ("listed", 1)):
        out, _ = predict(run, f"d.py:{name}")
        np.testing.assert_array_equal(out["logits"], expected["logits"], name)
        assert ("labels" in out) == labelled, name
        assert out["ids"][0] == (100 if name == "named" else 0)


def image(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_images_of_a_folder_with_and_without_classes(train, folder, predict):
    x, y = pictures(60)
    for row, (pixels, k) in enumerate(zip(x, y, strict=True)):
        colour = np.stack([pixels, pixels, 255 - pixels], axis=2).astype(np.uint8)
        image(Path("pics", WORDS[k], f"{row:03}.png"), colour)
        image(Path("loose", f"{row:03}.png"), colour)
    image(Path("grey/a.png"), x[0].astype(np.uint8))
    assert train("--model", "linear", "--data", "pics", *FEW, "--out", "run").code == 0
    classed, _ = predict("run", "pics")
    loose, _ = predict("run", "loose")
    order = np.argsort([Path(i).name for i in classed["ids"]])
    np.testing.assert_allclose(classed["logits"][order], loose["logits"], atol=1e-6)
    np.testing.assert_array_equal(classed["labels"][order], y)
    assert "labels" not in loose
    assert predict("run", "grey")[0]["logits"].shape == (1, len(set(y)))  # as RGB, like the run's
    image(Path("pics/other/1.png"), x[0].astype(np.uint8))
    result = train("--run", "run", "--data", "pics", "-o", "o.npz", command="predict")
    assert "'other' is not a class" in result.err


def test_texts_in_for_models_of_texts(train, folder, predict):
    text, y = texts(120)
    y[::8] = 1  # some labels are wrong, so that there is a finite temperature
    table("t.csv", {"text": text, "label": [WORDS[k] for k in y]})
    options = ("--model", "text-bag(buckets=500)", "--data", "t.csv", "--lr", "0.05")
    assert train(*options, *FEW, "--epochs", "10", "--out", "run").code == 0
    table("new.csv", {"text": text[:7]})
    out, _ = predict("run", "new.csv")
    logits = load_model("run")(text[:7])
    np.testing.assert_allclose(logits.detach().numpy(), out["logits"], atol=1e-5)
    probs = load_model("run", calibrated=True)(["a good one", "a dull one"])
    assert probs.argmax(1).tolist() == [2, 0]


# ------------------------------------------------------------------ labels


LABELS = {
    "names": (["ant", "bee", "cat"], ["bee", "cat", "bee"], None, [1, 2, 1]),
    "one class": (["ant", "bee", "cat"], ["cat", "cat", "cat"], None, [2, 2, 2]),
    "ids of names": (["ant", "bee", "cat"], [0, 2, 1], None, [0, 2, 1]),
    "ids of other names": (["ant", "bee", "cat"], [0, 1, 1], ["cat", "ant"], [2, 0, 0]),
    "numbers with gaps": ([1, 2, 5], [2, 5, 1], None, [1, 2, 0]),
    "whole floats": ([1, 2, 5], [2.0, 5.0, 1.0], None, [1, 2, 0]),
    "ids": ([0, 1, 2], [2, 1, 2], None, [2, 1, 2]),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_are_matched_to_the_classes_of_the_run(train, folder, predict, case):
    trained, new, names, expected = LABELS[case]
    x, y = blobs(90)
    np.savez("t.npz", x=x, y=np.array(trained)[y])
    assert train("--data", "t.npz", *FEW, "--out", "run").code == 0
    stored = {} if names is None else {"classes": np.array(names)}
    np.savez("new.npz", x=x[:3], y=np.array(new), **stored)
    out, _ = predict("run", "new.npz")
    assert out["labels"].tolist() == expected
    assert ct.load("out.npz").labels.tolist() == expected


# ------------------------------------------------------------------ mistakes


def save(**arrays):
    np.savez("new.npz", **arrays)
    return "new.npz"


def csv(**columns):
    table("new.csv", columns)
    return "new.csv"


X = np.zeros((4, 8), np.float32)
MISTAKES = {
    "other features": (lambda: save(x=X[:, :5]), (), "has 5 inputs per row; run was trained on 8"),
    "images": (lambda: save(x=np.zeros((4, 6, 6))), (), "has inputs of shape (1, 6, 6); run was"),
    "texts": (lambda: save(text=np.array(["a"] * 4)), (), "holds text; run was trained on feature"),
    "NaN": (lambda: save(x=X * np.nan), (), "new.npz: x: 4 rows have values that are NaN"),
    "no rows": (lambda: save(x=X[:0]), (), "there are no rows"),
    "no inputs": (lambda: save(z=np.zeros((4, 2, 3, 3, 3))), (), "found no inputs"),
    "another class": (
        lambda: save(x=X, y=[0, 1, 7, 1]),
        (),
        "label 7 in row 2 (counting from 0) is not one of",
    ),
    "no label": (lambda: save(x=X, y=[0, np.nan, 1, 1]), (), "1 labels are missing"),
    "fewer labels": (lambda: save(x=X, y=[0, 1]), (), "4 rows of x, but 2 of y"),
    "key of labels": (lambda: save(x=X), ("--labels", "z"), "--labels: there is no 'z'"),
    "key of ids": (lambda: save(x=X), ("--ids", "z"), "--ids: there is no 'z'"),
    "key of inputs": (lambda: save(x=X), ("--inputs", "z"), "--inputs: there is no 'z'"),
    "no part": (lambda: save(x_train=X, y_train=[0, 1, 0, 1]), (), "split into train; choose"),
    "needless part": (lambda: save(x=X), ("--part", "val"), "is not split; drop --part val"),
    "part without rows": (
        *(lambda: save(x=X, split=np.array(["train"] * 4)), ("--part", "val")),
        "no row has the value val",
    ),
    "columns without an order": (
        *(lambda: csv(**{f"f{k}": X[:, k] for k in range(8)}), ()),
        "has 8 columns of inputs, and run does not say in which order",
    ),
    "no file": (lambda: "none.npz", (), "none.npz: no such file"),
    "a pickle": (lambda: "new.pkl", (), "new.pkl"),
    "no function": (lambda: "none.py:load", (), "none.py: no such file"),
    "logits calibrated": (lambda: save(x=X), ("--calibrator", "c.json"), "is for --write probs"),
    "labels twice": (lambda: save(x=X), ("--no-labels", "--labels", "y"), "cannot be combined"),
    "device": (lambda: save(x=X), ("--device", "cuda:99"), "cuda:99"),
    "batch": (lambda: save(x=X), ("--batch-size", "0"), "--batch-size: must be at least 1"),
}


@pytest.fixture(scope="module")
def kept_run(tmp_path_factory):
    """A run that tests copy."""
    from calibtool.cli.main import main

    home = tmp_path_factory.mktemp("run")
    x, y = blobs(100)
    np.savez(home / "t.npz", x=x, y=y)
    assert main(["train", "--data", str(home / "t.npz"), *FEW, "--out", str(home / "run")]) == 0
    return home / "run"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(kept_run, train, mistake):
    shutil.copytree(kept_run, "run")
    Path("c.json").write_text("{}")
    make, options, says = MISTAKES[mistake]
    result = train("--run", "run", "--data", make(), *options, "-o", "o.npz", command="predict")
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert not Path("o.npz").exists()


def test_labels_that_are_not_there_yet_can_be_left_out(kept_run, predict):
    save(x=X, y=[0, np.nan, 1, 1])
    out, _ = predict(kept_run, "new.npz", "--no-labels")
    assert "labels" not in out


def test_what_is_no_run_is_said(kept_run, train, folder):
    save(x=X)

    def said(run, *options):
        result = train(
            "--run", run, "--data", "new.npz", "-o", "o.npz", *options, command="predict"
        )
        assert result.code == 2
        return result.err

    assert "none: no such folder; give the folder of a run" in said("none")
    Path("empty").mkdir()
    assert "empty: holds no model.safetensors; is the run finished?" in said("empty")
    assert "holds runs, such as" in said(kept_run.parent)
    shutil.copytree(kept_run, "finished")
    Path("finished/config.toml").unlink()
    assert "finished/config.toml: no such file" in said("finished")
    Path("finished/model.safetensors").unlink()
    assert "written by calibtool.train.finish" in said("finished")
    assert "cannot write files with suffix '.xyz'" in said(kept_run, "-o", "o.xyz")
    assert "no/o.npz: cannot be written" in said(kept_run, "-o", "no/o.npz")


def test_runs_of_an_older_and_of_a_newer_version(kept_run, train, predict):
    save(x=X)
    shutil.copytree(kept_run, "run")
    config = Path("run/config.toml")
    text = config.read_text()
    # settings and resolved values that older versions did not write
    config.write_text(re.sub(r"(?m)^(image_size|columns|max_length|class_names) = .*\n", "", text))
    predict("run", "new.npz")
    config.write_text("newest = 1\n" + text)
    result = train("--run", "run", "--data", "new.npz", "-o", "o.npz", command="predict")
    assert "run/config.toml: there is no setting 'newest'" in result.err


# ------------------------------------------------------------------ transformers


class Tokenizer:
    """Letters as tokens; 7 is padding."""

    pad_token_id = 7
    model_max_length = int(1e30)  # as transformers has it where the length is not known

    def __call__(self, texts, *, padding, truncation, return_tensors, max_length=None):
        length = max_length or self.model_max_length
        rows = [[8 + ord(c) % 32 for c in text][:length] for text in texts]
        longest = max(map(len, rows))
        return {"input_ids": np.array([row + [7] * (longest - len(row)) for row in rows])}

    def save_pretrained(self, folder):
        Path(folder, "tokenizer.json").write_text("{}")


class Config:
    max_position_embeddings = 20

    def __init__(self, num_labels):
        self.num_labels = num_labels

    def save_pretrained(self, folder):
        Path(folder).mkdir(exist_ok=True)
        Path(folder, "config.json").write_text(json.dumps({"num_labels": self.num_labels}))


class Classifier(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings, self.classifier = nn.Embedding(40, 8), nn.Linear(8, config.num_labels)

    def forward(self, *, input_ids, attention_mask):
        assert input_ids.shape[1] <= self.config.max_position_embeddings
        mask = attention_mask[..., None]
        mean = (self.embeddings(input_ids) * mask).sum(1) / mask.sum(1)
        return SimpleNamespace(logits=self.classifier(mean))


@pytest.fixture
def transformers(monkeypatch):
    """The package, as far as it is used; ./bert is the only model that it finds by name."""

    def read(folder, file, **_):
        if not Path(folder, file).is_file():
            raise OSError(f"{folder} does not appear to have a file named {file}")
        return json.loads(Path(folder, file).read_text())

    def pretrained(name, *, num_labels, **options):
        read(name, "config.json")
        network = Classifier(Config(num_labels))
        loaded = {"missing_keys": [], "mismatched_keys": []}
        return (network, loaded) if options.get("output_loading_info") else network

    def tokenizer(name, *, trust_remote_code):
        read(name, "tokenizer.json")
        return Tokenizer()

    package = ModuleType("transformers")
    package.AutoTokenizer = SimpleNamespace(from_pretrained=tokenizer)
    package.AutoConfig = SimpleNamespace(
        from_pretrained=lambda name, trust_remote_code: Config(**read(name, "config.json"))
    )
    package.AutoModelForSequenceClassification = SimpleNamespace(
        from_pretrained=pretrained, from_config=lambda config, trust_remote_code: Classifier(config)
    )
    monkeypatch.setitem(sys.modules, "transformers", package)
    Config(2).save_pretrained("bert")
    Tokenizer().save_pretrained("bert")
    text, y = texts()
    table("t.csv", {"text": text, "label": [WORDS[k] for k in y]})
    return text


HF = ("--model", "hf:./bert", "--data", "t.csv", "--lr", "0.1", *FEW)


def test_a_run_of_transformers_loads_where_its_model_is_not(
    train, folder, transformers, predict, monkeypatch
):
    assert train(*HF, "--max-length", "6", "--out", "run").code == 0
    assert {path.name for path in Path("run/hf").iterdir()} == {"config.json", "tokenizer.json"}
    table("new.csv", {"text": transformers})
    before, _ = predict("run", "new.csv")
    Path("elsewhere").mkdir()
    shutil.move("run", "elsewhere/moved")
    shutil.rmtree("bert")
    monkeypatch.chdir("elsewhere")
    out, _ = predict("moved", "../new.csv")
    np.testing.assert_array_equal(out["logits"], before["logits"])
    logits = load_model("moved")(["a good one", "a good deal of words"]).detach()
    assert torch.equal(logits[0], logits[1])  # alike in the first 6 letters
    assert load_model("moved", calibrated=True)(transformers).shape == (60, 3)


def test_a_run_of_transformers_of_an_older_version_needs_its_model(
    train, folder, transformers, predict
):
    assert train(*HF, "--out", "run").code == 0
    shutil.rmtree("run/hf")
    table("new.csv", {"text": transformers})
    predict("run", "new.csv")
    shutil.rmtree("bert")
    with pytest.raises(UsageError, match=r"hf:\./bert"):
        load_model("run")


def test_max_length_is_for_tokenizers(refused, features, transformers):
    options = ("--data", features, "--max-length", "5", *FEW, "--out", "run")
    refused(*options, says=("--max-length is for hf: models of text; --model mlp on features",))
    refused(*HF, "--max-length", "0", "--out", "run", says=("--max-length: must be at least 1",))


def test_texts_are_refused_by_a_model_of_numbers(kept_run):
    with pytest.raises(UsageError, match="was trained on features, not texts"):
        load_model(kept_run)(["a text"])


def test_predict_from_python(kept_run):
    save(x=X)
    predictions = predict_rows(kept_run, "new.npz")
    assert (predictions.rows, predictions.classes, predictions.labels) == (4, 3, None)
    again = predict_rows(load_model(kept_run), "new.npz", batch_size=1)
    np.testing.assert_allclose(again.values, predictions.values, atol=1e-6)

"""Make the example predictions in this folder from real models and real data.

Needs the Fashion-MNIST files of Debian's package, and five Python packages:

    apt-get install dataset-fashion-mnist
    pip install torch==2.13.0 numpy scikit-learn pandas pyarrow
    python make_examples.py OUTPUT_FOLDER

Takes about a minute on one core. Seeds are fixed and one thread is used, so a second
run on the same machine with the same versions writes the same bytes.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_limits
from torch import nn

SEED = 0
DATA = Path("/usr/share/datasets/fashion-mnist")
NAMES = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot"
CLASSES = np.array([name.replace("_", " ") for name in NAMES.split()])


def read_fashion(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N x 784, float32, 0 to 1) and labels of part 'train' or 't10k'."""
    raw_images = gzip.decompress((DATA / f"{part}-images-idx3-ubyte.gz").read_bytes())
    raw_labels = gzip.decompress((DATA / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    images = np.frombuffer(raw_images, np.uint8, offset=16)  # after the IDX header
    labels = np.frombuffer(raw_labels, np.uint8, offset=8)
    return images.reshape(-1, 784).astype(np.float32) / 255, labels.astype(np.int64)


def train_mlp(images: np.ndarray, labels: np.ndarray, epochs: int = 40) -> nn.Module:
    """Train a small MLP with plain cross-entropy, long enough to grow overconfident."""
    torch.manual_seed(SEED)
    hidden = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    model = nn.Sequential(*hidden, nn.Linear(256, 10))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(256):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
    return model


def save_logits(path: Path, logits: np.ndarray, labels: np.ndarray) -> None:
    """Save logits, labels and class names, with no object arrays."""
    # Multiples of 2^-8 are exact in float32 and compress far better than raw logits.
    logits = np.round(logits * 256) / np.float32(256)
    np.savez_compressed(path, logits=logits, labels=labels, classes=CLASSES)


def digits_binary() -> pd.DataFrame:
    """'Is it an 8?': out-of-fold scores of a Gaussian naive Bayes classifier."""
    images, digits = load_digits(return_X_y=True)
    label = (digits == 8).astype(np.int64)
    score, fold = np.empty(len(label)), np.empty(len(label), dtype=np.int64)
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    for number, (fit, held_out) in enumerate(folds.split(images, label)):
        # Smoothing keeps scores off exactly 0 and 1 (some pixels are always blank).
        model = GaussianNB(var_smoothing=0.1).fit(images[fit], label[fit])
        score[held_out] = model.predict_proba(images[held_out])[:, 1]
        fold[held_out] = number
    return pd.DataFrame({"score": score, "label": label, "fold": fold})


def main() -> None:
    """Write the four example files to the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Make calibtool's example files.")
    parser.add_argument("out", type=Path, help="folder to write to (made if missing)")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)

    images, labels = read_fashion("train")
    order = rng.permutation(len(images))
    val, fit = order[:5000], order[5000:]  # 5,000 rows held out, 55,000 to train on
    test_images, test_labels = read_fashion("t10k")
    test = rng.permutation(len(test_images))[:5000]  # 5,000 of the 10,000 test rows
    test_images, test_labels = test_images[test], test_labels[test]

    model = train_mlp(images[fit], labels[fit])
    with torch.no_grad():
        val_logits = model(torch.from_numpy(images[val])).numpy()
        test_logits = model(torch.from_numpy(test_images)).numpy()
    save_logits(out / "fashion_val.npz", val_logits, labels[val])
    save_logits(out / "fashion_test.npz", test_logits, test_labels)

    digits_binary().to_parquet(out / "digits_binary.parquet", index=False)

    # Top label only. Averaging many trees makes a forest underconfident.
    forest = RandomForestClassifier(100, min_samples_leaf=2, random_state=SEED)
    forest.fit(images[fit[:5000]], labels[fit[:5000]])
    votes = forest.predict_proba(test_images[:2000])
    correct = (votes.argmax(axis=1) == test_labels[:2000]).astype(np.int64)
    answers = pd.DataFrame({"confidence": votes.max(axis=1), "correct": correct})
    answers.round(4).to_csv(out / "answers.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # one thread in BLAS and OpenMP, for same bytes
        main()

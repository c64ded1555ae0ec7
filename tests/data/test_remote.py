"""Reading from servers: the same digits as from a local copy, or an error that says who failed."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty import Pages, Proxy
from pyarrow import csv, feather, fs

import calibtool as ct
from calibtool.data.files.open import open_source, open_table
from calibtool.data.files.roles import Choice
from calibtool.errors import CalibtoolError, InputError, UsageError

SECRET = "hunter2secret"
ROWS = 3000
RNG = np.random.default_rng(8)
SCORE = RNG.random(ROWS).astype(np.float32)
LABEL = (RNG.random(ROWS) < SCORE).astype(np.int8)
DAYS = ("2026-11-01", "2026-11-02", "2026-11-03")


def table(day):
    at = slice(DAYS.index(day) * 1000, DAYS.index(day) * 1000 + 1000)
    return pa.table({"score": SCORE[at], "label": LABEL[at]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files on this machine."""
    root = tmp_path_factory.mktemp("scores")
    for day in DAYS:
        (root / "days" / f"day={day}").mkdir(parents=True)
        pq.write_table(table(day), root / f"days/day={day}/a.parquet", row_group_size=250)
    whole = pa.concat_tables(table(day) for day in DAYS)
    pq.write_table(whole, root / "one.parquet", row_group_size=500)
    feather.write_feather(whole, str(root / "one.arrow"), compression="uncompressed")
    csv.write_csv(whole, root / "one.csv")
    np.savez(root / "one.npz", score=SCORE, label=LABEL)
    return root


@pytest.fixture(scope="module")
def s3(folder):
    """moto's server with the folder in a bucket; its port."""
    from moto.server import ThreadedMotoServer

    alone = {
        "AWS_ACCESS_KEY_ID": "AKIA" + SECRET,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
        "no_proxy": "*",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in alone.items():
            patch.setenv(name, value)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        port = server.get_host_and_port()[1]
        store = fs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{port}", scheme="http", allow_bucket_creation=True
        )
        store.create_dir("bucket")
        fs.copy_files(str(folder), "bucket/scores", destination_filesystem=store)
        del store
        yield port
        server.stop()


@pytest.fixture
def proxy(s3, monkeypatch):
    """Makes proxies before the S3 server and points AWS_ENDPOINT_URL at them."""
    made = []

    def make(fault=lambda n: None, latency=0.0):
        made.append(Proxy(s3, fault, latency))
        monkeypatch.setenv("AWS_ENDPOINT_URL", made[-1].url)
        return made[-1]

    yield make
    for server in made:
        server.__exit__()


def digits(path, **keys):
    """What the data say, by every path of reading them."""
    source = open_source(path, Choice(**keys))
    whole = source.load()
    parts = [block for part in source.parts() for block in source.part_blocks(part, 300)]
    np.testing.assert_array_equal(np.concatenate([p.values for p in parts]), whole.values)
    np.testing.assert_array_equal(np.concatenate([p.labels for p in parts]), whole.labels)
    report = ct.evaluate(whole, "ece,nll", ci="percentile", resamples=20)
    return [(e.name, e.value, e.low, e.high) for e in report]


@pytest.mark.parametrize(
    "name", ["one.parquet", "one.arrow", "one.csv", "days", "days/*/*.parquet", "days/**/a.par*"]
)
def test_s3_gives_what_the_local_copy_gives(name, proxy, folder):
    proxy()
    assert digits(f"s3://bucket/scores/{name}") == digits(folder / name)


def test_partitions_of_a_bucket_prune_and_nothing_else_is_fetched(proxy, folder):
    server = proxy()
    keys = {"filter": "day = '2026-11-02' and score > 0.5"}
    found = open_source("s3://bucket/scores/days", Choice(**keys))
    opened = len(server.asked)
    assert found.load().rows == (SCORE[1000:2000] > 0.5).sum()
    assert server.asked[opened:]
    assert all("2026-11-02" in asked for asked in server.asked[opened:])
    assert digits("s3://bucket/scores/days", **keys) == digits(folder / "days", **keys)


FAULTS = {
    "latency": (lambda n: None, 0.02),
    "every third request turned down": (lambda n: "503" if n % 3 == 0 else None, 0.0),
    "every other body cut off": (lambda n: "cut" if n % 2 == 0 else None, 0.0),
    "three times in a row": (lambda n: "503" if 3 <= n <= 5 else None, 0.0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_s3_on_a_bad_day_gives_the_same_digits(fault, proxy, folder):
    server = proxy(*FAULTS[fault])
    assert digits("s3://bucket/scores/one.parquet") == digits(folder / "one.parquet")
    assert fault == "latency" or any(a.endswith(("503", "cut")) for a in server.asked)


@pytest.mark.parametrize("from_", [1, 4])
@pytest.mark.parametrize("skip", [False, True])
def test_s3_that_fails_for_good_is_an_error_and_no_partial_table(from_, skip, proxy, monkeypatch):
    monkeypatch.setattr("calibtool.data.files.store.ATTEMPTS", 3)
    proxy(lambda n: "503" if n >= from_ else None)
    with pytest.raises(InputError) as caught:
        open_source("s3://bucket/scores/days", Choice(skip_bad_files=skip)).load()
    said = str(caught.value)
    assert "s3://bucket/scores/days/day=2026-11-0" in said
    assert re.search("SLOW_DOWN|SERVICE_UNAVAILABLE|503", said)
    assert SECRET not in said


def test_what_s3_lacks(proxy):
    proxy()
    for path, said in {
        "s3://bucket/scores/none.parquet": "no such file",
        "s3://bucket/scores/none/*.parquet": "no such file or folder|no file matches",
        "s3://nobucket/x.parquet": "no such file",
        f"s3://{SECRET}:{SECRET}@bucket/none.parquet?region=x": "s3://bucket/none.parquet: no such",
        f"s3://bucket/one.parquet?token={SECRET}": "takes region, scheme, endpoint_override",
        "s3://bucket/scores/one.npz": "copy it here first",
    }.items():
        with pytest.raises(InputError, match=said) as caught:
            open_source(path)
        assert SECRET not in str(caught.value)


def test_keys_of_the_environment_and_of_the_address_are_never_printed(proxy, folder):
    server = proxy()
    environment = {**os.environ, "AWS_ENDPOINT_URL": server.url}
    secret = f"s3://{SECRET}:{SECRET}@bucket/scores/one.parquet?region=us-east-1"
    for command in (
        ["evaluate", "--ci", "none", "--format", "json"],
        ["inspect"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "calibtool", *command, secret],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "s3://bucket/scores/one.parquet" in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr


def test_parts_of_s3_can_be_sent_to_another_process(proxy):
    proxy()
    source = open_source("s3://bucket/scores/days")
    again, parts = pickle.loads(pickle.dumps((source, source.parts())))
    assert sum(b.rows for part in parts for b in again.part_blocks(part, 400)) == ROWS


def test_without_credentials_the_answer_comes_in_seconds(tmp_path):
    bare = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    nobody = "http://127.0.0.1:9"
    environment = {**bare, "HOME": str(tmp_path), "AWS_ENDPOINT_URL": nobody}
    environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = nobody
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "calibtool", "evaluate", "s3://bucket/x.parquet"],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "s3://bucket/x.parquet" in done.stderr
    assert time.monotonic() - start < 30


# ------------------------------------------------------------------ http


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["one.parquet", "one.arrow", "one.csv"])
def test_http_gives_what_the_local_copy_gives(name, ranges, folder):
    with Pages(folder, ranges=ranges) as server:
        address = f"{server.url}/{name}?X-Signature={SECRET}"
        assert digits(address) == digits(folder / name)
        assert open_source(address).source == f"{server.url}/{name}"
        assert any("bytes=" in asked for asked in server.asked)


def test_a_listing_by_http_is_a_folder_with_partitions(folder):
    with Pages(folder, ranges=True) as server:
        keys = {"filter": "day in ('2026-11-01', '2026-11-03')"}
        assert digits(f"{server.url}/days/", **keys) == digits(folder / "days", **keys)
        assert digits(f"{server.url}/days/**/*.parquet") == digits(folder / "days")


@pytest.mark.parametrize(
    "fault",
    [lambda n: "503" if n % 3 == 0 else None, lambda n: "cut" if n % 2 == 0 else None],
    ids=["503", "cut"],
)
def test_http_on_a_bad_day_gives_the_same_digits(fault, folder):
    with Pages(folder, ranges=True) as pages, Proxy(pages.server_port, fault) as server:
        assert digits(f"{server.url}/one.parquet") == digits(folder / "one.parquet")
        assert any(a.endswith(("503", "cut")) for a in server.asked)


def test_http_that_fails_for_good_says_what_the_server_said(folder, monkeypatch):
    monkeypatch.setattr("calibtool.data.files.fetch.WAITS", (0.01, 0.01))
    with Pages(folder, ranges=True) as pages, Proxy(pages.server_port, lambda n: "503") as server:
        for skip in (False, True):
            with pytest.raises(InputError, match="3 attempts, the last: the server answered 503"):
                open_source(
                    f"{server.url}/one.parquet?key={SECRET}", Choice(skip_bad_files=skip)
                ).load()
    with pytest.raises(InputError, match="onnect") as caught:
        open_source(f"{server.url}/one.parquet?key={SECRET}")
    assert SECRET not in str(caught.value)


def test_http_without_the_file(folder):
    with Pages(folder, ranges=True) as server, pytest.raises(InputError, match="no such file"):
        open_source(f"{server.url}/none.parquet?key={SECRET}")


def test_other_schemes_by_fsspec(folder):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/scores/one.parquet", (folder / "one.parquet").read_bytes())
    assert digits("memory://scores/one.parquet") == digits(folder / "one.parquet")
    with pytest.raises(InputError, match=r"nosuch://x/y.parquet: cannot be opened"):
        open_source("nosuch://x/y.parquet")


def test_without_fsspec_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match=r"pip install 'calibtool\[remote\]'"):
        open_source("https://127.0.0.1/x.parquet")


# ------------------------------------------------------------------ paths


def test_a_local_path_with_a_colon_stays_a_path(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    Path("s3:").mkdir()
    for name in ("run:1.parquet", "s3:/one.parquet", "12:30.parquet"):
        Path(name).write_bytes((folder / "one.parquet").read_bytes())
        assert open_source(name).rows == ROWS


def test_file_addresses_are_paths(folder):
    assert open_source(f"file://{folder}/one.parquet").rows == ROWS
    assert open_source(f"file://{folder}/days/*/*.parquet").rows == ROWS
    assert open_table(f"file://{folder}/one.npz").rows == ROWS


def test_a_filter_on_npz_says_what_is_possible(folder):
    with pytest.raises(UsageError, match="tables and logs"):
        ct.load(folder / "one.npz", filter="score > 0.5")
    with pytest.raises(CalibtoolError, match="no such file"):
        ct.load(folder / "none.parquet", filter="score > 0.5")

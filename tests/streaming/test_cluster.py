"""A real cluster of several processes: the same digits, and what happens when parts of it die."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from score_files import ROLES, damage, write

import calibtool as ct
from calibtool.cli.main import main
from calibtool.data.files.open import open_source
from calibtool.data.files.roles import Choice
from calibtool.errors import ClusterError
from calibtool.streaming.cells_file import to_bytes
from calibtool.streaming.engines import dask_cluster
from calibtool.streaming.engines.dask_cluster import Dask, connected, require_alike
from calibtool.streaming.engines.engine import RunOptions

PLAIN = {**os.environ, "OMP_NUM_THREADS": "1"}


@dataclass
class Hosts:
    """Processes of a cluster."""

    address: str
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]


def start(*command, before=()):
    module = [sys.executable, "-m", f"distributed.cli.dask_{command[0]}"]
    return subprocess.Popen(
        [*before, *module, *command[1:], "--no-dashboard"],
        env=PLAIN,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def worker(address, *, before=()):
    return start("worker", address, "--nthreads", "1", "--no-nanny", before=before)


@contextmanager
def hosts(folder, workers, host="127.0.0.1"):
    """A scheduler, and workers as processes of their own."""
    note = folder / f"{time.monotonic_ns()}.json"
    scheduler = start("scheduler", "--host", host, "--port", "0", "--scheduler-file", str(note))
    found = Hosts("", scheduler, [])
    try:
        while not note.exists() or not note.stat().st_size:
            assert scheduler.poll() is None
            time.sleep(0.05)
        found.address = json.loads(note.read_text())["address"]
        found.workers += [worker(found.address) for _ in range(workers)]
        yield found
    finally:
        for process in (*found.workers, scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A scheduler and two workers."""
    with hosts(tmp_path_factory.mktemp("cluster"), 2) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("scores"), files=10, rows=300)


@pytest.fixture
def scores(folder, monkeypatch):
    monkeypatch.setattr("calibtool.data.files.parquet_file.PIECE_ROWS", 200)
    monkeypatch.chdir(folder.parent)
    return folder


def of(scores, **keys):
    return open_source(scores, Choice(score="p", labels="clicked", **keys))


def on(source, engine, **how):
    return replace(source, run=RunOptions(engine, **how))


class At(Dask):
    """Kills a process with -9 when some results are in."""

    def run(self, *given):
        for k, item in enumerate(super().run(*given)):
            if k == 3:
                self.process.kill()
            yield item


# ------------------------------------------------------------------ the same digits


def test_a_cluster_gives_the_bits_of_one_thread(two, scores, tmp_path, monkeypatch):
    torn = write(tmp_path, files=9, rows=300, seed=3)
    for k in (0, 7):
        damage(torn / f"{k:03}.parquet")
    calibrator = ct.fit("platt", of(scores / "000.parquet").load())
    with connected(two.address) as engine:
        for source in (
            of(scores),
            of(scores, weights="w"),
            of(torn, weights="w", skip_bad_files=True),
        ):
            alone = ct.cells(source, threads=1)
            monkeypatch.setattr(dask_cluster, "JOBS", 1)  # tasks of eight parts, too
            for most in (1, 16):
                fresh = open_source(source.table.source, source.choice)
                summary = ct.cells(on(fresh, replace(engine, most=most)))
                assert to_bytes(summary) == to_bytes(alone)
                assert summary.skipped == alone.skipped
        assert len(alone.skipped) == 2
        how = {"calibrator": calibrator, "resamples": 50}
        one = ct.evaluate(replace(of(scores), run=RunOptions()), ["ece", "nll", "accuracy"], **how)
        two_ = ct.evaluate(on(of(scores), engine), ["ece", "nll", "accuracy"], **how)
        assert two_ == one
        parted = [
            ct.evaluate_by(on(of(scores), e), "place", ["ece"], ci="none") for e in (None, engine)
        ]
        assert parted[0] == parted[1]


def test_the_command_on_processes_of_its_own(scores, capsys):
    run = ["evaluate", str(scores), *ROLES, "--resamples", "50", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "calibtool", *run, "--dask", "local:2"],
        capture_output=True,
        text=True,
        env={**PLAIN, "CALIBTOOL_QUIET": "1"},  # a busy machine takes longer than progress waits
        check=True,
    )
    assert done.stderr == ""
    assert main([*run, "--state", str(scores.parent / "run.state")]) == 0
    assert capsys.readouterr().out == done.stdout


def test_a_run_on_a_cluster_goes_on_in_threads(two, scores, tmp_path):
    checkpoint = tmp_path / "run.state"
    alone = ct.cells(of(scores, weights="w"))
    messages = []

    class Stopped(Dask):
        def run(self, *given):
            for k, item in enumerate(super().run(*given)):
                if k == 5:
                    raise KeyboardInterrupt
                yield item

    with connected(two.address) as engine, pytest.raises(KeyboardInterrupt):
        ct.cells(on(of(scores, weights="w"), Stopped(engine.client, 2), state=checkpoint))
    summary = ct.cells(on(of(scores, weights="w"), None, state=checkpoint, say=messages.append))
    assert "continues at" in messages[0]
    assert to_bytes(summary) == to_bytes(alone)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_dask_data_frame_gives_the_bits_of_its_files(two, scores):
    import pandas as pd
    import pyarrow.parquet as pq
    from dask import dataframe
    from distributed import Client

    whole = pq.read_table(scores).to_pandas()
    frame = dataframe.from_pandas(whole, npartitions=6)
    named = frame.rename(columns={"p": "score", "clicked": "label", "w": "weight"})
    alone = ct.cells(of(scores))
    assert to_bytes(ct.cells(ct.from_dask(frame, score="p", labels="clicked"))) == to_bytes(alone)
    assert ct.cells(named).weighted
    with Client(two.address, set_as_default=True):
        summary = ct.cells(ct.from_dask(frame, score="p", labels="clicked"))
        assert to_bytes(summary) == to_bytes(alone)
        report = ct.evaluate(named, ["ece", "nll"], resamples=50)
    assert report == ct.evaluate(named, ["ece", "nll"], resamples=50)
    bad = dataframe.from_pandas(pd.DataFrame({"score": [0.5, 1.5], "label": [0, 1]}), npartitions=1)
    with pytest.raises(ct.CalibtoolError, match=r"partition 0: score: 1 values lie outside"):
        ct.evaluate(bad)
    with pytest.raises(ct.CalibtoolError, match="found no logits, probabilities, score"):
        ct.evaluate(frame)
    with pytest.raises(ct.CalibtoolError, match="needs whole rows in one place"):
        ct.evaluate(named, "skce")


# ------------------------------------------------------------------ what dies


def test_a_worker_killed_in_the_middle_changes_no_bit(two, scores):
    alone = ct.cells(of(scores, weights="w"), threads=1)
    with connected(two.address) as engine:
        extra = worker(two.address)
        try:
            engine.client.wait_for_workers(3, timeout=30)
            at = At(engine.client, 2)
            object.__setattr__(at, "process", extra)
            summary = ct.cells(on(of(scores, weights="w"), at))
            assert extra.wait(timeout=5) == -signal.SIGKILL
        finally:
            extra.kill()
            extra.wait()
    assert to_bytes(summary) == to_bytes(alone)


# The scheduler is killed when work has been handed out and before any result has been fetched;
# later, a fast machine may have fetched them all.
LOST = """
import os, signal, sys, time
from calibtool.streaming.engines.dask_cluster import Dask
fetch, began = Dask._next, []
def killing(self, waiting):
    if not began:
        os.kill(int(sys.argv[1]), signal.SIGKILL)
        began.append(time.monotonic())
    return fetch(self, waiting)
Dask._next = killing
from calibtool.cli.main import main
code = main(sys.argv[2:])
assert time.monotonic() - began[0] < 15
sys.exit(code)
"""


def test_a_scheduler_that_is_lost_is_one_line(scores, tmp_path):
    with hosts(tmp_path, 1) as found:
        run = ["cells", str(scores), *ROLES, "-o", "lost.cells", "--dask", found.address]
        done = subprocess.run(
            [sys.executable, "-c", LOST, str(found.scheduler.pid), *run],
            capture_output=True,
            text=True,
            env=PLAIN,
            check=False,
            cwd=tmp_path,
        )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"calibtool: {found.address}: the scheduler was lost; start it again, then the command "
        "(with --state FILE, it resumes where it was)\n"
    )
    assert not (tmp_path / "lost.cells").exists()


@pytest.mark.parametrize("skip", [False, True])
def test_workers_that_do_not_see_the_files_are_an_error_never_a_skipped_file(
    two, tmp_path, monkeypatch, skip
):
    (tmp_path / "here").mkdir()
    source = of(write(tmp_path / "here", files=3), skip_bad_files=skip)
    (tmp_path / "here").rename(tmp_path / "there")
    with (
        connected(two.address) as engine,
        pytest.raises(ClusterError, match=r"worker tcp://\S+ does not see /\S*here/00") as error,
    ):
        ct.cells(on(source, engine))
    assert "every worker has to see the files" in str(error.value)


def test_processes_of_a_cluster_here_never_see_ctrl_c():
    code = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    ask = [sys.executable, "-c", code]
    before = subprocess.run(ask, capture_output=True, check=True).stdout  # of a job: ignored too
    with dask_cluster.uninterrupted():
        assert subprocess.run(ask, capture_output=True, check=True).stdout == b"True\n"
    assert subprocess.run(ask, capture_output=True, check=True).stdout == before


# ------------------------------------------------------------------ what does not fit


@dataclass
class Fake:
    """A client of a cluster whose workers have other versions."""

    versions: dict

    class scheduler:  # noqa: N801
        address = "tcp://fake:1"

    def wait_for_workers(self, n, timeout):
        if not self.versions:
            raise TimeoutError

    def get_versions(self, packages):
        here = {"python": "3.11.7", "numpy": "2.4.6", "calibtool": ct.__version__}
        return {
            "client": {"packages": here},
            "workers": {"tcp://w:1": {"packages": here}, "tcp://w:2": {"packages": self.versions}},
        }


@pytest.mark.parametrize(
    ("name", "theirs", "said"),
    [
        (
            "calibtool",
            "0.0.9",
            f"worker tcp://w:2 has calibtool 0.0.9, here it is {ct.__version__}",
        ),
        ("numpy", "1.26.4", "worker tcp://w:2 has numpy 1.26.4, here it is 2.4.6"),
        ("python", "3.12.1", "worker tcp://w:2 has python 3.12.1, here it is 3.11.7"),
        ("calibtool", None, "worker tcp://w:2 has no calibtool; install calibtool"),
    ],
)
def test_versions_that_differ_are_refused_by_name(name, theirs, said):
    versions = {"python": "3.11.7", "numpy": "2.4.6", "calibtool": ct.__version__, name: theirs}
    with pytest.raises(ClusterError) as error:
        require_alike(Fake(versions))
    assert str(error.value).startswith(said)


def test_a_scheduler_without_workers_is_an_error():
    with pytest.raises(
        ClusterError, match="no workers; start some with `dask worker tcp://fake:1`"
    ):
        require_alike(Fake({}))


@pytest.mark.parametrize(
    "where", ["local:0", "local:x", "local", "local:-1", "here", "tcp://a", ""]
)
def test_a_place_that_is_none_is_said(scores, capsys, where):
    assert main(["evaluate", str(scores), *ROLES, f"--dask={where}"]) == 2
    printed = capsys.readouterr().err
    assert "expected local:N" in printed
    assert "tcp://host:8786" in printed


def test_nobody_at_the_address(scores, capsys, monkeypatch):
    monkeypatch.setattr(dask_cluster, "SCHEDULER", 1)
    assert main(["cells", str(scores), *ROLES, "-o", "x.cells", "--dask", "tcp://127.0.0.1:9"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(
        "calibtool: --dask tcp://127.0.0.1:9: no scheduler answers there within"
    )


def test_without_the_extra_the_message_says_how_to_get_it(scores, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["evaluate", str(scores), *ROLES, "--dask", "local:2"]) == 2
    assert capsys.readouterr().err == (
        "calibtool: --dask needs Dask: pip install 'calibtool[dask]'\n"
    )


def test_cells_need_no_cluster(scores, capsys):
    assert main(["cells", str(scores), *ROLES, "-o", "all.cells"]) == 0
    assert main(["evaluate", "all.cells", "--dask", "local:2"]) == 2
    assert "--dask only applies to rows (`calibtool cells`)" in capsys.readouterr().err


def test_nothing_imports_dask_unless_it_is_asked_for(scores):
    code = (
        "import sys; from calibtool.cli.main import main; "
        f"main(['cells', {str(scores)!r}, '--score', 'p', '--labels', 'clicked', '-o', 'd.cells']);"
        "assert not {'dask', 'distributed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=PLAIN)


# ------------------------------------------------------------------ hosts of their own


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0


@pytest.fixture
def host(tmp_path):
    """A network namespace that is joined to ours by a cable."""
    name = f"ct{os.getpid() % 10000}"
    if os.geteuid() != 0 or shutil.which("ip") is None or not ip("netns", "add", name):
        pytest.skip("network namespaces need root and iproute2")
    try:
        ready = (
            ip("link", "add", f"{name}a", "type", "veth", "peer", "name", f"{name}b")
            and ip("link", "set", f"{name}b", "netns", name)
            and ip("addr", "add", "10.213.7.1/24", "dev", f"{name}a")
            and ip("link", "set", f"{name}a", "up")
            and ip("-n", name, "addr", "add", "10.213.7.2/24", "dev", f"{name}b")
            and ip("-n", name, "link", "set", f"{name}b", "up")
        )
        if not ready:
            pytest.skip("this machine gives no veth")
        yield name
    finally:
        ip("link", "del", f"{name}a")
        ip("netns", "del", name)


def test_a_worker_on_a_host_of_its_own(host, scores, tmp_path):
    alone = ct.cells(of(scores, weights="w"))
    with hosts(tmp_path, 0, host="10.213.7.1") as found:
        found.workers.append(worker(found.address, before=["ip", "netns", "exec", host]))
        with connected(found.address) as engine:
            (where,) = engine.client.scheduler_info()["workers"]
            assert "10.213.7.2" in where
            summary = ct.cells(on(of(scores, weights="w"), engine))
    assert to_bytes(summary) == to_bytes(alone)

"""The engine of a Dask cluster: parts go to workers, sums come back; `--dask` and `ct.dask`."""

from __future__ import annotations

import logging
import re
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from calibtool.data.files.reader import Part
from calibtool.data.files.source import Source
from calibtool.errors import CalibtoolError, ClusterError, UsageError
from calibtool.streaming.engines.engine import PartResult, Task
from calibtool.streaming.engines.tree import WIDTH, Node, nodes_from
from calibtool.streaming.engines.worker import kept_here, map_node, packed, reduce_found
from calibtool.version import __version__

SCHEDULER = 10  # seconds in which a scheduler has to answer
WORKERS = 60  # seconds in which the first worker has to be there
AHEAD = 8  # parts that wait for a thread of the cluster
JOBS = 64  # of a pass, at least: how often what was found comes back, and can be kept
MOST = 512  # parts whose sum comes back as one
SAME = ("python", "numpy", "calibtool")  # whose versions decide digits
_ADDRESS = re.compile(
    r"(?:(?:tcp|tls|ucx|ws|wss|inproc)://)?[^\s/:]+(?::\d+)(?:/\S*)?|inproc://\S+"
)


@dataclass(frozen=True, eq=False)
class Dask:
    """A client of a cluster.

    Attributes:
        client: distributed.Client.
        most: parts whose sum comes back as one; None for as many as give JOBS of them.
    """

    client: Any
    most: int | None = None

    def run(
        self, work: Task, source: Source, parts: Sequence[Part], root: Node, done: int
    ) -> Iterator[tuple[Node, PartResult]]:
        """Nodes of many parts each, mapped and added up on the cluster."""
        most = self.most or min(max(len(parts) // JOBS, 1), MOST)
        threads = self._threads()
        held = self.client.submit(kept_here, packed(work, source), pure=False)
        plan = _Plan(self.client, held, parts, len(parts) // (JOBS * threads))
        ahead = max(AHEAD * threads, 2 * most)
        waiting: deque[tuple[Node, Any]] = deque()
        under_way = 0
        for node in nodes_from(root, done, most):
            waiting.append((node, plan.of(node)))
            under_way += node.stop - node.start
            if under_way > ahead:
                for ready, found in self._next(waiting):
                    under_way -= ready.stop - ready.start
                    yield ready, found
        while waiting:
            yield from self._next(waiting)

    def _next(self, waiting: deque[tuple[Node, Any]]) -> list[tuple[Node, PartResult]]:
        """What is found at the first nodes, as far as it is there: at least at one."""
        self._wait(waiting[0][1])
        nodes, futures = [], []
        while waiting and waiting[0][1].done():
            node, future = waiting.popleft()
            nodes.append(node)
            futures.append(future)
        with failures(self.client):
            return list(zip(nodes, self.client.gather(futures), strict=True))

    def _wait(self, future: Any) -> None:
        """Until a future is there; an error of ours where the cluster fails."""
        waited = 0.0
        while not future.done():
            with failures(self.client):
                try:
                    future.result(timeout=1)
                except TimeoutError:
                    waited = self._watched(waited)

    def _threads(self) -> int:
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(worker["nthreads"] for worker in workers) or 1

    def _watched(self, waited: float) -> float:
        """How long there has been no worker, after another second without news."""
        if self.client.status != "running":
            raise lost(self.client)
        if self.client.scheduler_info(n_workers=-1)["workers"]:
            return 0.0
        if waited >= WORKERS:
            raise ClusterError(
                f"{address_of(self.client)}: there has been no worker for {WORKERS} seconds; "
                "start some"
            )
        return waited + 1


@dataclass(frozen=True)
class _Plan:
    """Tasks of a cluster for a node: one for `most` parts that are neighbours in the tree, one for
    each sum of those."""

    client: Any
    held: Any
    parts: Sequence[Part]
    most: int

    def of(self, node: Node) -> Any:
        """A future of what is found there."""
        if not node.children or node.stop - node.start <= min(self.most, WIDTH):
            own = self.parts[node.start : node.stop]
            return self.client.submit(map_node, self.held, node, own, pure=False)
        found = [self.of(child) for child in node.children]
        return self.client.submit(reduce_found, found, whole=node.whole, pure=False, priority=1)


@contextmanager
def connected(where: str) -> Iterator[Dask]:
    """A cluster of processes here, `local:4`, or that of a scheduler, `tcp://host:8786`.

    Raises UsageError, ClusterError.
    """
    local = re.fullmatch(r"local:(\d+)", where)
    if not (local and int(local[1])) and (where.startswith("local") or not _is_address(where)):
        raise UsageError(
            f"--dask {where}: expected local:N, with N of 1 or more worker processes, or the "
            "address of a scheduler, such as tcp://host:8786"
        )
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UsageError("--dask needs Dask: pip install 'calibtool[dask]'") from error
    settings = {
        "distributed.comm.timeouts.connect": f"{SCHEDULER}s",
        "distributed.admin.large-graph-warning-threshold": "1GB",
        # of workers here: Dask gives memory back after every block, which costs as much as the work
        "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1},
        "distributed.worker.profile.enabled": False,
    }
    with dask.config.set(settings), quiet():
        cluster: Any = None
        if local:
            with uninterrupted():
                cluster = LocalCluster(
                    n_workers=int(local[1]),
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    silence_logs=logging.CRITICAL,
                    memory_limit=0,
                )
        try:
            client = _client(Client, cluster or where, where)
            try:
                if not local:
                    require_alike(client)
                yield Dask(client)
            finally:
                with suppress(Exception):
                    client.close(timeout=2)
        finally:
            if cluster is not None:
                with suppress(Exception):
                    cluster.close(timeout=5)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Processes that are started meanwhile never see Ctrl-C: it reaches the command alone, which
    ends them. For this moment it does not see it either."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _is_address(where: str) -> bool:
    return _ADDRESS.fullmatch(where) is not None


def _client(make: Any, target: Any, where: str) -> Any:
    try:
        return make(target, timeout=SCHEDULER, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"--dask {where}: no scheduler answers there within {SCHEDULER} seconds; start one "
            "with `dask scheduler`, or use --dask local:4"
        ) from error


def require_alike(client: Any) -> None:
    """Whether there are workers, and whether they have the versions that this process has.

    Raises ClusterError.
    """
    with failures(client):
        try:
            client.wait_for_workers(1, timeout=WORKERS)
        except TimeoutError:
            raise ClusterError(
                f"{address_of(client)}: the scheduler has no workers; start some with "
                f"`dask worker {address_of(client)}`"
            ) from None
        found = client.get_versions(packages=["numpy", "calibtool"])
    here = found["client"]["packages"] | {"calibtool": __version__}
    for worker, said in sorted(found["workers"].items()):
        for name in SAME:
            theirs = (said or {}).get("packages", {}).get(name)
            if theirs == here[name]:
                continue
            if theirs is None:
                raise ClusterError(
                    f"worker {worker} has no {name}; install {name} {here[name]} there"
                )
            raise ClusterError(
                f"worker {worker} has {name} {theirs}, here it is {here[name]}; the same digits "
                "need the same versions: install the same on both"
            )


@contextmanager
def failures(client: Any) -> Iterator[None]:
    """Failures of a cluster as errors of ours."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError

    try:
        yield
    except (CalibtoolError, TimeoutError):
        raise
    except KilledWorker as error:
        raise ClusterError(
            f"{address_of(client)}: workers died again and again on the same rows; is their memory "
            "too small?"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise lost(client) from error
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"{address_of(client)}: workers lack {error.name}; install calibtool {__version__} "
            "there"
        ) from error


def lost(client: Any) -> ClusterError:
    """The scheduler is gone."""
    return ClusterError(
        f"{address_of(client)}: the scheduler was lost; start it again, then the command (with "
        "--state FILE, what is read is kept)"
    )


def address_of(client: Any) -> str:
    """A scheduler's address."""
    return str(client.scheduler.address) if client.scheduler is not None else "the cluster"


@contextmanager
def quiet() -> Iterator[None]:
    """Without the log of a cluster on standard error: what matters in it is raised."""
    names = ("distributed", "tornado", "asyncio", "bokeh")
    loggers = [logging.getLogger(name) for name in names]
    loggers += [
        logging.getLogger(name)
        for name in list(logging.root.manager.loggerDict)
        if name.startswith(("distributed.", "tornado."))
    ]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for one, level in zip(loggers, before, strict=True):
            one.setLevel(level)

"""The engine of a Dask cluster: parts go to workers, sums come back (`--dask`)."""

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
from calibtool.streaming.engines.engine import PartResult, Task, combine
from calibtool.streaming.engines.tree import WIDTH, Node, nodes_from
from calibtool.streaming.engines.worker import map_node, pack, unpack
from calibtool.version import __version__

SCHEDULER = 10  # seconds in which a scheduler has to answer; a running one answers in a moment
WORKERS = 60  # seconds without a worker after which a pass ends; batch systems start workers late
# Parts that are submitted ahead, per thread of the cluster: enough that no thread waits while
# results come back, few enough that a pass of a million parts does not fill the scheduler.
AHEAD = 8
# Fewest results of a pass: progress and checkpoints advance one result at a time.
JOBS = 64
# Most parts whose sum comes back as one result. With 512, the results of a million parts are
# some 2,000 summaries, which the command adds in under a second
# (docs/how-to/cluster.md, "How large").
MOST = 512
SAME = ("python", "numpy", "calibtool")  # packages whose versions can change digits
_ADDRESS = re.compile(
    r"(?:(?:tcp|tls|ucx|ws|wss|inproc)://)?[^\s/:]+(?::\d+)(?:/\S*)?|inproc://\S+"
)


@dataclass(frozen=True, eq=False)
class Dask:
    """The engine that runs a pass on the cluster that a client is connected to.

    Attributes:
        client: distributed.Client.
        most: the number of parts whose sum comes back as one result; None for as many as give JOBS
            results.
    """

    client: Any
    most: int | None = None

    def run(
        self, task: Task, source: Source, parts: Sequence[Part], root: Node, done: int
    ) -> Iterator[tuple[Node, PartResult]]:
        """Yield results of nodes of many parts each, mapped and added on the cluster."""
        most = self.most or min(max(len(parts) // JOBS, 1), MOST)
        threads = self._threads()
        job = self.client.submit(unpack, pack(task, source), pure=False)
        plan = _Plan(self.client, job, parts, len(parts) // (JOBS * threads))
        ahead = max(AHEAD * threads, 2 * most)
        waiting: deque[tuple[Node, Any]] = deque()
        under_way = 0
        for node in nodes_from(root, done, most):
            waiting.append((node, plan.of(node)))
            under_way += node.stop - node.start
            if under_way > ahead:
                for ready, result in self._next(waiting):
                    under_way -= ready.stop - ready.start
                    yield ready, result
        while waiting:
            yield from self._next(waiting)

    def _next(self, waiting: deque[tuple[Node, Any]]) -> list[tuple[Node, PartResult]]:
        """Return the results of the first nodes that are ready, waiting for at least one."""
        self._wait(waiting[0][1])
        nodes, futures = [], []
        while waiting and waiting[0][1].done():
            node, future = waiting.popleft()
            nodes.append(node)
            futures.append(future)
        with failures(self.client):
            return list(zip(nodes, self.client.gather(futures), strict=True))

    def _wait(self, future: Any) -> None:
        """Wait for a future.

        Raises ClusterError if the cluster fails.
        """
        waited = 0.0
        while not future.done():
            with failures(self.client):
                try:
                    future.result(timeout=1)
                except TimeoutError:
                    waited = self._seconds_alone(waited)

    def _threads(self) -> int:
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(worker["nthreads"] for worker in workers) or 1

    def _seconds_alone(self, waited: float) -> float:
        """Return for how long there has been no worker, after another second without a result.

        Raises ClusterError if the scheduler is gone, or workers have been away for too long.
        """
        if self.client.status != "running":
            raise lost(self.client)
        if self.client.scheduler_info(n_workers=-1)["workers"]:
            return 0.0
        if waited >= WORKERS:
            raise ClusterError(
                f"{address_of(self.client)}: there has been no worker for {WORKERS} seconds; "
                "start at least one"
            )
        return waited + 1


@dataclass(frozen=True)
class _Plan:
    """The tasks of a cluster for a node: tasks that map neighbouring parts, and tasks that add.

    Attributes:
        client: distributed.Client.
        job: a future of the task and the source.
        parts: all parts of the source.
        most: a node of at most this many parts, and at most WIDTH, is mapped by one task.
    """

    client: Any
    job: Any
    parts: Sequence[Part]
    most: int

    def of(self, node: Node) -> Any:
        """Return a future of the result at a node."""
        if not node.children or node.stop - node.start <= min(self.most, WIDTH):
            parts = self.parts[node.start : node.stop]
            return self.client.submit(map_node, self.job, node, parts, pure=False)
        results = [self.of(child) for child in node.children]
        # sums come before other tasks: they free the memory of the results that they add
        return self.client.submit(combine, results, whole=node.whole, pure=False, priority=1)


@contextmanager
def connected(where: str) -> Iterator[Dask]:
    """Start processes here (`local:4`), or connect to a scheduler (`tcp://host:8786`).

    Processes end with the context. Raises UsageError if `where` is neither or Dask is missing,
    ClusterError if no scheduler answers or its workers have other versions.
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
        # Dask has workers return memory to the system after every block, which costs as much as the
        # work itself; this replaces the variables that make them do so
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
                    # a pass bounds its memory by itself (reduce.block_rows); near a limit, Dask
                    # would pause workers, or kill them
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
    """Ignore Ctrl-C while worker processes start, so that they inherit this and ignore it for good.

    A terminal sends Ctrl-C to all processes. Only the command handles it, and ends the others.
    """
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
    """Check that there are workers and that they have the versions that this process has.

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
        versions = client.get_versions(packages=["numpy", "calibtool"])
    here = versions["client"]["packages"] | {"calibtool": __version__}
    for worker, reply in sorted(versions["workers"].items()):
        for name in SAME:
            theirs = (reply or {}).get("packages", {}).get(name)
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
    """Raise ClusterError for the failures of a cluster."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError

    try:
        yield
    except (CalibtoolError, TimeoutError):
        raise
    except KilledWorker as error:
        raise ClusterError(
            f"{address_of(client)}: workers died repeatedly on the same rows; is their memory too "
            "small?"
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise lost(client) from error
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"{address_of(client)}: workers lack {error.name}; install calibtool {__version__} "
            "there"
        ) from error


def lost(client: Any) -> ClusterError:
    """Return the error for a scheduler that is gone."""
    return ClusterError(
        f"{address_of(client)}: the scheduler was lost; start it again, then the command (with "
        "--state FILE, it resumes where it was)"
    )


def address_of(client: Any) -> str:
    """Return the address of a client's scheduler."""
    return str(client.scheduler.address) if client.scheduler is not None else "the cluster"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the log of a cluster on standard error: what matters in it is raised as an error."""
    names = ("distributed", "tornado", "asyncio", "bokeh")
    loggers = [logging.getLogger(name) for name in names]
    loggers += [
        logging.getLogger(name)
        for name in list(logging.root.manager.loggerDict)
        if name.startswith(("distributed.", "tornado."))
    ]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

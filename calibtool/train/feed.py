"""Rows on a device, batch by batch, read by torch's DataLoader."""

from __future__ import annotations

import copy
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import BaseContext
from multiprocessing.queues import Queue
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils import signal_handling

from calibtool.errors import CalibtoolError, UsageError
from calibtool.intervals.streams import Stream
from calibtool.train.data.dataset import Arrays, Rows, Taken, source_of
from calibtool.train.world import reseed
from calibtool.types import Array, silent

# Bytes of inputs that are moved to an accelerator once; larger inputs are copied batch by batch. It
# bounds the memory taken from the network: CIFAR-10 takes 0.15 GB, ImageNet would take over 100.
RESIDENT = 4 << 30
HANDLER = "_SIGCHLD_handler_set"  # by which torch knows whether it still has to set its handler
GONE = "a worker that reads the data was stopped; try a smaller --workers, or 0"
Key = tuple[int, ...]


class Reads(Dataset[Any]):
    """Batches of inputs by their index arrays, in this process or in a worker.

    Datasets of the user may draw random numbers, so a key seeds them, batch by batch: the same are
    drawn by any number of workers, and after a run is resumed.
    """

    def __init__(self, rows: Rows) -> None:
        self.inputs = rows.inputs
        self.draws = getattr(source_of(rows.inputs), "draws", False)

    def __getitem__(self, entry: tuple[Key, Array]) -> Any:
        key, index = entry
        if self.draws:
            reseed(Stream.ITEMS, *key)
        try:
            return self.inputs.take(index)
        except CalibtoolError as error:  # a worker's exception would arrive with its traceback
            return error


class Loader(DataLoader[Any]):
    """torch's, for any number of workers: those that wait for a disk may outnumber the cores."""

    def check_worker_number_rationality(self) -> None:
        """Accept the number."""


class QuietQueue(Queue):  # type: ignore[type-arg]
    """A queue that does not print what fails in its thread, such as for a worker that is gone."""

    _on_queue_feeder_error = staticmethod(silent)


def quiet_context() -> BaseContext:
    """Return Python's default way to start processes, with quiet queues."""
    context = copy.copy(multiprocessing.get_context())
    context.Queue = partial(QuietQueue, ctx=context)  # type: ignore[method-assign]
    return context


def silence(worker: int) -> None:
    """Print no tracebacks in a worker: what stopped it is said by this process."""
    sys.excepthook = silent


class Feed:
    """Rows as tensors on a device; an accelerator holds inputs of up to RESIDENT bytes.

    `workers` processes read ahead; None is the number that suits the inputs.
    """

    def __init__(self, rows: Rows, device: torch.device, workers: int | None = None) -> None:
        self.rows, self.device = rows, device
        self.labels = torch.from_numpy(rows.labels).to(device)
        self.resident: Tensor | None = None
        if device.type != "cpu" and (array := _in_memory(rows)) is not None:
            self.resident = torch.from_numpy(array).to(device)
        source = source_of(rows.inputs)
        count = getattr(source, "workers", 0) if workers is None else workers
        count = 0 if isinstance(source, Arrays) else count  # nothing to read ahead
        self.plan: list[tuple[Key, Array]] = []
        self.loader = Loader(
            Reads(rows),
            batch_size=None,  # an entry of the plan is a batch
            sampler=self.plan,
            num_workers=count,
            persistent_workers=count > 0,
            multiprocessing_context=quiet_context() if count else None,
            worker_init_fn=silence,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # one of its own: it draws a seed for each pass
        )

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, index: Array) -> tuple[Tensor, Tensor]:
        """Return inputs, in their stored type, and labels at an index array."""
        positions = torch.from_numpy(index).to(self.device)
        if self.resident is not None:
            x = self.resident[positions]
        else:
            x = torch.from_numpy(self.rows.inputs.take(index)).to(self.device)
        return x, self.labels[positions]

    def load(
        self, batches: list[Array], *key: int, first: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and labels of each index array, as `batch` does, read ahead by the workers.

        The batches before the `first` are left out. `watched` says that a worker is gone.
        """
        if self.resident is not None:
            yield from map(self.batch, batches[first:])
            return
        self.plan[:] = [((*key, number), index) for number, index in enumerate(batches)][first:]
        read = iter(self.loader)
        for index in batches[first:]:
            try:
                x = next(read)
            except (EOFError, ConnectionError, FileNotFoundError) as error:
                raise UsageError(GONE) from error  # it was gone while it handed over a batch
            if isinstance(x, CalibtoolError):
                raise x
            labels = self.labels[torch.from_numpy(index).to(self.device)]
            yield x.to(self.device, non_blocking=True), labels


def cut(order: Array, size: int) -> list[Array]:
    """Return the fewest batches of at most `size` rows, alike to within one row.

    Full batches and a remainder could end with a single row, for which batch norm has no variance.
    """
    return np.array_split(order, -(-len(order) // size))


@contextmanager
def watched() -> Iterator[None]:
    """Raise UsageError if a worker is gone, which torch notices when the next batch is read.

    By its handler of a signal, torch would raise it wherever the program is by then: in the middle
    of a file, or in a destructor, whose tracebacks Python prints.
    """
    has_handler = vars(signal_handling)[HANDLER]
    setattr(signal_handling, HANDLER, True)
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UsageError(GONE) from error
    finally:
        setattr(signal_handling, HANDLER, has_handler)


def _in_memory(rows: Rows) -> Array | None:
    """Return a copy of inputs that are in memory and at most RESIDENT bytes; None for others."""
    inputs = rows.inputs
    if isinstance(inputs, Arrays):
        inputs = Taken(inputs, np.arange(len(inputs)))
    if not isinstance(inputs, Taken) or not isinstance(inputs.inputs, Arrays):
        return None
    size = len(inputs) * inputs.inputs.values[:1].nbytes
    return inputs.inputs.take(inputs.index) if size <= RESIDENT else None

"""The place of a run: its device, the processes of torchrun, precision, threads and seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.intervals.streams import Stream, words
from calibtool.types import Array

SEEDS = 3  # generators that are seeded together: those of torch, of Python and of NumPy


@dataclass(frozen=True)
class World:
    """One of the `size` processes of a run; each takes every `size`-th row of a batch."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and prints."""
        return self.rank == 0

    def share(self, index: Array) -> Array:
        """Return the rows of this process."""
        return index[self.rank :: self.size]

    def gather(self, shared: Tensor, rows: int) -> Tensor:
        """Return the results of all processes for shares of `rows` rows, in order, on the CPU."""
        if self.size == 1:
            return shared.cpu()
        longest = -(-rows // self.size)  # all_gather needs tensors of one length
        padded = shared.new_zeros((longest, *shared.shape[1:]))
        padded[: len(shared)] = shared
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.stack(parts, dim=1).flatten(0, 1)[:rows].cpu()

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the processes; `values` is overwritten if there are several."""
        if self.size > 1:
            dist.all_reduce(values)
        return values / self.size

    def first_alone(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the first process while the others wait."""
        if self.first:
            function(*arguments)
        if self.size > 1:
            dist.barrier()


@contextmanager
def open_world(device: str) -> Iterator[World]:
    """Yield the world of this process: alone, or as torchrun describes it in the environment.

    Raises UsageError for a device that cannot be used, and if another process stopped.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0")) if size > 1 else None
    chosen = choose_device(device, local_rank)
    if size == 1:
        yield World(chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield World(chosen, rank, size)
    except RuntimeError as error:
        # if another process is gone, NCCL raises a DistError, gloo a RuntimeError "... by peer"
        if not isinstance(error, dist.DistError) and " by peer" not in str(error):
            raise
        raise UsageError(f"process {rank}: another process stopped; see its message") from error
    finally:
        dist.destroy_process_group()


def choose_device(name: str, local_rank: int | None) -> torch.device:
    """Return the device of --device; "auto" is CUDA, else Apple's MPS, else the CPU.

    With several processes (`local_rank` is a number), "auto" is never MPS, which has one device.
    Raises UsageError for a device that cannot be used.
    """
    if name == "auto":
        name = "cpu"
        if torch.cuda.is_available():
            name = "cuda"
        elif torch.backends.mps.is_available() and local_rank is None:
            name = "mps"
    try:
        device = torch.device(name)
        if device.type == "cuda" and device.index is None and local_rank is not None:
            device = torch.device("cuda", local_rank)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).split("\n", 1)[0]
        raise UsageError(f"--device {name}: cannot be used here: {first}") from error
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the type of forward passes; "auto" is half precision on CUDA, otherwise float32.

    Raises UsageError for float16 on another device.
    """
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    chosen: torch.dtype = getattr(torch, name)
    if chosen is torch.float16 and device.type != "cuda":
        raise UsageError("--precision float16 needs a CUDA device; bfloat16 runs on a CPU too")
    return chosen


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Set the number of torch's threads inside a block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed all generators and choose deterministic kernels inside a block; restore them after it.

    On a GPU, kernels without a deterministic form are used with a warning.
    """
    import random

    cuda = [device] if device.type == "cuda" else []
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    strict = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with torch.random.fork_rng(devices=cuda):
        try:
            reseed(Stream.WORLD, seed)
            torch.use_deterministic_algorithms(device.type == "cpu", warn_only=True)
            # every new tensor would be filled first, which only shows errors of torch itself
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
            torch.use_deterministic_algorithms(strict, warn_only=lenient)
            torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


def reseed(stream: Stream, seed: int, *index: int) -> None:
    """Seed every generator that a network or an augmentation may draw from.

    They all start from words of the piece `index` of a random stream.
    """
    seed_generators(words(stream, seed, *index, count=SEEDS))


def seed_generators(seeds: Sequence[int]) -> None:
    """Seed the generators of torch, Python and NumPy with SEEDS numbers."""
    import random

    torchs, pythons, numpys = seeds
    torch.default_generator.manual_seed(torchs)
    if torch.cuda.is_available():
        torch.cuda.manual_seed(torchs)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(torchs)
    random.seed(pythons)
    np.random.seed(numpys)  # noqa: NPY002

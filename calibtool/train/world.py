"""Where a run computes: the device, the processes of torchrun, the precision, the seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from calibtool.errors import UsageError
from calibtool.types import Array


@dataclass(frozen=True)
class World:
    """A process among those of a run; each takes every `size`-th row of a batch."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def share(self, index: Array) -> Array:
        """The rows that are this process's."""
        return index[self.rank :: self.size]

    def gather(self, own: Tensor, rows: int) -> Tensor:
        """All processes' results for shares of `rows` rows, in the rows' order, on the CPU."""
        if self.size == 1:
            return own.cpu()
        most = -(-rows // self.size)
        padded = own.new_zeros((most, *own.shape[1:]))
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.stack(parts, dim=1).flatten(0, 1)[:rows].cpu()

    def mean(self, own: Tensor) -> Tensor:
        """The mean of what each process has."""
        if self.size > 1:
            dist.all_reduce(own)
        return own / self.size

    def first_alone(self, act: Callable[..., object], *what: object) -> None:
        """The first process does something, while the others wait."""
        if self.first:
            act(*what)
        self.agree()

    def agree(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def open_world(device: str) -> Iterator[World]:
    """Where a process stands: alone, or as torchrun set it in the environment."""
    size, rank = (int(os.environ.get(name, d)) for name, d in (("WORLD_SIZE", "1"), ("RANK", "0")))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")) if size > 1 else None)
    if size == 1:
        yield World(chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield World(chosen, rank, size)
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and " by peer" not in str(error):
            raise
        raise UsageError(f"process {rank}: another process stopped; see its message") from error
    finally:
        dist.destroy_process_group()


def choose_device(name: str, local_rank: int | None) -> torch.device:
    """The device meant by --device; "auto" is CUDA, then Apple's MPS, then the CPU."""
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
    """The type that forward passes compute in; "auto" is bfloat16 or float16 on CUDA."""
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
    """A block in which torch computes in so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """A block whose random numbers and kernels are those of the seed; what was before comes back.

    Kernels without a deterministic form warn on a GPU and are used all the same.
    """
    import random

    cuda = [device] if device.type == "cuda" else []
    kept, numpy_kept = random.getstate(), np.random.get_state()  # noqa: NPY002
    strict = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=cuda):
        try:
            reseed(seed)
            torch.use_deterministic_algorithms(device.type == "cpu", warn_only=True)
            yield
        finally:
            random.setstate(kept)
            np.random.set_state(numpy_kept)  # noqa: NPY002
            torch.use_deterministic_algorithms(strict, warn_only=lenient)


def reseed(*seed: int) -> None:
    """Every generator that a network or an augmentation may draw from, by numbers."""
    import random

    words = np.random.SeedSequence(seed).generate_state(3)
    torch.default_generator.manual_seed(int(words[0]))
    if torch.cuda.is_available():
        torch.cuda.manual_seed(int(words[0]))
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(int(words[0]))
    random.seed(int(words[1]))
    np.random.seed(int(words[2]))  # noqa: NPY002

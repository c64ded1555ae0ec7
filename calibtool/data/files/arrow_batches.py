"""What every file that becomes batches of Arrow has in common: the names of its errors, and the
columns in its path; and the check of what is in it.

pyarrow.dataset is not needed here: it imports pandas, which takes longer than all of pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from calibtool.data.files import secrets, store
from calibtool.errors import InputError, UnreadableError


def with_keys(
    batch: pa.RecordBatch, names: Sequence[str], keys: Mapping[str, Any], schema: pa.Schema
) -> pa.RecordBatch:
    """Return a batch with the named columns that are in the path of its file."""
    for name in names:
        if name in keys:
            value = pa.scalar(keys[name], schema.field(name).type)
            batch = batch.append_column(name, pa.repeat(value, batch.num_rows))
    return batch


def without_columns(rows: int) -> pa.RecordBatch:
    """Return a batch of rows without columns."""
    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))


def validated(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch of a file after checking its offsets, dictionary codes and texts, which
    pyarrow trusts: a damaged one would be read beyond its end.

    Raises pyarrow.ArrowInvalid.
    """
    batch.validate(full=True)
    return batch


@contextmanager
def errors(shown: str, *, near: bool = True) -> Iterator[None]:
    """Raise UnreadableError for Arrow's errors about a file, InputError for those about the machine
    or a server."""
    try:
        yield
    except MemoryError as error:
        raise InputError(f"{shown}: does not fit in memory ({secrets.clean(error)})") from error
    except FileNotFoundError as error:
        raise UnreadableError(shown, "no such file; was it deleted?") from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = secrets.clean(error)
        if not near and store.of_server(error):
            raise InputError(f"{shown}: cannot be read: {reason}") from error
        raise UnreadableError(shown, f"cannot be read: {reason}") from error

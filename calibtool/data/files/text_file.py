"""csv and tsv files that are compressed: read from front to back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
from pyarrow import csv

from calibtool.data.files.arrow_batches import errors
from calibtool.data.files.arrow_file import CSV_BLOCK
from calibtool.data.files.table_file import Whole


@dataclass(eq=False)
class CompressedText(Whole):
    """A csv or tsv file that is decompressed while it is read."""

    delimiter: str = ","
    texts: tuple[str, ...] = ()

    @cached_property
    def _size(self) -> int:
        """The bytes of the text, up to CSV_BLOCK: it is parsed as one block, as in `arrow_file`."""
        size = 0
        with self.stream() as file:
            while size < CSV_BLOCK and (chunk := file.read(1 << 20)):
                size += len(chunk)
        return size

    @cached_property
    def schema(self) -> pa.Schema:
        with errors(self.shown), self.stream() as file:
            return self._opened(file, []).schema

    @cached_property
    def rows(self) -> int:
        # one column is enough to count, but a csv file may have several of its name
        return sum(batch.num_rows for batch in self._read([]))

    def _read(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        with errors(self.shown), self.stream() as file:
            yield from self._opened(file, names)

    def _opened(self, file: object, names: list[str]) -> csv.CSVStreamingReader:
        return csv.open_csv(
            file,
            read_options=csv.ReadOptions(block_size=min(self._size + 1, CSV_BLOCK)),
            parse_options=csv.ParseOptions(delimiter=self.delimiter),
            convert_options=csv.ConvertOptions(
                include_columns=names or None,
                column_types=dict.fromkeys(self.texts, pa.string()),
            ),
        )

"""calibtool example."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path


def command(name: str) -> click.Command:
    """Return the command."""
    return example


@click.command()
@click.argument("folder", default="demo", required=False)
def example(folder: str) -> None:
    """Write small files of real predictions to FOLDER (default: demo/), to try the commands."""
    from pathlib import Path

    from calibtool.cli.output import message
    from calibtool.data.files.write import make_folder, whole_file

    target = Path(folder)
    make_folder(target)
    for path in _shipped():
        with whole_file(target / path.name) as file:
            file.write(path.read_bytes())
        click.echo(message(str(target / path.name)))
    click.echo(message(f"Next: calibtool evaluate {target / 'fashion_test.npz'}"))


def _shipped() -> list[Path]:
    """Return the data files, from the wheel or from the checkout of an editable install."""
    from pathlib import Path

    package = Path(__file__).resolve().parents[1]
    for folder in (package / "examples", package.parent / "docs" / "examples"):
        if folder.is_dir():
            suffixes = (".npz", ".parquet", ".csv")
            return sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    return []

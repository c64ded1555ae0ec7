"""calibtool example."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path


def command(name: str) -> click.Command:
    """The command."""
    return example


@click.command()
@click.argument("folder", default="demo", required=False)
def example(folder: str) -> None:
    """Write small real predictions to FOLDER (demo/ by default), to try the commands on."""
    from pathlib import Path

    from calibtool.data.files.write import whole_file
    from calibtool.errors import UsageError

    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{target}: cannot be made: {error.strerror}") from error
    for item in _shipped():
        with whole_file(target / item.name) as out:
            out.write(item.read_bytes())
        click.echo(str(target / item.name))
    click.echo(f"Next: calibtool evaluate {target / 'fashion_test.npz'}")


def _shipped() -> list[Path]:
    """The data files: in the wheel, or in the checkout of an editable install."""
    from pathlib import Path

    package = Path(__file__).resolve().parents[1]
    for folder in (package / "examples", package.parent / "docs" / "examples"):
        if folder.is_dir():
            known = (".npz", ".parquet", ".csv")
            return sorted(item for item in folder.iterdir() if item.suffix in known)
    return []

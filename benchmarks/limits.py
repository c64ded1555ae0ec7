"""Every benchmark of speed and memory, one after another: python benchmarks/limits.py

Runs the scripts whose rows have an aim (half an hour on a quiet machine), and names the rows that
fall short of theirs. Peers are measured where they are installed. `--only-report` runs nothing, and
names them from the last results.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    ("commands.py",),
    ("many_rows.py", "--large"),
    ("classes.py", "--large"),
    ("speed.py",),
    ("binning_free.py",),
    ("calibrators.py", "speed"),
    ("json_lines.py",),
)


def main() -> None:
    """Run all, and name what is not met."""
    for script, *options in () if "--only-report" in sys.argv else SCRIPTS:
        print(f"\n{script}", flush=True)
        subprocess.run([sys.executable, HERE / script, *options], check=True)
    sys.path.append(str(HERE.parent / "tools"))
    from command_tables import unmet

    print("\nNot met:")
    for what, measured, aim, script in unmet():
        print(f"- {what}: {measured}, aim {aim} ({script})")


if __name__ == "__main__":
    main()

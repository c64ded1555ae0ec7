"""The picture of a report that README.md and docs/how-to/report.md show; needs Debian's chromium.

python tools/screenshot.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "report.png"
WIDTH, HEIGHT = 1000, 1400  # down to the diagrams
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
)


def main() -> int:
    """Make the report, look at it, keep the picture."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        example = "docs/examples/fashion_test.npz"
        subprocess.run(["calibtool", "report", example, "-o", page], cwd=ROOT, check=True)
        look = [f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{HEIGHT}"]
        shot = [chromium, *FLAGS, *look, f"--screenshot={PICTURE}", page.as_uri()]
        subprocess.run(shot, check=True, capture_output=True)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

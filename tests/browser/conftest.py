"""A real headless Chromium. Without one the tests skip; under CALIBTOOL_BROWSER=required, which
.ci/run sets, they fail instead."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibtool.cli.main import main

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1100,900"),
)
# names of classes that must not be taken for markup, or that are long
NAMES = (
    *("<script>window.harmed = 1</script>", "</style><b>bold</b>", "a & b", '"quoted"'),
    *("<img src=x onerror='window.harmed = 1'>", "Größe 長い", "x" * 90, "c7", "c8", "c9"),
)


def chromium() -> str | None:
    """Return why there is no Chromium to test with, or None."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed; the extra `test` brings it"
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} not found (Debian: chromium, chromium-driver)"
    return None


class Browser:
    """Chromium with a page open."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(
        self,
        path: Path,
        *,
        width: int = 1100,
        height: int = 900,
        dark: bool = False,
        media: str = "",
    ) -> None:
        """Load a file on a screen of this size."""
        self.media(dark=dark, media=media)
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.messages()
        self.driver.get(path.as_uri())

    def media(self, *, dark: bool = False, media: str = "") -> None:
        """Set what the reader's system prefers, or paper."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": media, "features": [scheme]}
        )

    def run(self, script: str, *arguments: object) -> Any:
        """Return a script's answer; in it, `find(selector)` lists elements."""
        find = "const find = (css, at = document) => [...at.querySelectorAll(css)];"
        return self.driver.execute_script(find + script, *arguments)

    def find(self, css: str) -> list[Any]:
        return self.driver.find_elements("css selector", css)

    def text(self, css: str) -> list[str]:
        return self.run("return find(arguments[0]).map((e) => e.textContent.trim())", css)

    def printed(self, width: float = 8.27, height: float = 11.69) -> bytes:
        """Return the page as printed on paper of this size in inches; A4 by default."""
        paper = {"printBackground": True, "paperWidth": width, "paperHeight": height}
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", paper)["data"])

    def messages(self) -> list[str]:
        """Return the console's messages since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return every address that was requested since the last call."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    why_not = chromium()
    if why_not and os.environ.get("CALIBTOOL_BROWSER") == "required":
        pytest.fail(why_not)
    if why_not:
        pytest.skip(why_not)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def write_page(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a page with `calibtool report`, once for each set of arguments."""
    pages: dict[tuple[str, ...], Path] = {}

    def make(*arguments: object) -> Path:
        key = tuple(map(str, arguments))
        if key not in pages:
            pages[key] = tmp_path_factory.mktemp("page") / "report.html"
            few = ("--resamples", "60", "-o", str(pages[key]))
            assert main(["report", *key, *few]) == 0
        return pages[key]

    return make


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Path:
    """The example under names of classes, values and the file that contain markup."""
    with np.load(examples / "fashion_test.npz") as file:
        logits, labels = file["logits"], file["labels"]
    rng = np.random.default_rng(0)
    where = rng.choice(["north", "<b>south</b>", "<script>window.harmed = 1</script>"], len(labels))
    path = tmp_path_factory.mktemp("hostile") / "<i>test & co<!--.npz"
    np.savez(path, logits=logits, labels=labels, classes=np.array(NAMES), where=where)
    return path


@pytest.fixture(scope="session")
def names() -> tuple[str, ...]:
    """Names of the hostile file's classes."""
    return NAMES


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions of sixty classes."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 60, 3000)
    logits = rng.normal(size=(3000, 60)).astype(np.float32)
    logits[np.arange(3000), labels] += 3
    path = tmp_path_factory.mktemp("many") / "sixty.npz"
    np.savez(path, logits=logits, labels=labels)
    return path

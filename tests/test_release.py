"""The files around the code: what they repeat agrees, and what they name exists."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import calibtool as ct
from calibtool.calibrators import calibrator_file
from calibtool.decisions import sets_file, threshold_file
from calibtool.gate import baseline
from calibtool.streaming import cells_file

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def text(*parts):
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def release():
    spec = importlib.util.spec_from_file_location("release", ROOT / "tools" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def classified():
    """The minor versions of Python that the metadata lists."""
    found = [re.fullmatch(r".* :: Python :: (3\.\d+)", line) for line in PROJECT["classifiers"]]
    return [match[1] for match in found if match]


# ------------------------------------------------------------------ one place for each fact


def test_owner_version_and_date_are_the_same_everywhere():
    made = release().made(ROOT)
    assert [
        str(path) for path, new in made.items() if path.read_text(encoding="utf-8") != new
    ] == []


@pytest.fixture
def another(tmp_path):
    """The files of the release, of another owner and another version."""
    for path in release().made(ROOT):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    for name, old, new in (
        ("pyproject.toml", r'(?<=Repository = ")[^"]+', "https://github.com/jane-doe/calibtool"),
        ("CHANGELOG.md", r"## \[Unreleased\]\n", "## [Unreleased]\n\n## [7.8.9] - 2031-02-03\n"),
    ):
        path = tmp_path / name
        path.write_text(re.sub(old, new, path.read_text(encoding="utf-8")), encoding="utf-8")
    (tmp_path / "calibtool").mkdir()
    (tmp_path / "calibtool" / "version.py").write_text('__version__ = "7.8.9"\n')
    return tmp_path


def test_another_owner_and_version_reach_every_file(another):
    made = {str(path.relative_to(another)): new for path, new in release().made(another).items()}
    for name, new in made.items():
        assert "OWNER/" not in new, name
        assert "OWNER.github.io" not in new, name
    assert yaml.safe_load(made["CITATION.cff"])["version"] == "7.8.9"
    assert str(yaml.safe_load(made["CITATION.cff"])["date-released"]) == "2031-02-03"
    assert yaml.safe_load(made["packaging/conda/recipe.yaml"])["context"]["version"] == "7.8.9"
    assert "github.com/jane-doe/calibtool/security" in made["SECURITY.md"]
    pages = "\n".join(new for name, new in made.items() if name.startswith("docs/"))
    assert "jane-doe/calibtool@v7.8.9" in pages
    assert "rev: v7.8.9" in pages
    assert f"/calibtool@v{ct.__version__}" not in pages
    assert f"    rev: v{ct.__version__}" not in pages


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("pyproject.toml", "github.com/jane-doe", "gitlab.com/jane-doe", "Repository is"),
        ("CHANGELOG.md", "[7.8.9]", "[7.8.8]", r"no heading '## \[7\.8\.9\] - YYYY-MM-DD'"),
        ("calibtool/version.py", "7.8.9", "seven", "no line __version__"),
    ],
)
def test_a_fact_that_is_said_nowhere_is_named(another, name, old, new, message):
    path = another / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(SystemExit, match=message):
        release().made(another)


def test_the_package_knows_no_owner():
    owned = re.compile(r"OWNER/|github\.com/[\w.-]+/calibtool")
    paths = sorted((ROOT / "calibtool").rglob("*.py"))
    assert [str(path) for path in paths if owned.search(path.read_text(encoding="utf-8"))] == []


# ------------------------------------------------------------------ version and metadata


def test_the_changelog_has_the_version_below_what_is_unreleased():
    headings = re.findall(r"(?m)^## \[(.+?)\](?: - (\S+))?$", text("CHANGELOG.md"))
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == ct.__version__
    links = re.findall(r"(?m)^\[(.+?)\]: https://", text("CHANGELOG.md"))
    assert links == [name for name, _ in headings]


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == ct.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["title"].casefold() == f"calibtool: {PROJECT['description']}".casefold()
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]


def test_the_pythons_of_the_metadata_are_supported_and_tested():
    wide = SpecifierSet(PROJECT["requires-python"])
    assert all(version in wide for version in classified())
    assert "3.10" not in wide
    assert classified()[0] == "3.11"
    jobs = yaml.safe_load(text(".github", "workflows", "release.yml"))["jobs"]
    assert set(classified()) <= set(jobs["test"]["strategy"]["matrix"]["python"])
    assert re.search(r"ARG PYTHON=(\S+)", text("Dockerfile"))[1] in classified()


def test_the_sdist_leaves_nothing_out():
    """Hatchling takes all that git does not ignore; a list would be forgotten by a new file."""
    assert "sdist" not in PYPROJECT["tool"]["hatch"]["build"]["targets"]


def test_the_page_of_what_is_stable_knows_the_versions_of_files():
    page = text("docs", "reference", "stability.md").split("\n## Files\n")[1].split("\n## ")[0]
    rows = re.findall(r"(?m)^\| (.+?) \| ([\d, ]+) \| .+ \|$", page)
    said = [(name, tuple(map(int, numbers.split(", ")))) for name, numbers in rows]
    assert said == [
        ("[calibrators](calibrator-file.md)", tuple(range(1, calibrator_file.VERSION + 1))),
        ("saved reports as a baseline", baseline.VERSIONS),
        ("`.cells`", cells_file.READ),
        ("thresholds, prediction sets", (threshold_file.VERSION,)),
    ]
    assert threshold_file.VERSION == sets_file.VERSION


# ------------------------------------------------------------------ CI


def test_ci_fixes_versions_and_the_extra_does_not():
    tested = [Requirement(line) for line in PROJECT["optional-dependencies"]["test"]]
    assert [str(line) for line in tested if "==" in str(line.specifier)] == []
    lines = text(".ci", "constraints.txt").splitlines()
    fixed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert fixed
    wanted = [
        Requirement(line) for extra in PROJECT["optional-dependencies"].values() for line in extra
    ]
    for line in fixed:
        (version,) = {pin.version for pin in line.specifier if pin.operator == "=="}
        assert any(version in own.specifier for own in wanted if own.name == line.name), line
    assert 'PIP_CONSTRAINT="$PWD/.ci/constraints.txt"' in text(".ci", "run")


def test_the_set_up_comes_first_in_the_readme():
    block = text("README.md").split("```console\n")[1].split("```")[0]
    assert block.splitlines() == [
        "$ pip install . && calibtool evaluate docs/examples/fashion_test.npz",
        "$ pip install '.[test]' && pytest",
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_name_what_exists_and_pin_what_they_use(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(
        re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step
    )
    runs = "\n".join(step["run"] for step in steps if "run" in step)
    named = re.findall(r"(?:tools|\.ci)/[\w./-]+", runs)
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


def test_the_action_pins_what_it_uses():
    steps = yaml.safe_load(text("action.yml"))["runs"]["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert len(used) == 2
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name) for name in used)


def test_nothing_is_published_before_a_maintainer_says_so():
    jobs = yaml.safe_load(text(".github", "workflows", "release.yml"))["jobs"]
    able = {name for name, job in jobs.items() if "id-token" in job.get("permissions", {})}
    assert able == {"publish"}
    assert jobs["publish"]["if"] == "github.ref_type == 'tag' && vars.PUBLISH == 'true'"
    assert jobs["publish"]["needs"] == "test"
    assert jobs["test"]["needs"] == "build"


# ------------------------------------------------------------------ packages


def test_the_conda_recipe_needs_what_the_package_needs():
    recipe = yaml.safe_load(text("packaging", "conda", "recipe.yaml"))
    own = [str(Requirement(line)) for line in PROJECT["dependencies"]]
    lines = [Requirement(line) for line in recipe["requirements"]["run"] if "{" not in line]
    names = {"matplotlib-base": "matplotlib"}  # conda-forge's name of it without a window system
    assert [f"{names.get(line.name, line.name)}{line.specifier}" for line in lines] == own
    assert SpecifierSet(f">={recipe['context']['python_min']}") == SpecifierSet(
        PROJECT["requires-python"]
    )
    (script,) = PROJECT["scripts"].items()
    assert recipe["build"]["python"]["entry_points"] == [" = ".join(script)]


def test_the_image_has_what_the_wheel_is_made_of():
    kept = re.findall(r"(?m)^!(\S+)$", text(".dockerignore"))
    assert [name for name in kept if not (ROOT / name).exists()] == []
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [*wheel["force-include"], "calibtool", PROJECT["readme"], *PROJECT["license-files"]]
    assert [name for name in needed if not any(name.startswith(part) for part in kept)] == []
    assert re.search(r"(?m)^USER (\d+):\d+$", text("Dockerfile"))[1] != "0"


@pytest.mark.parametrize("name", ["bug", "number", "feature"])
def test_issue_forms_have_questions(name):
    form = yaml.safe_load(text(".github", "ISSUE_TEMPLATE", f"{name}.yml"))
    ids = [part["id"] for part in form["body"]]
    assert len(set(ids)) == len(ids) >= 3
    assert all(part["attributes"]["label"] for part in form["body"])

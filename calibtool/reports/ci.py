"""A gate's outcome as CI systems read it: GitHub, GitLab, JUnit, SARIF, TAP."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from calibtool.gate.outcome import Outcome, Verdict
from calibtool.reports import markdown, verdicts
from calibtool.version import __version__

_LEVELS = {"fail": "error", "inconclusive": "warning", "pass": "notice"}
SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def github(found: Outcome) -> str:
    """Workflow commands: an annotation a requirement, and the last line."""
    lines = []
    for verdict in found.verdicts:
        file, line = verdicts.place(found, verdict)
        where = f"file={_property(file)},line={line},title={_property(_title(verdict))}"
        level = _LEVELS[found.counts_as(verdict)]
        lines.append(f"::{level} {where}::{_data(verdicts.message(verdict))}")
    return "\n".join([*lines, verdicts.summary(found)]) + "\n"


def github_summary(found: Outcome, picture: str) -> str:
    """The summary of a step: the table, and the reliability diagram in letters, since a summary
    shows no image that is not on the web."""
    body = markdown.outcome(found)
    drawn = f"\n```text\n{picture.rstrip()}\n```\n" if picture else ""
    return f"### calibtool: {verdicts.summary(found)}\n\n{body}{drawn}"


def gitlab(found: Outcome) -> str:
    """GitLab's code quality report: an issue for what did not pass."""
    issues = []
    for verdict in found.verdicts:
        decision = found.counts_as(verdict)
        if decision == "pass":
            continue
        file, line = verdicts.place(found, verdict)
        key = f"{found.report.data.source}|{verdict.requirement.text}"
        issues.append(
            {
                "description": verdicts.message(verdict),
                "check_name": verdict.requirement.subject,
                "fingerprint": hashlib.sha256(key.encode()).hexdigest(),
                "severity": "major" if decision == "fail" else "minor",
                "location": {"path": file, "lines": {"begin": line}},
            }
        )
    return json.dumps(issues, indent=2, ensure_ascii=False) + "\n"


def junit(found: Outcome) -> str:
    """JUnit XML: a test a requirement; what is inconclusive is skipped."""
    counted = [found.counts_as(verdict) for verdict in found.verdicts]
    suite = Element(
        "testsuite",
        name="calibtool",
        tests=str(len(counted)),
        failures=str(counted.count("fail")),
        skipped=str(counted.count("inconclusive")),
        errors="0",
    )
    for verdict, decision in zip(found.verdicts, counted, strict=True):
        source = found.report.data.source
        case = SubElement(suite, "testcase", classname=source, name=verdict.requirement.text)
        text = verdicts.message(verdict)
        if decision == "fail":
            SubElement(case, "failure", message=text, type="calibration").text = text
        elif decision == "inconclusive":
            SubElement(case, "skipped", message=text)
        else:
            SubElement(case, "system-out").text = text
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    text = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def sarif(found: Outcome) -> str:
    """SARIF 2.1.0: a rule a requirement, a result for what did not pass."""
    rules = [
        {"id": v.requirement.text, "shortDescription": {"text": f"requires {v.requirement.text}"}}
        for v in found.verdicts
    ]
    results = [
        _result(found, verdict) for verdict in found.verdicts if found.counts_as(verdict) != "pass"
    ]
    driver = {"name": "calibtool", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "results": results}
    body = {"$schema": SARIF, "version": "2.1.0", "runs": [run]}
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def tap(found: Outcome) -> str:
    """TAP 14: a line a requirement; what is inconclusive is skipped."""
    lines = ["TAP version 14", f"1..{len(found.verdicts)}"]
    for number, verdict in enumerate(found.verdicts, start=1):
        decision = found.counts_as(verdict)
        name = verdict.requirement.text.replace("#", "\\#")
        ok = "not ok" if decision == "fail" else "ok"
        skip = " # SKIP inconclusive" if decision == "inconclusive" else ""
        lines += [f"{ok} {number} - {name}{skip}", f"  # {verdicts.message(verdict)}"]
    return "\n".join(lines) + "\n"


def _title(verdict: Verdict) -> str:
    return f"{verdict.requirement.text} {verdicts.WORDS[verdict.decision]}"


def _result(found: Outcome, verdict: Verdict) -> dict[str, Any]:
    file, line = verdicts.place(found, verdict)
    where = {"artifactLocation": {"uri": quote(file)}, "region": {"startLine": line}}
    return {
        "ruleId": verdict.requirement.text,
        "level": "error" if found.counts_as(verdict) == "fail" else "warning",
        "message": {"text": verdicts.message(verdict)},
        "locations": [{"physicalLocation": where}],
    }


def _data(text: str) -> str:
    """A command's message, escaped as GitHub's runner reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

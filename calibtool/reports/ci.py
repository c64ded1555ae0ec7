"""Findings as CI systems read them: GitHub, GitLab, JUnit, SARIF, TAP."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from calibtool.formatting import json_text
from calibtool.reports import json, markdown
from calibtool.reports.table import Finding, Table
from calibtool.version import __version__

_LEVELS = {"fail": "error", "inconclusive": "warning"}
SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def github(table: Table) -> str:
    """Return a workflow command, which makes an annotation, per requirement that is not met; a line
    of the log per other one; and the summary."""
    lines = []
    for finding in table.findings:
        if finding.decision == "pass":
            lines.append(finding.message)
            continue
        title = f"{finding.name} {finding.word}"
        where = f"file={_property(finding.file)},line={finding.line},title={_property(title)}"
        lines.append(f"::{_LEVELS[finding.decision]} {where}::{_data(finding.message)}")
    return "\n".join([*lines, table.summary]) + "\n"


def github_summary(table: Table, picture: str) -> str:
    """Return the summary of a step: the table, and a reliability diagram as text, because job
    summaries cannot embed local images."""
    table = table.printable()
    drawn = f"\n```text\n{picture.rstrip()}\n```\n" if picture else ""
    return f"### calibtool: {table.summary}\n\n{markdown.render(table)}{drawn}"


def gitlab(table: Table) -> str:
    """Return GitLab's code quality report: an issue per requirement that is not met."""
    issues = [
        _issue(
            finding.message,
            finding.subject,
            f"{finding.source}|{finding.name}",
            "major" if finding.decision == "fail" else "minor",
            (finding.file, finding.line),
        )
        for finding in table.findings
        if finding.decision != "pass"
    ]
    return json_text(issues, indent=2) + "\n"


def junit(table: Table) -> str:
    """Return JUnit XML: a test case per requirement; inconclusive ones are skipped."""
    decisions = [finding.decision for finding in table.findings]
    suite = Element(
        "testsuite",
        name="calibtool",
        tests=str(len(decisions)),
        failures=str(decisions.count("fail")),
        skipped=str(decisions.count("inconclusive")),
        errors="0",
    )
    for finding in table.findings:
        case = SubElement(suite, "testcase", classname=finding.source, name=finding.name)
        text = finding.message
        if finding.decision == "fail":
            SubElement(case, "failure", message=text, type="calibration").text = text
        elif finding.decision == "inconclusive":
            SubElement(case, "skipped", message=text)
        else:
            SubElement(case, "system-out").text = text
    return _junit(suite)


def sarif(table: Table) -> str:
    """Return SARIF 2.1.0: a rule per requirement, a result per one that is not met."""
    names = dict.fromkeys(finding.name for finding in table.findings)
    rules = [{"id": name, "shortDescription": {"text": f"requires {name}"}} for name in names]
    results = [_result(finding) for finding in table.findings if finding.decision != "pass"]
    return _sarif({"results": results}, rules)


def tap(table: Table) -> str:
    """Return TAP 14: a line per requirement; inconclusive ones are skipped."""
    lines = ["TAP version 14", f"1..{len(table.findings)}"]
    for number, finding in enumerate(table.findings, start=1):
        name = finding.name.replace("\\", "\\\\").replace("#", "\\#")
        ok = "not ok" if finding.decision == "fail" else "ok"
        skip = " # SKIP inconclusive" if finding.decision == "inconclusive" else ""
        lines += [f"{ok} {number} - {name}{skip}", f"  # {finding.message}"]
    return "\n".join(lines) + "\n"


def github_error_summary(message: str) -> str:
    """Return the summary of a step that ended in an error."""
    return f"### calibtool: error\n\n{markdown.escape(message)}\n"


def _github_error(message: str) -> str:
    return f"::error title=calibtool::{_data(message)}\n"


def _gitlab_error(message: str) -> str:
    issue = _issue(message, "calibtool", message, "blocker", ("calibtool.toml", 1))
    return json_text([issue], indent=2) + "\n"


def _junit_error(message: str) -> str:
    suite = Element("testsuite", name="calibtool", tests="1", failures="0", skipped="0", errors="1")
    case = SubElement(suite, "testcase", classname="calibtool", name="error")
    SubElement(case, "error", message=message, type="calibtool").text = message
    return _junit(suite)


def _sarif_error(message: str) -> str:
    said = {"level": "error", "message": {"text": message}}
    ended = {"executionSuccessful": False, "toolExecutionNotifications": [said]}
    return _sarif({"invocations": [ended], "results": []}, [])


def _tap_error(message: str) -> str:
    return f"TAP version 14\nBail out! {' '.join(message.split())}\n"


# value of --format -> an error in it, because of which there is no result
ERRORS = {
    "json": lambda message: json.document("calibtool-error", {"error": message}),
    "github": _github_error,
    "gitlab": _gitlab_error,
    "junit": _junit_error,
    "sarif": _sarif_error,
    "tap": _tap_error,
}


def _issue(
    text: str, check: str, key: str, severity: str, place: tuple[str, int]
) -> dict[str, Any]:
    """Return an issue of GitLab's; those with equal keys are one."""
    return {
        "description": text,
        "check_name": check,
        "fingerprint": hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest(),
        "severity": severity,
        "location": {"path": place[0], "lines": {"begin": place[1]}},
    }


def _junit(suite: Element) -> str:
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    text = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _sarif(run: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> str:
    driver = {"name": "calibtool", "version": __version__, "rules": rules}
    runs = [{"tool": {"driver": driver}, **run}]
    return json_text({"$schema": SARIF, "version": "2.1.0", "runs": runs}, indent=2) + "\n"


def _result(finding: Finding) -> dict[str, Any]:
    region = {"startLine": finding.line}
    return {
        "ruleId": finding.name,
        "level": "error" if finding.decision == "fail" else "warning",
        "message": {"text": finding.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(finding.file, errors="surrogateescape")},
                    "region": region,
                }
            }
        ],
    }


def _data(text: str) -> str:
    """Return a command's message, escaped as GitHub's runner reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

"""Findings as CI systems read them: GitHub, GitLab, JUnit, SARIF, TAP."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from calibtool.formatting import json_text
from calibtool.reports import markdown
from calibtool.reports.table import Finding, Table
from calibtool.version import __version__

_LEVELS = {"fail": "error", "inconclusive": "warning", "pass": "notice"}
SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def github(table: Table) -> str:
    """Return workflow commands: an annotation per requirement, and the summary."""
    lines = []
    for finding in table.findings:
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
        {
            "description": finding.message,
            "check_name": finding.subject,
            "fingerprint": hashlib.sha256(
                f"{finding.source}|{finding.name}".encode(errors="surrogatepass")
            ).hexdigest(),
            "severity": "major" if finding.decision == "fail" else "minor",
            "location": {"path": finding.file, "lines": {"begin": finding.line}},
        }
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
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    text = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def sarif(table: Table) -> str:
    """Return SARIF 2.1.0: a rule per requirement, a result per one that is not met."""
    rules = [
        {"id": finding.name, "shortDescription": {"text": f"requires {finding.name}"}}
        for finding in table.findings
    ]
    results = [_result(finding) for finding in table.findings if finding.decision != "pass"]
    driver = {"name": "calibtool", "version": __version__, "rules": rules}
    run = {"tool": {"driver": driver}, "results": results}
    body = {"$schema": SARIF, "version": "2.1.0", "runs": [run]}
    return json_text(body, indent=2) + "\n"


def tap(table: Table) -> str:
    """Return TAP 14: a line per requirement; inconclusive ones are skipped."""
    lines = ["TAP version 14", f"1..{len(table.findings)}"]
    for number, finding in enumerate(table.findings, start=1):
        name = finding.name.replace("\\", "\\\\").replace("#", "\\#")
        ok = "not ok" if finding.decision == "fail" else "ok"
        skip = " # SKIP inconclusive" if finding.decision == "inconclusive" else ""
        lines += [f"{ok} {number} - {name}{skip}", f"  # {finding.message}"]
    return "\n".join(lines) + "\n"


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

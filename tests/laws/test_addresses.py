"""Laws of addresses: no command shows the credentials in one, wherever it is given."""

from __future__ import annotations

from collections.abc import Iterator

import click
import numpy as np
import pytest

import calibtool as ct
from calibtool.cli.main import group, main

# port 9 refuses at once, and nothing answers to the other names before credentials are asked for
ADDRESSES = (
    "s3://AKIA:SEC%2FRET1/x@b/x.parquet",
    "http://u:SEC/RET1@127.0.0.1:9/x.parquet",
    "simplecache::http://u:SECRET1@127.0.0.1:9/x.parquet",
    "odd+scheme://u:SECRET1@h/x.parquet",
)
SECRETS = ("SEC", "RET1", "AKIA:")
# what help calls a text that is no address; an option with any other word is tried
NO_ADDRESS = {
    *(
        "A,B,...",
        "COLUMN",
        "COLUMN,...",
        "COLUMNS",
        "EXPR",
        "HOW",
        "KEY",
        "LIBRARY",
        "LIST",
        "LOSS",
        "LOSSES",
    ),
    *("NAME", "PERIOD", "REQUIREMENT", "TARGET", "TASK", "TEXT", "W", "WIDTH", None),
}
# what an argument is given where another parameter has the address
GOOD = {**dict.fromkeys(("calibrator", "document"), ("cal.json",)), "names": (), "folder": ()}
GOOD["name"] = ("report",)  # of a schema
GOOD |= dict.fromkeys(("file", "files", "pattern"), ("good.npz",))
# what a command needs besides to reach its files
NEEDS = {
    "check": {"--require": "ece <= 0.9"},
    "export": {"--to": "python"},
    "train": {"--data": "good.npz", "--inputs": "logits", "--out": "run", "--epochs": "1"},
    "predict": {"--run": "run", "--data": "good.npz"},
    "threshold": {"--target": "risk <= 0.9"},
    "compare": {"--reference": "good.npz"},
    "plot": {"--sets": "sets.json"},
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command that can be called, with the words that call it."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for word in command.list_commands(context):
                yield f"{name} {word}", command.get_command(context, word)
        else:
            yield name, command


COMMANDS = [*commands()]


def parameters(command: click.Command) -> list[click.Parameter]:
    # click keeps the option of the first help that it makes: as for the command line
    return command.get_params(click.Context(command, help_option_names=["-h", "--help"]))


def addresses(command: click.Command) -> list[click.Parameter]:
    """Return the parameters of a command that name a file, a folder or a server."""
    named = [p for p in parameters(command) if p.type.name == "text"]
    return [p for p in named if isinstance(p, click.Argument) or p.metavar not in NO_ADDRESS]


def line(name: str, command: click.Command, tried: click.Parameter, address: str) -> list[str]:
    """Return a command with the address in one place and good files elsewhere."""
    given: list[str] = []
    needs = NEEDS.get(name.split(maxsplit=1)[0], {})
    for parameter in parameters(command):
        flag = parameter.opts[-1]
        if isinstance(parameter, click.Argument):
            given += [address] if parameter is tried else GOOD[parameter.name]
        elif parameter is tried:
            given += [flag, address]
        elif flag in needs:
            given += [flag, needs[flag]]
        elif parameter.name == "output" and (parameter.required or name.startswith("plot")):
            given += [flag, "out.svg" if name.startswith("plot") else "out.cells"]
        elif parameter.name == "resamples":
            given += [flag, "20"]
    return [*name.split(), *given]


def test_options_that_name_files_are_tried():
    tried = {flag for _, command in COMMANDS for p in addresses(command) for flag in p.opts}
    files = {"--state", "--labels-file", "--ood", "--test", "--after", "--config", "--data"}
    assert {"file", "files", "pattern", "document", "--output", "--out", *files} <= tried
    assert tried.isdisjoint({"--by", "--metrics", "--title"})


@pytest.mark.parametrize("at", range(len(COMMANDS)), ids=[name for name, _ in COMMANDS])
def test_credentials_are_shown_by_no_command(at, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALIBTOOL_TRACEBACK", raising=False)
    labels = np.arange(40) % 3
    logits = np.random.default_rng(0).normal(size=(40, 3)) + np.eye(3)[labels]
    np.savez("good.npz", logits=logits, labels=labels)
    ct.fit("temperature", ct.Predictions.from_logits(logits, labels)).save("cal.json")
    ct.fit_sets(ct.Predictions.from_logits(logits[1:], labels[1:])).save("sets.json")
    name, command = COMMANDS[at]
    for k, parameter in enumerate(addresses(command)):
        for address in ADDRESSES[(at + k) % 2 :: 2]:  # commands share options: all meet every one
            called = line(name, command, parameter, address)
            code = main(called)
            said = "".join(capsys.readouterr())
            assert code in (0, 2), (called, said)
            assert "Traceback" not in said, (called, said)
            assert "internal error" not in said, (called, said)
            assert not [secret for secret in SECRETS if secret in said], (called, said)

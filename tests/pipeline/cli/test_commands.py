from contextlib import suppress
from pathlib import Path

import click
import pytest

from pipeline.cli import driftline, run
from pipeline.cli.commands import Command, GroupOfLazyCommands, option
from pipeline.cli.version import driftline_version
from tests.pipeline.cli.samples import start


def imported_by(*arguments: str) -> set[str]:
    """Modules that a command imports."""
    process = start(*arguments, PYTHONPROFILEIMPORTTIME="1")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0
    return {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}


def test_the_list_of_commands_tells_what_each_says_itself() -> None:
    """Every command is there, and the line that the list has of it is the first of its help."""
    context = click.Context(driftline)
    for group in (driftline, *(driftline.get_command(context, name) for name in ("evaluate", "feedback", "models"))):
        assert isinstance(group, GroupOfLazyCommands)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            assert command.name == name
            assert (command.help or "").partition("\n")[0] == group.modules[name]


@pytest.mark.parametrize("name", driftline.list_commands(click.Context(driftline)))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` shows the usage and exits with 0."""
    assert run([name, "--help"]) == 0
    assert f"Usage: driftline {name}" in capsys.readouterr().out


def test_options_are_shown_by_heading(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of a command has a section for each heading, and none for its arguments."""

    @click.command(cls=Command)
    @click.argument("source")
    @option("--size", group="How much", type=click.IntRange(1, 9), default=2, show_default=True, help="Of it.")
    @option("--where", group="Whither", help="It goes.")
    def example(source: str, size: int, where: str) -> None: ...

    example.main(["--help"], standalone_mode=False)
    text = capsys.readouterr().out
    sections = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert sections == ["How much:", "Whither:", "Help:"]
    assert "Of it.  [default: 2]\n" in text


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["replai"], ("found the unknown command 'replai'", "did you mean 'replay'?")),
        (["replay", "x.csv", "--lables", "y"], ("found the unknown option '--lables'", "did you mean '--labels'?")),
        (["--verbos"], ("found the unknown option '--verbos'", "`driftline --help`")),
        (["replay"], ("missing argument 'SOURCE'", "`driftline replay --help`")),
        (["replay", "x.csv", "--out"], ("option '--out' requires an argument",)),
        (["demo", "--lanes", "3"], ("--lanes: found 3; expected a number in the range 16<=x<=100000",)),
        (["demo", "--lanes", "all"], ("--lanes: found 'all'; expected a whole number",)),
        (["top", "--interval", "often"], ("--interval: found 'often'; expected a number",)),
        (["top", "--interval", "nan"], ("--interval: found nan; expected a number in the range 0.2<=x<=3600",)),
        (["tail", "--event", "gone"], ("--event: found 'gone'; expected one of 'opened', 'worsened', 'closed'",)),
        (["replay", "ftp://host/x.csv"], ("ftp://host/x.csv: found a URL of 'ftp'; expected a path of this machine",)),
        (["replay", "x.csv", "--metrics-port", "70000"], ("--metrics-port: found 70000; expected a number",)),
        (["config", "--config", "absent.toml"], ("absent.toml: found no readable file",)),
    ],
)
def test_a_wrong_command_line_gets_one_line(
    arguments: list[str], parts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is told on stderr in one line, with what is near it, and the exit status is 2."""
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("driftline: error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_gets_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Output that there is no room for is told without a traceback."""
    with Path("/dev/full").open("w") as full, suppress(OSError):  # what could not be written is tried again on closing
        monkeypatch.setattr("sys.stdout", full)
        assert run(["config", "--example"]) == 1
    assert capsys.readouterr().err.startswith("driftline: error: found no room to write (No space left on device)")


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """`driftline` alone tells what there is."""
    assert run([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that Driftline does not raise on purpose keeps its traceback."""
    monkeypatch.setitem(driftline.commands, "broken", click.Command("broken", callback=lambda: 1 // 0))
    monkeypatch.setitem(driftline.modules, "broken", "Broken.")
    with pytest.raises(ZeroDivisionError):
        run(["broken"])


def test_the_list_of_commands_is_quick() -> None:
    """`driftline --help` imports no library but that of the command line."""
    heavy = {"numpy", "numba", "pyarrow", "pydantic", "rich", "torch"}
    assert not imported_by("--help") & heavy


def test_the_versions_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """`driftline version` names the distribution's version and the shipped bundle."""
    assert run(["version"]) == 0
    assert capsys.readouterr().out.startswith(f"driftline {driftline_version()}, bundle ")


def test_the_configuration_in_effect_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`driftline config` prints every key, those from the environment with the variable beside them."""
    monkeypatch.setenv("DRIFTLINE_DETECTOR__RISK", "0.25")
    assert run(["config"]) == 0
    assert "risk = 0.25  # environment variable DRIFTLINE_DETECTOR__RISK" in capsys.readouterr().out


def test_windows_that_do_not_go_together_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hop longer than the window is found by `driftline config` already."""
    monkeypatch.setenv("DRIFTLINE_WINDOWS__HOP", "65")
    assert run(["config"]) == 2
    assert "found a window of 40 points with hop 65" in capsys.readouterr().err

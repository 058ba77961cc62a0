"""How Driftline's commands look: loaded when used, options in groups, examples last, errors in one line."""

import importlib
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from pipeline.errors import nearest

F = TypeVar("F", bound=Callable[..., Any])
_OUT_OF_RANGE = re.compile(r"(\S+) is not in the range (\S+)\.")
_NO_CHOICE = re.compile(r"(.+) is not one of (.+)\.")
_NO_NUMBER = re.compile(r"(.+) is not a valid (?:integer|float)(?: range)?\.")
"""How click tells of values: what was found, and what was expected."""


class UnknownCommandError(click.UsageError):
    """There is no command of this name."""

    def __init__(self, name: str, known: Sequence[str], ctx: click.Context) -> None:
        super().__init__(f"no command {name!r}", ctx)
        self.name = name
        self.known = known


class GroupOfLazyCommands(click.Group):
    """Commands that lie each in a module of its own name, which is not imported before it is used.

    Args:
        modules: what each command is for, in one line, by name.
        package: where the modules lie.
    """

    def __init__(self, *, modules: dict[str, str], package: str = "pipeline.cli", **attributes: Any) -> None:
        super().__init__(**attributes)
        self.modules = modules
        self.package = package

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """In the order in which they are of use."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """The command of a name.

        Raises:
            UnknownCommandError: there is none.
        """
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        if cmd_name not in self.modules:
            raise UnknownCommandError(cmd_name, list(self.modules), ctx)
        command = importlib.import_module(f"{self.package}.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"found {command!r} in the module of {cmd_name}; expected a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Their names and lines, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.modules.items()))


class Option(click.Option):
    """An option under a heading.

    Args:
        group: the heading.
    """

    def __init__(self, *arguments: Any, group: str, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.group = group

    def get_help_extra(self, ctx: click.Context) -> Any:
        """What click appends to the help, without ranges: a value out of range is told when it is given."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


def option(*names: str, group: str, **attributes: Any) -> Callable[[F], F]:
    """Decorates a command with an option under a heading; see `click.option`."""
    return click.option(*names, cls=Option, group=group, **attributes)


def together(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Decorates a command with several options, in their order."""

    def decorate(command: F) -> F:
        for one in reversed(decorators):
            command = one(command)
        return command

    return decorate


class Command(click.Command):
    """A command whose help shows its options by heading, in the order in which the headings first occur."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every heading with its options."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(parameter, "group", "Help"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


class Number(click.FloatRange):
    """A number in a range, which NaN is in none of."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def explain(error: click.ClickException) -> str:
    """A wrong command line in one line: what was found, where to look, and what is near it."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"`{context.command_path if context else 'driftline'} --help` shows what there is"
    if isinstance(error, click.NoSuchOption) and context:
        known = [name for parameter in context.command.get_params(context) for name in parameter.opts]
        return f"found the unknown option {error.option_name!r}; {hint}{nearest(error.option_name, known)}"
    if isinstance(error, UnknownCommandError):
        return f"found the unknown command {error.name!r}; {hint}{nearest(error.name, error.known)}"
    if isinstance(error, click.BadParameter) and (told := _bad_value(error)):
        return f"{told}; {hint}"
    message = error.format_message().rstrip(".")
    return f"{message[0].lower()}{message[1:]}; {hint}"


def _bad_value(error: click.BadParameter) -> str:
    """What click tells of a value as found and expected; '' for what it tells otherwise."""
    if error.param is None:
        return ""
    option = error.param.opts[0] if isinstance(error.param, click.Option) else error.param.human_readable_name
    if match := _OUT_OF_RANGE.fullmatch(error.message):
        return f"{option}: found {match[1]}; expected a number in the range {match[2]}"
    if match := _NO_CHOICE.fullmatch(error.message):
        return f"{option}: found {match[1]}; expected one of {match[2]}"
    if match := _NO_NUMBER.fullmatch(error.message):
        whole = "a whole number" if isinstance(error.param.type, click.types.IntParamType) else "a number"
        return f"{option}: found {match[1]}; expected {whole}"
    return ""

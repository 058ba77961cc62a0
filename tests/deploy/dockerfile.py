"""Reads a Dockerfile as far as ours go: stages of instructions, without heredocs."""

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines put together: RUN, and what it runs."""

    name: str
    content: str


@dataclass(slots=True)
class Stage:
    """What one FROM begins.

    Attributes:
        base: another stage, or an image, arguments filled in.
    """

    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def all_of(self, name: str) -> list[str]:
        """The contents of its instructions of a name."""
        return [one.content for one in self.instructions if one.name == name]


def read_dockerfile(path: Path) -> dict[str, Stage]:
    """The stages by name, in order."""
    lines = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    stages: dict[str, Stage] = {}
    defaults: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", "", lines).splitlines():
        name, _, content = line.strip().partition(" ")
        if name == "FROM":
            base, _, called = content.partition(" AS ")
            stage = stages[called] = Stage(re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], base))
        elif not stages and name == "ARG":
            defaults.__setitem__(*content.split("=", 1))
        elif name:
            stage.instructions.append(Instruction(name, content.strip()))
    return stages

"""Kinds of detectors that can be configured, and how their hyper-parameters are written."""

import tomllib
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from pipeline.errors import nearest

LSTM = "lstm"
BASELINES = ("windowed-gaussian", "persistence")
RIVER = "river."
"""What the class path of a detector of river begins with."""


def _require_known(name: str) -> str:
    known = (LSTM, *BASELINES)
    if name not in known and not name.startswith(RIVER):
        raise ValueError(
            f"found the detector {name!r}; expected {', '.join(known)} or a class path below river, such as "
            f"'{RIVER}anomaly.HalfSpaceTrees'{nearest(name, (*known, f'{RIVER}anomaly.HalfSpaceTrees'))}"
        )
    return name


def _parse_options(value: object) -> object:
    """A table; or one as text, such as 'n_trees = 25, height = 8'; or a list of such texts of one option each.

    In a list, what is no TOML value is a string.
    """
    if isinstance(value, str):
        try:
            return tomllib.loads(f"options = {{ {value} }}")["options"]
        except tomllib.TOMLDecodeError as exc:
            raise ValueError(f"found {value!r}; expected options such as 'n_trees = 25, height = 8'") from exc
    if not isinstance(value, (list, tuple)):
        return value
    options = {}
    for one in value:
        name, equals, text = str(one).partition("=")
        if not (name.strip() and equals):
            raise ValueError(f"found {one!r}; expected an option such as 'n_trees=25'")
        try:
            options[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            options[name.strip()] = text.strip()
    return options


DetectorKind = Annotated[str, AfterValidator(_require_known)]
Options = Annotated[dict[str, Any], BeforeValidator(_parse_options)]

"""From the options of `driftline tune` to what is configured and what is wanted."""

from typing import TYPE_CHECKING, Any

from pipeline.cli.reading import source_keys
from pipeline.config import Config, Given
from pipeline.errors import ConfigError, nearest
from pipeline.tuning.space import key_of, parse_search

if TYPE_CHECKING:
    from pipeline.cli.tune.running import Wanted


def overrides(given: dict[str, Any]) -> dict[str, Given]:
    """Options that are keys of the configuration, by dotted key.

    Raises:
        ConfigError: a setting to hold that is none.
    """
    options = source_keys(given)
    if given["bundle"] is not None:
        options["detector.bundle"] = Given("--bundle", given["bundle"])
    held = [*given["fix"], *([f"profile={given['profile']}"] if given["profile"] is not None else [])]
    for text in held:
        name, equals, value = text.partition("=")
        key = key_of(name.strip())
        if not equals or key.count(".") != 1:
            raise ConfigError(f"--fix: found {text!r}; expected a setting and its value, such as profile=dense")
        options[key] = Given(f"--fix {name.strip()}", value.strip())
    _require_keys(options)
    return options


def _require_keys(options: dict[str, Given]) -> None:
    known = [f"{section}.{key}" for section in ("detector", "windows", "episodes", "silence", "source")
             for key in type(getattr(Config(), section)).model_fields]  # fmt: skip
    for key, one in options.items():
        if key not in known:
            raise ConfigError(f"{one.where}: found the unknown key {key!r}; expected one that alters verdicts"
                              f"{nearest(key, known)}")  # fmt: skip


def wanted_of(given: dict[str, Any]) -> "Wanted":
    """The search that the options ask for.

    Raises:
        ConfigError: options that do not go together, or are none.
    """
    from pipeline.cli.times import time_limit_s
    from pipeline.cli.tune.running import Wanted

    search = parse_search(given["search"])
    fixed = {key_of(text.partition("=")[0].strip()) for text in given["fix"]}
    if given["profile"] is not None:
        fixed.add("detector.profile")
    for setting in search:
        if setting.key in fixed:
            raise ConfigError(f"--search: found {setting.name!r}, which is held as well; expected either")
    if given["objective"] == "recall" and given["alarms_per_day"] is None:
        raise ConfigError(
            "--objective recall: found no --alarms-per-day; expected one, since what alarms all the time misses nothing"
        )
    return Wanted(
        out=given["out"],
        search=search,
        fixed=frozenset(fixed),
        objective=given["objective"],
        budget=given["alarms_per_day"],
        trials=given["trials"],
        time_limit_s=time_limit_s(given),
        seed=given["seed"],
        by=None if given["split"] == "auto" else given["split"],
        share=given["held_out"],
        overwrite=given["overwrite"],
        force=given["force"],
    )

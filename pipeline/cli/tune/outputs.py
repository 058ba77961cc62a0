"""What a search leaves in its directory."""

from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from pipeline.adapters.outputs.durable import told_as_user_error
from pipeline.cli.evaluate.running import to_json
from pipeline.cli.tune.plot import draw_trials
from pipeline.config import LoadedConfig
from pipeline.config.show import write_keys
from pipeline.errors import ConfigError
from pipeline.tuning.search import FILE

CONFIG, RESULTS, PLOT = "driftline.toml", "tuning.json", "trials.svg"
MARK = ".driftline-tuning"


def require_config_unedited(directory: Path) -> None:
    """Refuse a directory whose configuration is another than a search has written there.

    Raises:
        ConfigError: that is so.
    """
    if not (directory / CONFIG).exists():
        return
    if (directory / CONFIG).read_text(encoding="utf-8", errors="replace") != _config_written(directory):
        raise ConfigError(
            f"{directory / CONFIG}: found a configuration that was edited; expected the one that a search has left "
            "there: move it, or have it replaced with --force"
        )


def forget_search(directory: Path) -> None:
    """Remove everything that a search has left there."""
    with told_as_user_error(directory):
        for name in (CONFIG, RESULTS, PLOT, FILE, f"{FILE}-journal"):
            (directory / name).unlink(missing_ok=True)


def write_outputs(directory: Path, described: dict[str, Any], loaded: LoadedConfig) -> None:
    """The configuration to use, the figures and the plot; each is whole or as it was."""
    described["config"] = config_text(described, loaded)
    with told_as_user_error(directory):
        # the figures first: they hold the configuration too, by which it is known to be unedited
        _write(directory / RESULTS, to_json(described))
        _write(directory / CONFIG, described["config"].encode())
        _write(directory / PLOT, draw_trials(described).encode())


def config_text(described: dict[str, Any], loaded: LoadedConfig) -> str:
    """TOML for --config: what is to be used of the search, and what was set before by file or option.

    Secrets, and what environment variables set, are left where they are.
    """
    trials, best = len(described["trials"]), described["best"]
    use_tuned = described["use"] == "tuned"
    head = [
        f"Written by `driftline tune`: {described['objective']} on {described['history']['source']}, {trials} trials,",
        "judged by what was held out; tuning.json has all figures.",
    ]
    if not use_tuned:
        head.append("No settings tried were better on held-out history than those configured: these are kept.")
    plain = loaded.config.plain()
    entries: dict[str, tuple[Any, str]] = {}
    for dotted, given in loaded.given.items():
        section, key = dotted.split(".")
        is_secret = isinstance(getattr(getattr(loaded.config, section), key), SecretStr)
        if not is_secret and not given.where.startswith("environment variable"):
            entries[dotted] = (plain[section][key], f"as before: {given.where}")
    for dotted, value in (best["changed"] if use_tuned else {}).items():
        section, key = dotted.split(".")
        entries[dotted] = (value, f"tuned, trial {best['number'] + 1}; was {plain[section][key]}")
    return write_keys(head, entries)


def _config_written(directory: Path) -> str | None:
    try:
        written = msgspec.json.decode((directory / RESULTS).read_bytes())
        return str(written["config"])
    except (OSError, msgspec.MsgspecError, KeyError, TypeError):
        return None


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)

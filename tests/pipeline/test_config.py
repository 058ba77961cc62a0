import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from detectors.profiles import PROFILES
from pipeline import windows
from pipeline.config import Config, Given, LoadedConfig, ProfileName, config_hash, example, load_config, show
from pipeline.config.detection import Aggregate
from pipeline.config.quantities import format_duration, format_size, parse_duration, parse_size
from pipeline.errors import ConfigError

DECISIVE = {
    "detector.kind": "persistence",
    "detector.profile": "dense",
    "detector.risk": 0.1,
    "detector.risk_per_day": 0.1,
    "detector.joint": False,
    "windows.size": 32,
    "windows.hop": 2,
    "episodes.warm_up": 200,
    "episodes.rest": 10,
    "episodes.margin": 1.0,
    "episodes.quiet": 5,
    "silence.intervals": 0.0,
}
OF_BASELINES = {"detector.options": {"window": 100}}
INDIFFERENT = {
    "detector.bundle": "elsewhere",
    "windows.allowed_lateness": "1min",
    "windows.aggregate": "sum",
    "state.budget": "1MiB",
    "models.registry": "elsewhere",
    "models.check_interval": "3s",
    "models.rollback": "false",
    "feedback.topic": "elsewhere",
    "feedback.suppress": "drop",
    "gate.held_out": "2d",
    "gate.margin": 0.5,
    "gate.coverage_tolerance": 0.5,
    "gate.recall_tolerance": 0.5,
    "retrain.enabled": "true",
    "retrain.interval": "7d",
    "retrain.on_drift": "false",
    "retrain.least_interval": "2d",
    "retrain.history": "60d",
    "retrain.promote": "never",
    "retrain.time_limit": "1h",
    "retrain.steps": 10,
    "retrain.threads": 2,
    "retrain.device": "cuda",
    "retrain.most_points": 1000,
    "retrain.folder": "elsewhere",
    "retrain.check_interval": "1h",
    "retrain.metrics_port": 1,
    "source.time_field": "t",
    "source.value_fields": "a",
    "source.key_field": "k",
    "source.time_unit": "ms",
    "replay.micro_batch": 7,
    "replay.checkpoint_interval": "1s",
    "state.store": "file:///state",
    "state.topic": "s",
    "state.snapshot_interval": "1s",
    "state.on_missing": "fresh",
    "kafka.bootstrap": "b:1",
    "kafka.group": "g",
    "kafka.instance": "i",
    "kafka.client": "c",
    "kafka.security": "ssl",
    "kafka.ca_file": "f",
    "kafka.cert_file": "f",
    "kafka.key_file": "f",
    "kafka.key_password": "p",
    "kafka.key_password_file": "f",
    "kafka.check_hostname": False,
    "kafka.sasl_mechanism": "PLAIN",
    "kafka.username": "u",
    "kafka.password": "p",
    "kafka.password_file": "f",
    "kafka.kerberos_service": "s",
    "kafka.kerberos_domain": "d",
    "kafka.token_file": "f",
    "kafka.session_timeout": "9s",
    "kafka.max_poll_interval": "9s",
    "kafka.transaction_timeout": "9s",
    "kafka.fetch_bytes": "1MiB",
    "kafka.partition_fetch_bytes": "2MiB",
    "kafka.compression": "zstd",
    "input.topics": "t",
    "input.pattern": "t.*",
    "input.format": "arrow",
    "input.start": "latest",
    "input.on_expired": "continue",
    "input.max_message": "1MiB",
    "output.anomalies": "a",
    "output.verdicts": "v",
    "output.dead_letters": "d",
    "output.create": True,
    "output.replication": 3,
    "output.retention": "1d",
    "state.warm_from": ["fleet.lanes"],
    "service.micro_batch": 7,
    "service.commit_interval": "9s",
    "service.shutdown_timeout": "9s",
    "service.stall_timeout": "9s",
    "http.host": "0.0.0.0",  # noqa: S104  a value, listened on by nobody
    "http.port": 1,
    "http.live": False,
    "http.hosts": ["driftline.example.com"],
    "http.history": 1,
    "http.top_lanes": 3,
    "log.format": "json",
    "log.level": "debug",
    "log.repeat_interval": "9s",
}
"""Where values are from and how they are decoded is a matter of the run's identity, not of this hash."""


def loaded(**given: Any) -> LoadedConfig:
    """A configuration of options by dotted key, whose dots are written as double underscores."""
    options = {name.replace("__", "."): Given(f"--{name}", value) for name, value in given.items()}
    return load_config(None, options, environ={})


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration lies in the working directory but what a test puts there."""
    monkeypatch.chdir(tmp_path)


def test_the_later_of_file_environment_and_options_wins(tmp_path: Path) -> None:
    """A key given in several places has the value of the option, else the variable, else the file, else the default."""
    file = tmp_path / "some.toml"
    file.write_text("[episodes]\nrest = 1\nquiet = 2\nwarm_up = 60\n")
    environ = {"DRIFTLINE_EPISODES__REST": "11", "DRIFTLINE_EPISODES__QUIET": "12"}
    config = load_config(file, {"episodes.rest": Given("--rest", 21)}, environ=environ).config
    assert (config.episodes.rest, config.episodes.quiet, config.episodes.warm_up) == (21, 12, 60)
    assert config.episodes.margin == Config().episodes.margin


def test_a_file_in_the_working_directory_is_read_unless_another_is_named(tmp_path: Path) -> None:
    """./driftline.toml counts where no file is given."""
    (tmp_path / "driftline.toml").write_text("[detector]\nrisk = 0.25\n")
    (tmp_path / "other.toml").write_text("")
    assert load_config(environ={}).config.detector.risk == 0.25
    assert load_config(tmp_path / "other.toml", environ={}).config == Config()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[window]\nsize = 3", ("found the section 'window'", "did you mean 'windows'?")),
        ("[windows]\nsise = 3", ("[windows] sise", "expected one of kind, size, hop", "did you mean 'size'?")),
        ("windows = 3", ("windows = 3", "expected a section [windows]")),
        ("[detector]\nrisk = -1", ("[detector] risk", "found -1; expected greater than 0")),
        ("[detector]\nprofile = 'balancd'", ("found 'balancd'", "expected 'accurate', ", "did you mean 'balanced'?")),
        ("[detector]\nrisk = nan", ("found nan; expected a finite number",)),
        ("[episodes]\nwarm_up = 49", ("found 49; expected greater than or equal to 50",)),
        ("[state]\nbudget = '1Gi'", ("found '1Gi'; expected a size such as '1GiB'",)),
        ("[replay]\ncheckpoint_interval = 30", ("found 30; expected a duration such as '30s'",)),
        ("[windows]\nsize = '5 parsec'", ("found '5 parsec'; expected a whole number of points or a duration",)),
        ("[windows]\nkind = 'time'", ("found size 40 and hop 1 with kind 'time'; expected two durations",)),
        ("[windows]\nsize = '1h'", ("found size '1h' and hop 1 with kind 'count'; expected two whole numbers",)),
        ("[source]\nvalue_fields = []", ("found []; expected names of columns",)),
        ("[source]\nvalue_fields = 'a,,b'", ("found 'a,,b'; expected names of columns",)),
        ("[detector\nrisk = 1", ("found no TOML", "line 1")),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(tmp_path: Path, text: str, parts: tuple[str, ...]) -> None:
    """An error names the file and key, what was found, what was expected and the nearest valid name."""
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={})
    message = str(caught.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("DRIFTLINE_WINDOW__SIZE", "3", "did you mean 'windows'?"),
        ("DRIFTLINE_WINDOWS__SISE", "3", "did you mean 'size'?"),
        ("DRIFTLINE_EPISODES__REST", "x", "found 'x'; expected a valid integer"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, part: str) -> None:
    """An error in the environment names the variable."""
    with pytest.raises(ConfigError) as caught:
        load_config(environ={name: value})
    assert str(caught.value).startswith(f"environment variable {name}: found ")
    assert part in str(caught.value)


def test_variables_that_are_no_keys_are_left_alone() -> None:
    """Only names with the prefix and a double underscore are keys."""
    environ = {"DRIFTLINE_REQUIRE": "torch", "OTHER_EPISODES__REST": "3", "EPISODES__REST": "3"}
    assert load_config(environ=environ) == LoadedConfig(Config(), {})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A file that is named but not there is an error."""
    with pytest.raises(ConfigError, match=r"nothing\.toml: found no readable file"):
        load_config(tmp_path / "nothing.toml", environ={})


def test_windows_by_event_time_are_given_as_durations() -> None:
    """Sizes with a unit of time make windows by event time; numbers from the environment are points."""
    config = loaded(windows__kind="time", windows__size="1h", windows__hop="5min").config
    assert (config.windows.size, config.windows.hop) == (timedelta(hours=1), timedelta(minutes=5))
    assert load_config(environ={"DRIFTLINE_WINDOWS__SIZE": "128"}).config.windows.size == 128


def test_columns_are_given_as_a_list_or_separated_by_commas(tmp_path: Path) -> None:
    """Names of columns may have blanks within, not around them."""
    (tmp_path / "driftline.toml").write_text("[source]\nvalue_fields = ['flow rate', 'level']\n")
    assert load_config(environ={}).config.source.value_fields == ("flow rate", "level")
    variable = {"DRIFTLINE_SOURCE__VALUE_FIELDS": "flow rate, level"}
    assert load_config(environ=variable).config.source.value_fields == ("flow rate", "level")


def test_every_key_alters_the_hash_or_is_known_not_to() -> None:
    """A key that is added must be put on one of the two lists; they and the hash agree."""
    keys = {f"{section}.{key}" for section, table in Config().plain().items() for key in table}
    assert keys - {"windows.kind"} == DECISIVE.keys() | OF_BASELINES.keys() | INDIFFERENT.keys()
    default = config_hash(Config())
    for changes, alters in ((DECISIVE, True), (INDIFFERENT, False)):
        for key, value in changes.items():
            config = loaded(**{key.replace(".", "__"): value}).config
            assert config != Config()
            assert (config_hash(config) != default) == alters, key


def test_the_risk_said_last_is_the_one(tmp_path: Path) -> None:
    """A risk per day takes the place of one per 1,000 points that was set before it, and the other way round."""
    file = tmp_path / "driftline.toml"
    file.write_text("[detector]\nrisk = 0.25\n")
    daily = load_config(file, environ={"DRIFTLINE_DETECTOR__RISK_PER_DAY": "0.3"})
    assert (daily.config.detector.risk, daily.config.detector.risk_per_day) == (None, 0.3)
    assert Config.model_validate(tomllib.loads(show(daily))) == daily.config
    assert "risk = " not in show(daily)
    file.write_text("[detector]\nrisk_per_day = 0.3\n")
    assert load_config(file, environ={}).config == daily.config
    by_points = load_config(file, {"detector.risk": Given("--risk", 0.25)}, environ={}).config.detector
    assert (by_points.risk, by_points.risk_per_day) == (0.25, None)
    assert len({config_hash(loaded(**{f"detector__{name}": 0.3}).config) for name in ("risk", "risk_per_day")}) == 2


def test_two_risks_in_one_place_are_refused(tmp_path: Path) -> None:
    """Which of them is meant cannot be known."""
    file = tmp_path / "driftline.toml"
    file.write_text("[detector]\nrisk = 1.0\nrisk_per_day = 0.3\n")
    with pytest.raises(ConfigError, match=r"driftline.toml, .*found risk = 1.0 and risk_per_day = 0.3; expected one"):
        load_config(file, environ={})


def test_the_hash_of_a_baseline_covers_what_it_uses() -> None:
    """Its hyper-parameters and the risk; not the profile, which is the LSTM's."""
    kind = {"detector__kind": "windowed-gaussian"}
    hashes = [
        config_hash(loaded(**kind, **{key.replace(".", "__"): value for key, value in more.items()}).config)
        for more in ({}, OF_BASELINES, {"detector.risk": 0.5}, {"detector.profile": "dense"})
    ]
    assert len({*hashes}) == 3
    assert hashes[0] == hashes[3]


def test_the_hash_of_the_default_configuration_stays() -> None:
    """Snapshots and checkpoints can be gone on with; a change of a default that alters verdicts gives another."""
    assert config_hash(Config()) == "03bbb032c9b0d709"


OPTIONS = {"n_trees": 25, "limits": {"value": [0, 1.5]}, "sub_stat": "river.stats.Mean"}


def test_options_are_a_table_or_written_in_one_line(tmp_path: Path) -> None:
    """In a file, by environment, and one by one; what is shown is TOML of them."""
    file = tmp_path / "driftline.toml"
    table = "n_trees = 25\nlimits = { value = [0, 1.5] }\nsub_stat = 'river.stats.Mean'\n"
    file.write_text(f"[detector]\nkind = 'river.anomaly.X'\n[detector.options]\n{table}")
    from_file = load_config(file, environ={})
    assert from_file.config.detector.options == OPTIONS
    assert Config.model_validate(tomllib.loads(show(from_file))) == from_file.config
    kind = {"DRIFTLINE_DETECTOR__KIND": "river.anomaly.X"}
    line = table.strip().replace("\n", ", ")
    assert load_config(environ=kind | {"DRIFTLINE_DETECTOR__OPTIONS": line}).config == from_file.config
    one_by_one = ("n_trees=25", "limits={ value = [0, 1.5] }", "sub_stat=river.stats.Mean")
    options = {"detector.options": Given("--detector-option", one_by_one)}
    assert load_config(None, options, environ=kind).config == from_file.config


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"detector.kind": "persistance"}, "expected lstm, windowed-gaussian, persistence or a class path below river"),
        ({"detector.kind": "persistance"}, "did you mean 'persistence'?"),
        ({"detector.kind": "sklearn.svm.SVC"}, "found the detector 'sklearn.svm.SVC'"),
        ({"detector.options": "window = 7"}, "found the options window for the detector 'lstm'; expected none"),
        (
            {"detector.kind": "persistence", "detector.options": "a"},
            "found 'a'; expected options such as 'n_trees = 25",
        ),
        (
            {"detector.kind": "persistence", "detector.options": ("a",)},
            "found 'a'; expected an option such as 'n_trees",
        ),
        ({"detector.kind": "persistence", "detector.options": 7}, "found 7; expected a valid dictionary"),
    ],
)
def test_what_is_no_detector_is_told(given: dict[str, Any], told: str) -> None:
    """By name, with what there is and the nearest of it."""
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_config(None, {key: Given(f"({key})", value) for key, value in given.items()}, environ={})


def test_the_hash_of_windows_by_event_time_covers_what_only_they_use() -> None:
    """The aggregate and the allowed lateness alter verdicts where windows are by event time."""
    by_time = {"windows__kind": "time", "windows__size": "1h", "windows__hop": "5min"}
    hashes = {
        config_hash(loaded(**by_time, **more).config)
        for more in ({}, {"windows__aggregate": "sum"}, {"windows__allowed_lateness": "1min"})
    }
    assert len(hashes) == 3


def test_the_example_is_the_default_configuration(tmp_path: Path) -> None:
    """The example, read as a file, changes nothing; with its comments removed it sets every key."""
    file = tmp_path / "example.toml"
    file.write_text(example())
    assert load_config(file, environ={}).config == Config()
    settings = [line.removeprefix("# ") if " = " in line else line for line in example().splitlines()]
    keys = tomllib.loads("\n".join(line for line in settings if not line.startswith("#")))
    assert {name: set(table) for name, table in keys.items()} == {
        name: set(table) for name, table in Config().plain().items()
    }


def test_the_documentation_holds_the_example() -> None:
    """docs/configuration.md shows the example as `driftline config --example` prints it."""
    documentation = Path(__file__).parents[2] / "docs" / "configuration.md"
    shown = f"```toml\n{example()}```" in documentation.read_text()
    assert shown, "put what `driftline config --example` prints into docs/configuration.md"


def test_what_is_shown_says_where_it_is_from() -> None:
    """A value that is no default has its place beside it, and what is shown is TOML of that configuration."""
    given = load_config(None, {"detector.risk": Given("--risk", 2.0)}, environ={"DRIFTLINE_STATE__BUDGET": "1536MiB"})
    text = show(given)
    assert "risk = 2.0  # --risk" in text
    assert 'budget = "1536MiB"  # environment variable DRIFTLINE_STATE__BUDGET' in text
    assert 'profile = "balanced"\n' in text
    assert Config.model_validate(tomllib.loads(text)) == given.config


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    """Neither what is in effect nor an error tells a password."""
    file = tmp_path / "secret.toml"
    file.write_text('[kafka]\npassword = "hunter2"\nkey_password = "hunter2"\n')
    given = load_config(file, environ={})
    assert "hunter2" not in show(given) + repr(given.config) + str(given.config.plain())
    file.write_text("[kafka]\npassword = [4711]\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file, environ={})
    assert "4711" not in str(caught.value)
    assert "[kafka] password" in str(caught.value)


def test_names_are_those_of_the_engine() -> None:
    """Profiles and aggregates of the configuration are those that there are."""
    assert set(get_args(ProfileName)) == set(PROFILES)
    assert get_args(Aggregate) == get_args(windows.Aggregate)


@pytest.mark.parametrize(
    ("text", "microseconds", "shown"),
    [("30s", 30_000_000, "30s"), ("1.5 h", 5_400_000_000, "90min"), ("0d", 0, "0s"), ("7us", 7, "7us")],
)
def test_durations_are_read_and_written(text: str, microseconds: int, shown: str) -> None:
    """A duration is a number with a unit, and is written in the largest that is whole."""
    duration = parse_duration(text)
    assert duration == timedelta(microseconds=microseconds)
    assert format_duration(duration) == shown


@pytest.mark.parametrize(
    ("text", "size", "shown"),
    [
        ("1GiB", 2**30, "1GiB"),
        ("1.5kB", 1500, "1500B"),
        (4096, 4096, "4KiB"),
        ("0B", 0, "0B"),
        ("3kB", 3000, "3kB"),
        ("7MB", 7_000_000, "7MB"),
        ("2MiB", 2**21, "2MiB"),
        ("5GB", 5 * 10**9, "5GB"),
        ("2TiB", 2**41, "2TiB"),
    ],
)
def test_sizes_are_read_and_written(text: object, size: int, shown: str) -> None:
    """A size is a number with a unit, or of bytes."""
    assert parse_size(text) == size
    assert format_size(size) == shown


@pytest.mark.parametrize("text", ["", "5", "min", "-5s", "5 s s", "1e3s", 5, None, True])
def test_what_is_no_duration_is_refused(text: object) -> None:
    """A duration without number or unit, or below zero, is an error."""
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


def test_passwords_in_urls_are_masked_where_a_configuration_is_shown() -> None:
    """The rest of the URL is shown, and a pattern with a question mark is no URL."""
    text = show(loaded(models__registry="sftp://ann:hunter2@host/models?key=hunter2", input__pattern="metrics?.*"))
    assert 'registry = "sftp://ann:***@host/models?***"' in text
    assert 'pattern = "metrics?.*"' in text
    assert "hunter2" not in text

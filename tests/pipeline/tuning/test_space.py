import pytest

from pipeline.errors import ConfigError
from pipeline.tuning.history import measure_after
from pipeline.tuning.space import AS_CONFIGURED, KNOWN, parse_search, settings_of, widened, window_choices
from tests.pipeline.tuning.samples import recording


def test_names_bounds_and_choices_are_understood() -> None:
    """Of each setting, the bounds given or the usual ones."""
    risk, rest, profile, margin = parse_search(["risk=0.1..2", "rest,profile", "margin=0..1"])
    assert (risk.key, risk.low, risk.high, risk.is_log) == ("detector.risk", 0.1, 2.0, True)
    assert (rest.low, rest.high, rest.is_whole) == (10, 1000, True)
    assert profile.choices == ("accurate", "balanced", "dense")
    assert (margin.low, margin.high, margin.is_log) == (0.0, 1.0, False)
    assert parse_search(["profile=dense"])[0].choices == ("dense",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rsik", "found 'rsik'; expected some of risk, profile, .*; did you mean 'risk'"),
        ("risk=1", "found '1'; expected two numbers"),
        ("risk=2..1", "found '2..1'; expected two numbers, the lower first"),
        ("rest=1.5..9", "expected two whole numbers"),
        ("risk=0.1..inf", "expected two numbers"),
        ("profile=tiny", "found 'tiny'; expected some of accurate, balanced, dense"),
        ("windows=1h", "found bounds for windows"),
        ("risk,risk", "found 'risk' twice"),
    ],
)
def test_what_is_none_is_refused(text: str, message: str) -> None:
    """In one line that says what was expected."""
    with pytest.raises(ConfigError, match=message):
        parse_search([text])


def test_what_is_configured_lies_within() -> None:
    """Whatever it is, so that it can be tried as it stands."""
    settings = widened(KNOWN, {"risk": 8.0, "profile": "dense", "windows": AS_CONFIGURED, "rest": 0, "margin": 0.33,
                               "quiet": 30})  # fmt: skip
    by_name = {setting.name: setting for setting in settings}
    assert by_name["risk"].high == 8.0
    assert (by_name["rest"].low, by_name["rest"].is_log) == (0, False)
    assert by_name["margin"].step is None
    assert (by_name["quiet"].low, by_name["quiet"].high) == (5, 150)


def test_only_what_differs_is_changed() -> None:
    """Numbers are short, and a window brings its kind and size."""
    configured = {setting.name: value for setting, value in zip(
        KNOWN, (1.1, "balanced", AS_CONFIGURED, 120, 0.3, 30), strict=True)}  # fmt: skip
    assert settings_of(KNOWN, configured, configured) == {}
    point = configured | {"risk": 0.123456, "windows": "5min", "rest": 121}
    assert settings_of(KNOWN, point, configured) == {
        "detector.risk": 0.123,
        "windows.kind": "time",
        "windows.size": "12000s",
        "windows.hop": "5min",
        "episodes.rest": 121,
    }


def test_windows_are_worth_a_try_where_data_are_dense() -> None:
    """A stream of 5 minutes must be long enough to leave 1,500 steps."""
    sparse, dense = (measure_after(recording(points), 150) for points in (2000, 7000))
    assert window_choices([sparse], None) == (AS_CONFIGURED,)
    assert window_choices([dense], None) == (AS_CONFIGURED, "10min", "20min")
    assert window_choices([dense], 600.0) == (AS_CONFIGURED, "20min")

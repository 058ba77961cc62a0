from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from pipeline.adapters.bundles import Bundle, load_bundle, shipped_bundle_path
from pipeline.cli.opening import open_bundle
from pipeline.cli.wiring import engine_maker, make_detector, window_spec
from pipeline.config import Config, Given, load_config
from pipeline.errors import BundleError, ConfigError
from pipeline.windows import CountWindows, TimeWindows
from tests.pipeline.cli.samples import configured


def shipped(**changes: object) -> Bundle:
    """The shipped bundle with another manifest."""
    bundle = load_bundle(shipped_bundle_path())
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, **changes))


def test_windows_are_made_as_configured() -> None:
    """Points make windows by count, durations windows by event time, in microseconds."""
    assert window_spec(configured(windows__size=32, windows__hop=4)) == CountWindows(32, 4)
    by_time = configured(windows__kind="time", windows__size="1h", windows__hop="5min", windows__allowed_lateness="90s")
    assert window_spec(by_time) == TimeWindows(3_600_000_000, 300_000_000, 90_000_000, "mean")


def test_sizes_that_do_not_go_together_are_told() -> None:
    """A window that is no multiple of its hop is an error of the configuration."""
    uneven = configured(windows__kind="time", windows__size="1h", windows__hop="7min")
    with pytest.raises(ConfigError, match=r"\[windows\] found .* expected a multiple of the hop"):
        window_spec(uneven)


def test_the_decision_follows_the_configuration() -> None:
    """Rest, margin, quiet and warm-up reach the detector, and a lower risk means no lower threshold."""
    config = configured(episodes__rest=7, episodes__margin=0.25, episodes__quiet=9, episodes__warm_up=77)
    decision = make_detector(config, shipped()).decision
    assert (decision.rest, decision.margin, decision.quiet, decision.warm_up) == (7, 0.25, 9, 77)
    assert make_detector(configured(detector__profile="dense"), shipped()).profile.name == "dense"


def test_joint_lanes_have_the_thresholds_measured_on_them() -> None:
    """A bundle with a calibration of joint lanes gives them other thresholds; one without gives them any lane's."""
    flat = {"ages": [150, 500], "log_rates": [-4.0, -2.0]}
    measured = (
        {"balanced": flat | {"thresholds": [[2.0, 2.0]] * 2}},
        {"balanced": flat | {"thresholds": [[3.0, 3.0]] * 2}},
    )
    detector = make_detector(
        configured(episodes__rest=7), shipped(calibration=measured[0], joint_calibration=measured[1])
    )
    joint = detector.for_joint_lanes()
    assert (detector.decision.thresholds == 2.0).all()
    assert (joint.decision.thresholds == 3.0).all()
    assert joint.decision.rest == 7
    assert joint.table is not None
    assert joint.table.thresholds == [[3.0, 3.0]] * 2
    alike = make_detector(Config(), shipped(calibration=measured[0], joint_calibration=None))
    assert alike.for_joint_lanes() is alike


def test_a_broken_calibration_of_joint_lanes_is_told() -> None:
    """It is an error of the bundle, as that of any lane is."""
    with pytest.raises(BundleError, match="profile 'balanced'"):
        make_detector(Config(), shipped(joint_calibration={"balanced": {"ages": [1.0]}}))


@pytest.mark.parametrize(
    ("calibration", "part"),
    [
        ({}, "found no calibration for the profile 'balanced'; expected one of none"),
        ({"dense": {}}, "expected one of dense"),
        ({"balanced": {"ages": [1.0]}}, "profile 'balanced'"),
        ({"balanced": {"ages": [1.0], "log_rates": [1.0], "thresholds": [[1.0]]}}, "found a threshold table of shape"),
    ],
)
def test_a_bundle_without_a_calibration_is_told(calibration: dict[str, object], part: str) -> None:
    """A bundle that was not calibrated for the profile, or not as it should, is an error of the bundle."""
    with pytest.raises(BundleError) as caught:
        make_detector(Config(), shipped(calibration=calibration))
    assert part in str(caught.value)


def test_a_bundle_is_named_by_its_folder(tmp_path: Path) -> None:
    """'shipped' is the one that comes with the package; anything else is a path."""
    assert open_bundle(Config()).short_id == shipped().short_id
    with pytest.raises(BundleError, match="elsewhere"):
        open_bundle(configured(detector__bundle=str(tmp_path / "elsewhere")))


def test_engines_are_made_one_after_another(tmp_path: Path) -> None:
    """Each partition gets an engine of the configured budget, and a budget that holds no key is told."""
    config = configured(state__budget="64KiB")
    detector = make_detector(config, shipped())
    with engine_maker(config, detector, "b", "s", ("value",), tmp_path) as make:
        one, other = make("one"), make("other")
    assert one.lanes is not other.lanes
    assert one.lanes.max_keys == 2**16 // one.lanes.bytes_per_lane
    small = configured(state__budget="4KiB")
    with (
        engine_maker(small, detector, "b", "s", ("a", "b", "c"), tmp_path) as make,
        pytest.raises(ConfigError, match="found a state budget of 4096 bytes"),
    ):
        make("one")


@pytest.mark.parametrize(
    ("profile", "windows", "kept"),
    [
        ("dense", {}, 40),
        ("balanced", {}, 64),
        ("dense", {"windows.size": Given("", 100)}, 100),
        (
            "balanced",
            {"windows.kind": Given("", "time"), "windows.size": Given("", "6h"), "windows.hop": Given("", "5min")},
            72,
        ),
    ],
)
def test_a_lane_keeps_its_window(profile: str, windows: dict[str, Given], kept: int) -> None:
    """A window longer than what the profile keeps anyway is kept whole, in steps."""
    config = load_config(None, {"detector.profile": Given("", profile), **windows}, environ={}).config
    assert make_detector(config, load_bundle(shipped_bundle_path())).profile.window == kept

from pathlib import Path

import pytest

from pipeline.adapters.bundles import load_bundle, save_bundle, shipped_bundle_path
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli.evaluate.options import config_of
from pipeline.cli.opening import open_bundle, pin_bundle, pinned_name
from pipeline.config import Config
from pipeline.errors import BundleError, RegistryError
from tests.pipeline.adapters.bundles.bench import act
from tests.pipeline.cli.bundles import variant
from tests.pipeline.cli.samples import configured


def test_bundles_are_named_by_folder_champion_or_id(tmp_path: Path) -> None:
    """Shipped, a folder, the champion of this moment, an id of the registry, and one of another registry."""
    assert open_bundle(Config()).manifest == load_bundle(shipped_bundle_path()).manifest
    assert pinned_name(Config()) is None
    assert pin_bundle(Config()) == Config()
    url, other = f"file://{tmp_path}/models", f"{tmp_path}/other"
    with pytest.raises(BundleError, match="found no champion; expected one: driftline models add DIR --promote"):
        open_bundle(configured(detector__bundle="champion", models__registry=url))
    a, b = variant(seed=2), variant(seed=3)
    for where, bundle in ((url, a), (other, b)):
        registry = Registry(where)
        registry.promote(registry.publish(bundle, act()), act())
    Registry(url).publish(b, act(1))
    save_bundle(b, tmp_path / "a#b")
    for name, expected in {
        "champion": a,
        "#champion": a,
        f"#{b.manifest.id[:6]}": b,
        f"{other}#champion": b,
        f"{other}#{b.manifest.id}": b,
        str(tmp_path / "a#b"): b,
    }.items():
        config = configured(detector__bundle=name, models__registry=url)
        assert open_bundle(config).manifest == expected.manifest, name
        assert open_bundle(pin_bundle(config)).manifest == expected.manifest, name
    with pytest.raises(RegistryError, match="found no bundle ffff"):
        open_bundle(configured(detector__bundle="#ffff", models__registry=url))
    with pytest.raises(BundleError, match=r"nowhere/manifest.json: found no readable file"):
        open_bundle(configured(detector__bundle="nowhere"))


def test_what_is_pinned_stays(tmp_path: Path) -> None:
    """A promotion later on does not change what a configuration means that was pinned before."""
    registry = Registry(str(tmp_path))
    a, b = (registry.publish(variant(seed=seed), act()) for seed in (2, 3))
    registry.promote(a, act())
    config = configured(detector__bundle="champion", models__registry=str(tmp_path))
    pinned = pin_bundle(config)
    assert pinned.detector.bundle == pinned_name(config) == f"#{a}"
    registry.promote(b, act(1))
    assert open_bundle(pinned).manifest.id == a
    assert open_bundle(config).manifest.id == b


def test_an_evaluation_pins_the_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its processes score with the champion of when it began."""
    registry = Registry(str(tmp_path / "models"))
    name = registry.publish(variant(seed=2), act())
    registry.promote(name, act())
    monkeypatch.setenv("DRIFTLINE_MODELS__REGISTRY", str(tmp_path / "models"))
    given = {
        "detector": None, "detector_option": (), "profile": None, "bundle": "champion", "risk": None,
        "risk_per_day": None, "file": None,
    }  # fmt: skip
    assert config_of(given).detector.bundle == f"#{name}"

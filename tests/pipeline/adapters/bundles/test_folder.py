import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from detectors.network import HORIZONS, Network
from detectors.structure import PLAIN, Structure
from pipeline.adapters.bundles import (
    Bundle,
    Lineage,
    TrainingWindow,
    load_bundle,
    make_bundle,
    save_bundle,
    shipped_bundle_path,
)
from pipeline.errors import BundleError
from tests.detectors.written_out import STRUCTURES
from tests.pipeline.adapters.bundles.bench import example, tiny_network

GOLDEN = sorted((Path(__file__).parents[3] / "data" / "bundles").iterdir())
_LATER: dict[str, Any] = {
    "training_window": TrainingWindow(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
    "normaliser": {"memory": 2000, "clip_sd": 4.0},
    "code_version": "0.2.0",
}
_LATEST: dict[str, Any] = {"joint_calibration": {"balanced": {"threshold": [1.5, 2.5]}}}


_SHAPE: dict[str, Any] = {"layers": 1, "hidden": 2, "inputs": 10, "horizons": HORIZONS}


def contents(directory: Path) -> dict[str, bytes]:
    """Bytes of each file of a directory."""
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_round_trip(tmp_path: Path) -> None:
    """What is saved is what is loaded: the weights to the bit and every field of the manifest."""
    bundle = example()
    save_bundle(bundle, tmp_path / "b")
    loaded = load_bundle(tmp_path / "b")
    assert loaded.manifest == bundle.manifest
    assert loaded.network.horizons == HORIZONS
    for name, array in bundle.network.arrays.items():
        assert np.array_equal(loaded.network.arrays[name], array)


def test_content_is_what_json_makes_of_it(tmp_path: Path) -> None:
    """Numbers as keys and tuples become text and lists at once, not only when the bundle is read back."""
    bundle = example(metrics={"error": {1: 0.5}, "curve": (1, 2)})
    assert bundle.manifest.metrics == {"error": {"1": 0.5}, "curve": [1, 2]}
    save_bundle(bundle, tmp_path / "b")
    assert load_bundle(tmp_path / "b").manifest == bundle.manifest


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    """Two bundles of the same content, whatever the order of their keys, are the same two files."""
    save_bundle(example(), tmp_path / "one")
    save_bundle(example(training={"rate": 3e-3, "steps": 3}), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert set(contents(tmp_path / "one")) == {"manifest.json", "weights.safetensors"}


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"inputs_version": 2},
        {"training": {}},
        {"data_hash": "cd" * 32},
        {"metrics": {}},
        {"calibration": {}},
        {"lineage": Lineage(parent="ef" * 32, created_by="driftline 0.1.0")},
        *({name: value} for name, value in (_LATER | _LATEST).items()),
    ],
    ids=lambda change: next(iter(change)),
)
def test_id_covers_every_field(change: dict[str, Any]) -> None:
    """A change of any field gives another id."""
    assert example(**change).manifest.id != example().manifest.id


def test_id_covers_the_weights() -> None:
    """A change of one weight gives another id; the short id is its first 16 digits."""
    bundle = example()
    arrays = {name: array.copy() for name, array in bundle.network.arrays.items()}
    arrays["head_bias"][0] = np.nextafter(arrays["head_bias"][0], np.float32(9))
    network = Network(1, 2, 10, HORIZONS, arrays)
    same = {
        name: getattr(bundle.manifest, name) for name in ("training", "seed", "data_hash", "metrics", "calibration")
    }
    other = make_bundle(network, inputs_version=1, lineage=bundle.manifest.lineage, **same)
    assert other.manifest.id != bundle.manifest.id
    assert len(bundle.manifest.id) == 64
    assert bundle.manifest.id.startswith(bundle.short_id)
    assert len(bundle.short_id) == 16


@pytest.mark.parametrize("name", ["manifest.json", "weights.safetensors"])
def test_every_flipped_byte_is_found(tmp_path: Path, name: str) -> None:
    """A flipped bit in any byte of either file, or a byte more or less, is refused in one line."""
    directory = tmp_path / "b"
    save_bundle(example(), directory)
    file = directory / name
    good = file.read_bytes()
    rng = np.random.default_rng(7)
    damaged = [good + b"\n", good[:-1], b""]
    for position in range(len(good)):
        flipped = bytearray(good)
        flipped[position] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(BundleError) as caught:
            load_bundle(directory)
        assert "\n" not in str(caught.value)
        assert str(file) in str(caught.value) or name == "manifest.json"
    file.write_bytes(good)
    load_bundle(directory)


def test_another_form_of_the_same_manifest_is_found(tmp_path: Path) -> None:
    """A manifest rewritten in another valid JSON form is refused: it has one form only."""
    directory = tmp_path / "b"
    save_bundle(example(), directory)
    file = directory / "manifest.json"
    file.write_bytes(msgspec.json.format(file.read_bytes(), indent=0))
    with pytest.raises(BundleError, match="damaged or was edited"):
        load_bundle(directory)


@pytest.mark.parametrize("missing", ["manifest.json", "weights.safetensors"])
def test_missing_part_is_named(tmp_path: Path, missing: str) -> None:
    """A bundle without one of its files is refused by that file's name."""
    save_bundle(example(), tmp_path / "b")
    (tmp_path / "b" / missing).unlink()
    with pytest.raises(BundleError, match=f"{missing}: found no readable file"):
        load_bundle(tmp_path / "b")


def rewrite(directory: Path, **changes: Any) -> None:
    """Change fields of a saved manifest and nothing else."""
    file = directory / "manifest.json"
    manifest = msgspec.json.decode(file.read_bytes()) | changes
    file.write_bytes(msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"version": 6},
            r"version 6; expected 'driftline-bundle', version 1, 2, 3, 4 or 5: upgrade driftline to read it",
        ),
        ({"version": 0}, r"version 0; expected 'driftline-bundle', version 1, 2, 3, 4 or 5: use a bundle made by"),
        ({"version": 2}, r"does not match its id"),
        ({"code_version": "0.2.0"}, r"found fields of version 2 in version 1"),
        ({"format": "other"}, r"found format 'other', version 1; expected"),
        ({"colour": "blue"}, r"unknown field `colour`"),
        ({"seed": "7"}, r"Expected `int`, got `str` - at `\$.seed`"),
        ({"seed": 8}, r"does not match its id"),
        (
            {"version": 5, "network": _SHAPE | {"cell": "rnn"}},
            r"manifest.json: found cell 'rnn'; expected one of lstm, gru, layer-norm-lstm: upgrade driftline",
        ),
        ({"version": 5, "network": _SHAPE | {"attention": 99}}, r"found attention 99; expected 2 to 16 steps"),
        ({"version": 3, "network": _SHAPE | {"cell": "gru"}}, r"found fields of version 5 in version 3"),
    ],
)
def test_foreign_manifest_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Another format or version, an unknown field, a wrong type or an edit is told apart and named."""
    save_bundle(example(), tmp_path / "b")
    rewrite(tmp_path / "b", **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(tmp_path / "b")


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_a_structure_goes_into_the_bundle(tmp_path: Path, structure: Structure) -> None:
    """A bundle of another structure is of version 5, names it, and gives it back; one that is plain names none."""
    bundle = example(network=tiny_network(structure=structure))
    assert bundle.manifest.version == 5
    save_bundle(bundle, tmp_path / "b")
    loaded = load_bundle(tmp_path / "b")
    assert loaded.network.structure == structure
    assert loaded.network.arrays.keys() == bundle.network.arrays.keys()
    told = msgspec.json.decode((tmp_path / "b" / "manifest.json").read_bytes())["network"]
    parts = {"cell": structure.cell, "convolution": structure.convolution, "attention": structure.attention}
    assert {name: told.get(name, getattr(PLAIN, name)) for name in parts} == parts
    save_bundle(example(), tmp_path / "plain")
    assert not msgspec.json.decode((tmp_path / "plain" / "manifest.json").read_bytes())["network"].keys() & parts.keys()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Weights whose shapes contradict the manifest are refused even when every hash is right."""
    bundle = example()
    wrong = msgspec.structs.replace(bundle.manifest.network, hidden=3)
    manifest = msgspec.structs.replace(bundle.manifest, network=wrong)
    save_bundle(Bundle(bundle.network, manifest), tmp_path / "b")
    content = msgspec.to_builtins(manifest)
    del content["id"]
    right = hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
    rewrite(tmp_path / "b", id=right)
    with pytest.raises(BundleError, match=r"weights.safetensors: found weight_ih_l0 of shape \(8, 10\)"):
        load_bundle(tmp_path / "b")


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_bundles_of_every_version_are_read(golden: Path, tmp_path: Path) -> None:
    """A bundle written by any version of the format is loaded, and saved again as the very same bytes."""
    bundle = load_bundle(golden)
    assert golden.name.startswith(f"version-{bundle.manifest.version}")
    save_bundle(bundle, tmp_path / "b")
    assert contents(tmp_path / "b") == contents(golden)


def test_the_oldest_version_that_will_do_is_written(tmp_path: Path) -> None:
    """Versions 2 to 5 are for what those before cannot say; what is not known is not in the file."""
    assert example().manifest.version == 1
    bundle = example(**_LATER)
    assert bundle.manifest.version == 2
    save_bundle(bundle, tmp_path / "b")
    loaded = load_bundle(tmp_path / "b").manifest
    assert {name: getattr(loaded, name) for name in _LATER} == _LATER
    save_bundle(example(code_version="0.2.0"), tmp_path / "c")
    assert b"training_window" not in (tmp_path / "c" / "manifest.json").read_bytes()
    assert b'"fields"' not in (tmp_path / "c" / "manifest.json").read_bytes()
    joint = example(network=tiny_network(("flow", "pressure")), **_LATER)
    assert joint.manifest.version == 3
    save_bundle(joint, tmp_path / "d")
    assert load_bundle(tmp_path / "d").network.fields == ("flow", "pressure")
    apart = example(**_LATER, **_LATEST)
    assert apart.manifest.version == 4
    save_bundle(apart, tmp_path / "e")
    assert load_bundle(tmp_path / "e").manifest.joint_calibration == _LATEST["joint_calibration"]
    assert b"joint_calibration" not in (tmp_path / "d" / "manifest.json").read_bytes()


def test_a_training_window_needs_an_order_and_a_time_zone() -> None:
    """One that ends before it starts, or of local times, is refused."""
    early, late = _LATER["training_window"].start, _LATER["training_window"].end
    for start, end in ((late, early), (early, early), (early.replace(tzinfo=None), late)):
        with pytest.raises(ValueError, match="expected two times with a time zone"):
            example(training_window=TrainingWindow(start, end))


def test_saving_again_changes_nothing(tmp_path: Path) -> None:
    """Saving the same bundle twice leaves the first copy untouched, and no stray file beside it."""
    save_bundle(example(), tmp_path / "b")
    before = (tmp_path / "b" / "manifest.json").stat()
    save_bundle(example(), tmp_path / "b")
    after = (tmp_path / "b" / "manifest.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_another_bundle_is_never_overwritten(tmp_path: Path) -> None:
    """Saving over a different bundle, or over a folder that is none, is refused and changes nothing."""
    save_bundle(example(), tmp_path / "b")
    kept = contents(tmp_path / "b")
    with pytest.raises(BundleError, match="choose another folder"):
        save_bundle(example(seed=8), tmp_path / "b")
    assert contents(tmp_path / "b") == kept
    (tmp_path / "notes").mkdir()
    with pytest.raises(BundleError, match=r"manifest.json"):
        save_bundle(example(), tmp_path / "notes")
    assert contents(tmp_path / "notes") == {}


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """When the folder cannot be made or put in place, the error says so in one line and nothing is left behind."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for target in (tmp_path / "file" / "b", tmp_path / "dangling"):
        with pytest.raises(BundleError, match="cannot be written"):
            save_bundle(example(), target)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "dangling"}


def test_shipped_bundle_lies_in_the_package() -> None:
    """The prior is found beside the code, wherever that is installed."""
    import pipeline

    assert shipped_bundle_path() == Path(str(pipeline.__file__)).parent / "bundles" / "prior"


def test_joint_thresholds_in_a_version_that_has_none_are_refused(tmp_path: Path) -> None:
    """Thresholds of joint lanes in version 2 are refused: who wrote that version would not have used them."""
    save_bundle(example(**_LATER, **_LATEST), tmp_path / "b")
    rewrite(tmp_path / "b", version=2)
    with pytest.raises(BundleError, match="found fields of version 4 in version 2"):
        load_bundle(tmp_path / "b")


def test_fields_in_a_version_that_has_none_are_refused(tmp_path: Path) -> None:
    """A joint network in version 2 is refused: who wrote that version could not have scored with it."""
    save_bundle(example(network=tiny_network(("flow", "pressure")), **_LATER), tmp_path / "b")
    rewrite(tmp_path / "b", version=2)
    with pytest.raises(BundleError, match="found fields of version 3 in version 2"):
        load_bundle(tmp_path / "b")

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

from detectors.layout import SCALARS
from pipeline.adapters.outputs.checkpoints import FILE, load_checkpoint, save_checkpoint
from pipeline.codec.checkpoints import VERSION
from pipeline.errors import CheckpointError
from pipeline.records import Checkpoint, RunIdentity

GOLDEN = Path(__file__).parents[3] / "data" / "checkpoints"


def golden_checkpoint() -> Checkpoint:
    """The content of every golden file."""
    rows = np.dtype([("last_time_us", "i8"), ("mean", "f8"), ("run", "i2"), ("ring", "f4", (3,))], align=True)
    scalars = np.zeros(4, rows)
    scalars["last_time_us"] = np.arange(4) * 1_000_000
    scalars["mean"] = [1.5, -np.inf, np.nan, 0.1]
    scalars["ring"] = np.arange(12).reshape(4, 3)
    return Checkpoint(
        run=RunIdentity(config_hash="c0ffee", bundle="b1", source="machine.csv"),
        meta={"position": 2**53 + 1, "rate": 0.1, "nested": {"done": ["a", "é"], "none": None}},
        arrays={
            "scalars": scalars,
            "hidden": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4),
            "counts": np.arange(5, dtype=np.uint16),
            "flags": np.array([True, False]),
            "empty": np.zeros((0, 7), np.int16),
            "single": np.array(7, np.int64),
        },
        key_names=["pump", 'a "quoted"\nname', ""],
        spilled=[("away", b"\x00\xff"), ("gone", b"")],
    )


def assert_same(found: Checkpoint | None, expected: Checkpoint) -> None:
    """Equal in every value and type."""
    assert found is not None
    assert (found.run, found.meta, found.key_names) == (expected.run, expected.meta, expected.key_names)
    assert list(found.spilled) == list(expected.spilled)
    assert list(found.arrays) == list(expected.arrays)
    for name, array in expected.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].tobytes() == array.tobytes()
        assert found.arrays[name].flags.writeable
        assert found.arrays[name].flags.aligned


def test_round_trip(tmp_path: Path) -> None:
    """What is saved comes back, array dtypes and all; saved again, it is the same bytes."""
    save_checkpoint(tmp_path, golden_checkpoint())
    loaded = load_checkpoint(tmp_path)
    assert_same(loaded, golden_checkpoint())
    assert loaded is not None
    (tmp_path / "again").mkdir()
    save_checkpoint(tmp_path / "again", loaded)
    assert (tmp_path / FILE).read_bytes() == (tmp_path / "again" / FILE).read_bytes()


def test_lane_state(tmp_path: Path) -> None:
    """The scalars of lanes, an aligned structured array, keep every bit; so do arrays that are not contiguous."""
    rng = np.random.default_rng(7)
    scalars = np.frombuffer(rng.bytes(100 * SCALARS.itemsize), SCALARS)
    checkpoint = Checkpoint(RunIdentity("", "", ""), {}, {"scalars": scalars, "every_other": scalars[::2]}, [])
    save_checkpoint(tmp_path, checkpoint)
    assert_same(load_checkpoint(tmp_path), checkpoint)


def test_nothing_saved(tmp_path: Path) -> None:
    """A directory without a checkpoint has none, which is no error."""
    assert load_checkpoint(tmp_path) is None


@pytest.mark.parametrize("path", sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def test_golden(tmp_path: Path, path: Path) -> None:
    """Checkpoints of every version so far can be read."""
    (tmp_path / FILE).write_bytes(path.read_bytes())
    assert_same(load_checkpoint(tmp_path), golden_checkpoint())


def test_golden_of_this_version(tmp_path: Path) -> None:
    """What is written is what the golden file of this version has: a change of the format is a new version."""
    save_checkpoint(tmp_path, golden_checkpoint())
    assert (tmp_path / FILE).read_bytes() == (GOLDEN / f"version-{VERSION}.safetensors").read_bytes()


def test_is_safetensors(tmp_path: Path) -> None:
    """The file can be opened by the reader of the format."""
    save_checkpoint(tmp_path, golden_checkpoint())
    tensors = load_file(tmp_path / FILE)
    assert tensors["array.hidden"].tobytes() == golden_checkpoint().arrays["hidden"].tobytes()
    assert msgspec.json.decode(tensors["key_names"].tobytes()) == golden_checkpoint().key_names


def test_flipped_byte(tmp_path: Path) -> None:
    """A flipped byte anywhere is found, and the two checksums are told."""
    save_checkpoint(tmp_path, golden_checkpoint())
    whole = (tmp_path / FILE).read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"checksum [0-9a-f]{16}; expected [0-9a-f]{16}: the file is damaged"):
            load_checkpoint(tmp_path)


def test_wrong_length(tmp_path: Path) -> None:
    """A file that lost its end, or got another, is found out."""
    save_checkpoint(tmp_path, golden_checkpoint())
    whole = (tmp_path / FILE).read_bytes()
    for damaged in (b"", whole[:20], whole[:-1], whole + b"\0", whole * 2):
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(CheckpointError, match="the file is damaged"):
            load_checkpoint(tmp_path)


def test_other_version(tmp_path: Path) -> None:
    """A checkpoint of a version to come, whole by its checksum, is refused by its number."""
    save_checkpoint(tmp_path, golden_checkpoint())
    this, that = (rf"\"version\":{version}".encode() for version in (VERSION, VERSION + 1))
    content = (tmp_path / FILE).read_bytes()[:-32].replace(this, that)
    (tmp_path / FILE).write_bytes(content + hashlib.blake2b(content, digest_size=32).digest())
    with pytest.raises(
        CheckpointError, match=rf"found format '[a-z-]*', version {VERSION + 1}; expected .* {VERSION}:"
    ):
        load_checkpoint(tmp_path)


def test_unreadable(tmp_path: Path) -> None:
    """A checkpoint that is no file is told as such."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(CheckpointError, match="found no readable file"):
        load_checkpoint(tmp_path)


def test_python_objects(tmp_path: Path) -> None:
    """Arrays of Python objects are refused, and the checkpoint before stays."""
    save_checkpoint(tmp_path, golden_checkpoint())
    bad = Checkpoint(RunIdentity("", "", ""), {}, {"names": np.array(["a", None], object)}, [])
    with pytest.raises(ValueError, match="found Python objects in array 'names'"):
        save_checkpoint(tmp_path, bad)
    assert_same(load_checkpoint(tmp_path), golden_checkpoint())

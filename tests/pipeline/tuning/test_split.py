import numpy as np
import pytest

from pipeline.tuning.history import Recording
from pipeline.tuning.split import split_history
from tests.pipeline.tuning.samples import recording

WARM_UP = 150


def names(part: tuple[Recording, ...]) -> set[str]:
    """Streams of a part."""
    return {key for one in part for key in one.keys}


def test_streams_are_in_one_part_alone_and_all_kinds_in_both() -> None:
    """Neither part has records of a stream of the other, and both have labelled streams and those of each folder."""
    history = [
        recording(400, (f"{folder}/{number}",), windows={f"{folder}/{number}": [(300, 310)] * (number % 2)})
        for folder in ("cpu", "disk")
        for number in range(10)
    ]
    split = split_history(history, WARM_UP, 0.4, 7)
    tuning, held_out = names(split.tuning), names(split.held_out)
    assert split.by == "streams"
    assert not tuning & held_out
    assert len(held_out) == 8
    assert len(tuning) == 12
    for part in (split.tuning, split.held_out):
        kinds = {(one.keys[0].split("/")[0], len(one.windows[0])) for one in part}
        assert kinds == {("cpu", 0), ("cpu", 1), ("disk", 0), ("disk", 1)}


def test_the_keys_of_a_file_are_divided_too() -> None:
    """Each part's recording of the file has its own streams alone; another seed draws others."""
    history = [recording(400, [f"k{number}" for number in range(20)])]
    split = split_history(history, WARM_UP, 0.25, 7)
    assert len(names(split.held_out)) == 5
    assert len(names(split.tuning)) == 15
    assert sum(len(one) for one in (*split.tuning, *split.held_out)) == 400 * 20
    assert names(split.held_out) == names(split_history(history, WARM_UP, 0.25, 7).held_out)
    assert names(split.held_out) != names(split_history(history, WARM_UP, 0.25, 8).held_out)


def test_one_stream_is_divided_by_time() -> None:
    """Nothing measured in one part is in the other, and the held-out part begins with all that was before."""
    split = split_history([recording(1000)], WARM_UP, 0.4, 7)
    assert split.by == "time"
    (tuning,), (held_out,) = split.tuning, split.held_out
    assert len(tuning) == 150 + round(0.6 * 850)
    assert tuning.rows_of(0)[0] == WARM_UP
    assert len(held_out) == 1000
    assert held_out.rows_of(0)[0] == len(tuning)


def test_time_is_not_divided_within_an_anomaly() -> None:
    """The cut lies between two labelled windows, so that both parts have some, or behind the only one."""
    two = recording(1000, windows={"a": [(300, 320), (400, 420)]})
    split = split_history([two], WARM_UP, 0.4, 7)
    (tuning,), (held_out,) = split.tuning, split.held_out
    assert 320 < len(tuning) < 400
    assert held_out.rows_of(0)[0] == len(tuning)
    one = recording(1000, windows={"a": [(640, 700)]})
    assert len(split_history([one], WARM_UP, 0.4, 7).tuning[0]) == 701


def test_short_streams_are_left_out_and_named() -> None:
    """Nothing could be measured of them."""
    history = [recording(400, [f"k{number}"], name=f"f{number}") for number in range(5)]
    split = split_history([*history, recording(200, ["short"])], WARM_UP, 0.4, 7)
    assert split.left_out == ("short",)
    assert "short" not in names(split.tuning) | names(split.held_out)


def test_what_cannot_be_divided_is_refused() -> None:
    """With what was found and what was expected."""
    with pytest.raises(ValueError, match="found no stream of 250 records or more; expected at least one"):
        split_history([recording(200)], WARM_UP, 0.4, 7)
    with pytest.raises(ValueError, match="found one stream; expected two or more"):
        split_history([recording(1000)], WARM_UP, 0.4, 7, "streams")
    with pytest.raises(ValueError, match="found too few records behind the warm-up to divide them by time"):
        split_history([recording(1000, windows={"a": [(640, 999)]})], WARM_UP, 0.4, 7)


def test_a_labelled_history_of_several_fields_keeps_its_own_beginning() -> None:
    """What a stream has before its measured rows is measured in neither part."""
    history = recording(1000)
    later = Recording(
        history.name, history.fields, history.keys, history.key, history.time_us, history.values, history.windows,
        np.array([600]),
    )  # fmt: skip
    split = split_history([later], WARM_UP, 0.5, 7)
    assert split.tuning[0].rows_of(0)[0] == 600
    assert split.held_out[0].rows_of(0)[0] == 800

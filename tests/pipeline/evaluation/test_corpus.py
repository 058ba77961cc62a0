import pickle
from dataclasses import dataclass

import pytest

from pipeline.cli.evaluate.worker import start_worker
from pipeline.errors import InputError
from pipeline.evaluation.corpus import CorpusPlan, evaluate_corpus
from pipeline.evaluation.measures import StreamResult
from pipeline.labelled import LabelledStream
from tests.pipeline.evaluation.test_scoring import SmallEngines, make_stream


@dataclass(frozen=True, slots=True)
class Source:
    """A stream of so many rows; 0 for one that cannot be read."""

    name: str
    rows: int

    @property
    def points(self) -> int:
        """See `LabelledSource`."""
        return self.rows

    def read(self) -> LabelledStream:
        """See `LabelledSource`."""
        if not self.rows:
            raise InputError(self.name, found="nothing", expected="rows", row=3, column="value")
        return make_stream(rows=self.rows)


def plan(jobs: int) -> CorpusPlan:
    """A plan whose processes begin as those of the command do."""
    return CorpusPlan(jobs, 1000, start_worker)


def test_results_come_in_the_order_of_the_sources() -> None:
    """The largest is scored first, and everything is told of once."""
    told: list[int] = []

    def observe(result: StreamResult) -> None:
        told.append(result.rows)

    results = evaluate_corpus([Source("a", 750), Source("b", 900), Source("c", 800)], SmallEngines(), plan(1), observe)
    assert [result.rows for result in results] == [750, 900, 800]
    assert told == [900, 800, 750]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stream_that_cannot_be_read_ends_it_all(jobs: int) -> None:
    """The error comes whole from the process that met it."""
    with pytest.raises(InputError) as caught:
        evaluate_corpus([Source("a", 720), Source("b", 0)], SmallEngines(), plan(jobs), lambda _: None)
    assert str(caught.value) == "b, row 3, column 'value': found nothing; expected rows"
    assert (caught.value.row, caught.value.column) == (3, "value")


def test_an_input_error_can_go_to_another_process() -> None:
    """It comes back with its message and parts."""
    error = InputError("x.csv", found="a", expected="b", row=1)
    back = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    assert (type(back), str(back), back.source, back.found, back.expected) == (
        InputError, str(error), "x.csv", "a", "b",
    )  # fmt: skip

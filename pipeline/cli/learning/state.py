"""How far a training of the follower is, in a file: it goes on without one, or anew, rather than not at all."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from detectors.training import TrainingState
from pipeline.adapters.training_file import TrainingFile
from pipeline.cli.learning.job import Resumed, Trouble
from pipeline.errors import CheckpointError, UserError

Arrays = Mapping[str, NDArray[Any]]


class StateFile:
    """Fulfils `pipeline.resuming.TrainingStore`.

    Args:
        path: of the file.
        tell: takes what the follower is to know.
    """

    def __init__(self, path: Path, tell: Callable[[Resumed | Trouble], None]) -> None:
        self._file = TrainingFile(path, mend="it is begun anew", named_by="retrain.folder")
        self._tell = tell
        self._is_told = False

    def load(self, identity: str) -> Arrays | None:
        """What was kept last of this training; None where there is nothing that it can go on from, which is told."""
        try:
            arrays = self._file.load(identity)
            if arrays is not None:
                self._tell(Resumed(TrainingState.from_arrays(arrays).step))
        except (CheckpointError, KeyError, ValueError) as exc:
            self._tell(Trouble("training_begun_anew", str(exc), "what was kept of it cannot be gone on from"))
            self._file.remove()
            return None
        return arrays

    def keep(self, identity: str, arrays: Arrays) -> None:
        """Keep that instead; where it cannot be written, that is told once."""
        try:
            self._file.keep(identity, arrays)
        except UserError as exc:
            if not self._is_told:
                self._is_told = True
                self._tell(Trouble("training_not_kept", str(exc), "it goes on; a restart would begin it anew"))

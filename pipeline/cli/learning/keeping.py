"""Keeps the training that a follower is at, for it to be gone on with by the next follower of this machine."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipeline.adapters.bundles.training_log import new_name
from pipeline.adapters.unfinished import UnfinishedFiles
from pipeline.config import Config, environment
from pipeline.errors import CheckpointError, UserError
from pipeline.kernel_cache import user_cache_dir
from pipeline.learning.schedule import Due, Rules, Situation
from pipeline.learning.unfinished import Unfinished, why_not
from pipeline.service.plan import Log

_GONE_S = 5.0
"""For the process of a training whose follower was killed to be gone, too."""
_ANEW = "a restart would begin it anew"


@dataclass(frozen=True, slots=True)
class Keeping:
    """The files of a training; without them it goes on as well.

    Attributes:
        held: descriptors that keep others from them, for the process that trains to have open.
    """

    log: Log
    files: UnfinishedFiles | None
    held: Sequence[int] = ()

    @property
    def state(self) -> Path | None:
        """File of how far it is; None for none."""
        return None if self.files is None else self.files.state

    @property
    def told_of_restart(self) -> str:
        """What becomes of it behind an interruption, in words."""
        return _ANEW if self.files is None else "it is gone on with at the next start"

    def unfinished(self, due: Due, situation: Situation, rules: Rules) -> Unfinished | None:
        """The training that is to be gone on with, where there is one; what is kept of another one is removed."""
        if self.files is None:
            return None
        try:
            training = self.files.load()
            why = "" if training is None else why_not(training, due, situation, rules)
        except CheckpointError as exc:
            training, why = None, str(exc)
        if training is None or why:
            if why:
                name = None if training is None else training.name
                self.log.warning("training_dropped", run=name, reason=why, detail="a new one begins")
            self.files.remove()
            return None
        if training.name in {run.name for run in situation.runs}:  # it has failed, which is on record
            training = msgspec.structs.replace(training, name=new_name(situation.now), at=situation.now)
        return msgspec.structs.replace(training, resumed=(*training.resumed, situation.now))

    def keep(self, training: Unfinished) -> None:
        """Keep what it is; where that cannot be, it is told."""
        try:
            if self.files is not None:
                self.files.keep(training)
        except UserError as exc:
            self.log.warning("training_not_kept", error=str(exc), detail=_ANEW)

    def remove(self) -> None:
        """It has come to its end."""
        if self.files is not None:
            self.files.remove()


@contextmanager
def keeping(config: Config, log: Log) -> Iterator[Keeping]:
    """Within the block, files of the training of the configured registry are this follower's.

    Where they cannot be, that is told, and nothing is kept.
    """
    with ExitStack() as stack:
        try:
            files = UnfinishedFiles(_folder(config), config.models.registry)
            kept = Keeping(log, files, (stack.enter_context(files.hold(_GONE_S)),))
        except UserError as exc:
            log.warning("training_not_kept", error=str(exc), detail=_ANEW)
            kept = Keeping(log, None)
        yield kept


def _folder(config: Config) -> Path:
    if config.retrain.folder is not None:
        return Path(config.retrain.folder)
    cache = user_cache_dir(environment())
    if cache is None:
        raise UserError("found no home directory; expected one, or retrain.folder, to keep a training in")
    return cache / "trainings"

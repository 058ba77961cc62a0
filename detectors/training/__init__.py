"""Training of the forecasters; the only package that imports torch.

The loss is the negative log likelihood of the targets of `detectors.examples` under the forecasts, a Student-t
distribution per horizon. The state starts at zero with each series and is carried through to its end. A joint network
has the targets of each horizon of its first field, then of the next.
"""

import torch

from detectors.training.config import LearningCurve, StepReport, Trained, TrainingConfig
from detectors.training.devices import is_fast, pick_device
from detectors.training.loop import Hooks, train
from detectors.training.ranks import Ranks, join
from detectors.training.result import judge_forecasts
from detectors.training.staging import ExcerptSource, Source, StreamSource
from detectors.training.state import TrainingState

TORCH_VERSION = str(torch.__version__)

__all__ = [
    "TORCH_VERSION",
    "ExcerptSource",
    "Hooks",
    "LearningCurve",
    "Ranks",
    "Source",
    "StepReport",
    "StreamSource",
    "Trained",
    "TrainingConfig",
    "TrainingState",
    "is_fast",
    "join",
    "judge_forecasts",
    "pick_device",
    "train",
]

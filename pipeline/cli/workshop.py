"""Makes what the service processes partitions with: engines as configured now, or as a snapshot was made."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from detectors.detector import Detector
from pipeline.adapters.bundles import Bundle
from pipeline.adapters.spill import SqliteSpill
from pipeline.cli.wiring import make_detector, make_engine
from pipeline.codec.decoding import make_decoder
from pipeline.codec.formats import MessageFormat
from pipeline.config import Config, config_hash
from pipeline.config.models import DECISIVE
from pipeline.episodes import Origin
from pipeline.errors import DriftlineError
from pipeline.records import Checkpoint, Place, RunIdentity
from pipeline.service.plan import Work


def message_format(config: Config) -> MessageFormat:
    """How points lie in the messages of the input."""
    source = config.source
    return MessageFormat(
        kind=config.input.format,
        value_fields=source.value_fields or ("value",),
        time_field=source.time_field,
        key_field=source.key_field,
        time_unit=source.time_unit,
        max_message_bytes=config.input.max_message,
    )


class EngineWorkshop:
    """Fulfils `pipeline.service.plan.Workshop`.

    Args:
        directory: where the state of evicted keys waits.
    """

    def __init__(self, config: Config, bundle: Bundle, directory: Path) -> None:
        self._config = config
        self._bundle = bundle
        self._directory = directory
        self._layout = message_format(config)
        self._detector = make_detector(config, bundle)
        self._held: dict[Place, ExitStack] = defaultdict(ExitStack)

    @property
    def detector(self) -> Detector:
        """As configured now."""
        return self._detector

    def identity(self, place: Place) -> RunIdentity:
        """See `Workshop`."""
        return self._identity(self._config, place)

    def make(self, place: Place) -> Work:
        """See `Workshop`."""
        return self._make(place, self._config, self._detector)

    def make_for(self, place: Place, state: Checkpoint) -> Work | None:
        """See `Workshop`."""
        config = self._config_of(state.meta["settings"])
        if config is None or self._identity(config, place) != state.run:
            return None
        try:
            return self._make(place, config, make_detector(config, self._bundle))
        except DriftlineError:
            return None

    def carry(self, place: Place, old: Work) -> Work | None:
        """See `Workshop`."""
        new = self.make(place)
        if new.engine.lanes.row_type != old.engine.lanes.row_type or new.engine.fields != old.engine.fields:
            return None
        new.engine.load(old.engine.save(), old.engine.counts.to_dict())
        return new

    def release(self, place: Place) -> None:
        """See `Workshop`."""
        if place in self._held:
            self._held.pop(place).close()

    def _make(self, place: Place, config: Config, detector: Detector) -> Work:
        spill = self._held[place].enter_context(SqliteSpill(self._directory))
        origin = Origin(
            place.topic, str(place.partition), self._bundle.short_id, points_per_message=self._layout.points_per_message
        )
        return Work(
            engine=make_engine(config, detector, origin, self._layout.value_fields, spill),
            identity=self._identity(config, place),
            settings={name: config.plain()[name] for name in DECISIVE},
            points_per_message=self._layout.points_per_message,
            make_decoder=lambda unit: make_decoder(self._layout, unit),
        )

    def _identity(self, config: Config, place: Place) -> RunIdentity:
        source = f"{place.topic}/{place.partition}, {self._layout.told}"
        return RunIdentity(config_hash(config), self._bundle.short_id, source)

    def _config_of(self, settings: Mapping[str, Any]) -> Config | None:
        """The configuration in effect, with what alters verdicts as it was."""
        try:
            sections = {name: type(getattr(self._config, name)).model_validate(settings[name]) for name in DECISIVE}
        except (KeyError, ValidationError):
            return None
        return self._config.model_copy(update=sections)

"""Makes what the service processes partitions with: engines as configured now, or as a snapshot was made."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from detectors.detector import Detector
from pipeline.adapters.bundles import Bundle
from pipeline.adapters.spill import SqliteSpill
from pipeline.carrying import carry_state
from pipeline.cli.pasts import lanes_of, past_of, require_row
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


class Bundles(Protocol):
    """Where bundles come from."""

    def newer(self) -> Bundle | None:
        """The one to go over to, once, when it is there and has been read; answers at once."""

    def find(self, short_id: str) -> Bundle | None:
        """The one of an id; None when there is none, or none that can be used."""


class EngineWorkshop:
    """Fulfils `pipeline.service.plan.Workshop`.

    Args:
        bundle: to begin with.
        directory: where the state of evicted keys waits.
        bundles: others; None where there are none.

    Raises:
        ConfigError: no bundle, windows or past to go on with.
        UserError: the file of lanes that keys are to begin with cannot be read, or does not fit.
    """

    def __init__(self, config: Config, bundle: Bundle, directory: Path, bundles: Bundles | None = None) -> None:
        self._config = config
        self._bundle = bundle
        self._bundles = bundles
        self._directory = directory
        self._layout = message_format(config)
        self._detector = make_detector(config, bundle)
        self._config_hash = config_hash(config)
        self.lanes = lanes_of(config, bundle.short_id, self._layout.value_fields)
        self._held: dict[Place, ExitStack] = defaultdict(ExitStack)

    @property
    def detector(self) -> Detector:
        """As configured now."""
        return self._detector

    def trained_until_s(self, short_id: str) -> float:
        """Event time at which the records end that a bundle was trained on, where it is the one in service; else 0."""
        window = self._bundle.manifest.training_window
        return 0.0 if window is None or short_id != self._bundle.short_id else window.end.timestamp()

    def renew(self) -> None:
        """See `Workshop`."""
        bundle = None if self._bundles is None else self._bundles.newer()
        if bundle is not None:
            self._detector = make_detector(self._config, bundle)
            self._bundle = bundle

    def identity(self, place: Place) -> RunIdentity:
        """See `Workshop`."""
        return self._identity(self._config_hash, self._bundle.short_id, place, self._past)

    def make(self, place: Place) -> Work:
        """See `Workshop`."""
        return self._make(place, self._config, self._bundle, self._detector, self._past)

    def make_under(self, place: Place, bundle: str) -> Work | None:
        """See `Workshop`."""
        return self._make_or_none(place, self._config, bundle, self._past)

    def make_for(self, place: Place, state: Checkpoint, *, redo: bool) -> Work | None:
        """See `Workshop`."""
        config, run = self._config_of(state.meta["settings"]), state.run
        if config is None or self._identity(config_hash(config), run.bundle, place, run.past) != run:
            return None
        if redo and run.past not in {"", self._past}:
            return None  # keys may come for the first time, and what they began with is not at hand
        return self._make_or_none(place, config, run.bundle, run.past)

    def carry(self, place: Place, old: Work) -> Work | None:
        """See `Workshop`."""
        before = self._held.pop(place, ExitStack())
        new = self.make(place)
        fits = carry_state(old.engine, new.engine)
        before.close()
        return new if fits else None

    def release(self, place: Place) -> None:
        """See `Workshop`."""
        if place in self._held:
            self._held.pop(place).close()

    @property
    def _past(self) -> str:
        """What keys begin with now; part of the identity."""
        return "" if self.lanes is None else past_of(self.lanes)

    def _make_or_none(self, place: Place, config: Config, short_id: str, past: str) -> Work | None:
        bundle = self._bundle if short_id == self._bundle.short_id else self._find(short_id)
        if bundle is None:
            return None
        try:
            return self._make(place, config, bundle, make_detector(config, bundle), past)
        except DriftlineError:
            return None

    def _find(self, short_id: str) -> Bundle | None:
        return None if self._bundles is None else self._bundles.find(short_id)

    def _make(self, place: Place, config: Config, bundle: Bundle, detector: Detector, past: str) -> Work:
        spill = self._held[place].enter_context(SqliteSpill(self._directory))
        origin = Origin(
            place.topic, str(place.partition), bundle.short_id, points_per_message=self._layout.points_per_message
        )
        rows = None if self.lanes is None or past != self._past else self.lanes.rows
        engine = make_engine(config, detector, origin, self._layout.value_fields, spill, rows)
        if self.lanes is not None and rows is not None:
            require_row(self.lanes, engine)
        return Work(
            engine=engine,
            identity=self._identity(config_hash(config), bundle.short_id, place, past),
            settings={name: config.plain()[name] for name in DECISIVE},
            points_per_message=self._layout.points_per_message,
            make_decoder=lambda unit: make_decoder(self._layout, unit),
        )

    def _identity(self, configuration: str, bundle: str, place: Place, past: str) -> RunIdentity:
        return RunIdentity(configuration, bundle, f"{place.topic}/{place.partition}, {self._layout.told}", past)

    def _config_of(self, settings: Mapping[str, Any]) -> Config | None:
        """The configuration in effect, with what alters verdicts as it was."""
        try:
            sections = {name: type(getattr(self._config, name)).model_validate(settings[name]) for name in DECISIVE}
        except (KeyError, ValidationError):
            return None
        return self._config.model_copy(update=sections)

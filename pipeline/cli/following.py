"""From the configuration to the bundles that the service scores with, now and later."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detectors.thresholds import RISK_POINTS
from pipeline.adapters.bundles import Bundle, load_bundle, shipped_bundle_path
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli.champion import ChampionWatch, KnownBundles
from pipeline.cli.kernel_loading import process_one
from pipeline.cli.opening import followed_registry
from pipeline.cli.wiring import engine_maker, make_detector, require_fields
from pipeline.cli.workshop import message_format
from pipeline.config import Config
from pipeline.errors import BundleError, ConfigError, UserError
from pipeline.service.guard import Guard
from pipeline.service.plan import Log
from pipeline.service.probation import Probation


@contextmanager
def following(config: Config, bundle: Bundle, log: Log, directory: Path) -> Iterator[KnownBundles]:
    """Within the block, bundles by id, and newer ones where the champion of a registry is followed.

    Args:
        bundle: that scores at first.
        directory: where the state of evicted keys waits.

    Raises:
        ConfigError: a registry at no such kind of URL.
    """
    shipped = load_bundle(shipped_bundle_path())
    url = followed_registry(config)
    if url is None:
        yield KnownBundles(RegistryView(config.models.registry), [shipped, bundle], log)
        return

    def usable(newer: Bundle) -> None:
        require_fields(newer, message_format(config).value_fields)
        require_usable(config, bundle, newer)
        load_kernels_of(newer, config, directory)

    watch = ChampionWatch(
        Registry(url), RegistryView(url), [shipped], bundle, usable, log,
        interval_s=config.models.check_interval.total_seconds(),
    )  # fmt: skip
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


def require_usable(config: Config, bundle: Bundle, newer: Bundle) -> None:
    """Refuse a bundle that a service which scores with `bundle` could not go over to.

    Raises:
        BundleError: it does not go with the configuration, or with the lanes that new keys begin with.
    """
    row, now = make_detector(config, newer).lane_dtype, make_detector(config, bundle).lane_dtype
    if config.state.warm_from is not None and row != now:
        raise BundleError(
            f"bundle {newer.short_id}: found a network of another size than that of the lanes in "
            f"{config.state.warm_from[0]}; expected the same: make the file anew with `driftline warm --bundle`"
        )


def load_kernels_of(newer: Bundle, config: Config, directory: Path) -> None:
    """Compile what scores with a bundle, where its network is of a kind that has not scored yet.

    The loop would be held up by that at the swap, for as long as a start takes; on a thread beside it, it goes on.

    Raises:
        BundleError: lanes of its network do not go with the configuration.
    """
    fields = message_format(config).value_fields
    try:
        with engine_maker(config, make_detector(config, newer), newer.short_id, "", fields, directory) as make:
            process_one(make(""))
    except ConfigError as exc:
        raise BundleError(f"bundle {newer.short_id}: {exc}") from exc
    except UserError:
        return  # no room for evicted keys, which the loop is told as well


def make_guard(config: Config, bundle: Bundle, bundles: KnownBundles) -> Guard | None:
    """Who watches over newer bundles; None where there are none, or nobody is to."""
    if not isinstance(bundles, ChampionWatch) or not config.models.rollback:
        return None
    # a risk per day allows what the interval of each lane makes of it: then the usual rate alone is gone by
    allowed = (config.detector.risk or 0.0) / RISK_POINTS
    fields = len(message_format(config).value_fields)
    if config.detector.joint and fields > 1:
        allowed *= (fields + 1) / fields  # joint lanes raise alarms too, and have no points of their own
    return Guard(bundle.short_id, Probation(allowed=allowed), bundles.leave, bundles.learned)

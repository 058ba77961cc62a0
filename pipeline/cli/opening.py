"""From the name of a bundle in the configuration to the bundle: shipped, in a folder, or in a registry."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.bundles import Bundle, load_bundle, shipped_bundle_path
from pipeline.config import Config
from pipeline.errors import BundleError

if TYPE_CHECKING:
    from pipeline.adapters.bundles.reading import RegistryView

SHIPPED, CHAMPION = "shipped", "champion"


def open_bundle(config: Config) -> Bundle:
    """The bundle that `config` names; the champion is the one of this moment.

    Raises:
        BundleError: no such bundle, or one that is damaged.
        RegistryError: the registry cannot be reached, or is damaged.
        ConfigError: no such kind of URL.
    """
    named = _in_registry(config)
    if named is None:
        name = config.detector.bundle
        return load_bundle(shipped_bundle_path() if name == SHIPPED else Path(name))
    from pipeline.adapters.bundles.reading import RegistryView

    registry = RegistryView(named[0])
    return registry.load(_find(registry, named[1]))


def followed_registry(config: Config) -> str | None:
    """URL of the registry whose champion is to score; None where another bundle is named."""
    named = _in_registry(config)
    return named[0] if named is not None and named[1] == CHAMPION else None


def with_bundle(config: Config, short_id: str) -> Config:
    """The configuration with the bundle of an id, the shipped one or of the configured registry."""
    name = SHIPPED if load_bundle(shipped_bundle_path()).short_id == short_id else f"#{short_id}"
    return config.model_copy(update={"detector": config.detector.model_copy(update={"bundle": name})})


def pinned_name(config: Config) -> str | None:
    """Name for the configuration of the very bundle that it means now; None where it means no bundle of a registry.

    It holds no URL but one that was given with the name: the registry of the configuration is left to be read there.
    Raises as `open_bundle`.
    """
    named = _in_registry(config)
    if named is None:
        return None
    from pipeline.adapters.bundles.reading import RegistryView

    url, _, _ = config.detector.bundle.rpartition("#")
    return f"{url}#{_find(RegistryView(named[0]), named[1])}"


def pin_bundle(config: Config) -> Config:
    """The configuration with the very bundle that it means now, whatever is promoted later; raises as `open_bundle`."""
    name = pinned_name(config)
    if name is None:
        return config
    return config.model_copy(update={"detector": config.detector.model_copy(update={"bundle": name})})


def _in_registry(config: Config) -> tuple[str, str] | None:
    """URL of the registry and name of the bundle in it; None for one that is in no registry."""
    name = config.detector.bundle
    if name == CHAMPION:
        return config.models.registry, CHAMPION
    if "#" in name and not Path(name).exists():
        url, _, bundle = name.rpartition("#")
        return url or config.models.registry, bundle
    return None


def _find(registry: "RegistryView", name: str) -> str:
    """Id of a bundle; of the champion without reading more of the history than its newest event."""
    if name != CHAMPION:
        return registry.find(name)
    champion = registry.champion()
    if champion is None:
        raise BundleError(
            f"registry {registry.shown}: found no champion; expected one: driftline models add DIR --promote puts a "
            "bundle there and makes it champion"
        )
    return champion

"""The configuration: what can be set, how it is read from file, environment and command line, and how it is shown."""

from pipeline.config.detection import DEFAULT_RISK, ProfileName
from pipeline.config.environment import environment
from pipeline.config.loading import DEFAULT_FILE, Given, LoadedConfig, load_config
from pipeline.config.models import Config, config_hash
from pipeline.config.show import example, show

__all__ = [
    "DEFAULT_FILE",
    "DEFAULT_RISK",
    "Config",
    "Given",
    "LoadedConfig",
    "ProfileName",
    "config_hash",
    "environment",
    "example",
    "load_config",
    "show",
]

"""The configuration: a TOML file, typed, with secrets from files or the environment only."""

from gateway.config.model import Config
from gateway.config.reading import ConfigError, read_config

__all__ = ["Config", "ConfigError", "read_config"]

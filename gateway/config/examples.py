"""The example configurations: `configs/` of a checkout, or the copy in the wheel."""

from pathlib import Path

from gateway.config.reading import ConfigError

_HERE = Path(__file__).resolve().parent
_USUAL = (Path("configs/production.toml"), Path("/etc/vmgate/vmgate.toml"))


def example(name: str) -> Path:
    """Return the file of the example `demo` or `production`."""
    checkout = _HERE.parents[1] / "configs" / f"{name}.toml"
    return checkout if checkout.is_file() else _HERE / "examples" / f"{name}.toml"


def usual() -> Path:
    """Return the configuration that is read when none is named; raise ConfigError without one."""
    for path in _USUAL:
        if path.is_file():
            return path
    places = " or ".join(map(str, _USUAL))
    raise ConfigError(
        f"no configuration at {places}: name one with --config FILE;"
        " `vmgate example-config > FILE` writes one to begin with"
    )

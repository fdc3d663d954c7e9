"""What the environment says wins, and a secret is read from it or from a file, never told (I20)."""

import os
import subprocess
import sys

import pytest

from gateway.config import ConfigError
from gateway.config.reading import secret
from gateway.service.serve import store_settings
from tests.config.reading import ROOT, read, refusal

HIDDEN = "hunter2"
URL = f"postgresql://u:{HIDDEN}@db/vmgate"
ONE_USER = """
[[enterprises]]
name = "acme"

[[users]]
login = "ada"
enterprise = "acme"
"""


@pytest.mark.parametrize("text", ["", "[server]\nport = 1\n[probes]\nport = 2\n[store]\n"])
def test_the_environment_wins_over_the_file(text):
    """Also where the file says nothing."""
    config = read(
        text, {"PORT": "81", "PROBE_PORT": "0", "DATA_DIR": "/srv/a b", "DATABASE": "system"}
    )
    assert (config.server.port, config.probes.port) == (81, 0)
    assert (str(config.store.data_dir), config.store.source) == ("/srv/a b", "system")


def test_what_is_set_to_nothing_counts_as_not_set():
    config = read("", dict.fromkeys(("PORT", "PROBE_PORT", "DATA_DIR", "DATABASE"), ""))
    assert config == read("")


@pytest.mark.parametrize("name", ["PORT", "PROBE_PORT"])
@pytest.mark.parametrize("value", ["65536", "-1", "http", " 80", "8_0", "٨", "1e3"])
def test_a_port_that_is_none_is_refused_by_its_variable(name, value):
    said = refusal("", {name: value})
    assert said == f"the environment variable {name}: a port is needed"


def test_a_database_that_is_none_is_refused():
    assert "store.source: " in refusal("[store]\n", {"DATABASE": "oracle"})


def test_the_environment_does_not_mend_a_file_that_is_wrong():
    assert "server: Expected `object`" in refusal("server = 3", {"PORT": "81"})


def test_a_secret_comes_from_its_variable():
    assert secret("it", "A", None, {"A": HIDDEN}) == HIDDEN


def test_a_secret_comes_from_its_file_less_the_last_line_end(tmp_path):
    """Other blanks are the secret's own."""
    file = tmp_path / "it"
    file.write_bytes(b" two\nlines \r\n")
    assert secret("it", None, file, {}) == " two\nlines "


@pytest.mark.parametrize("environ", [{}, {"A": ""}])
def test_a_missing_variable_is_named_and_no_other_is_told(environ):
    with pytest.raises(ConfigError) as refused:
        secret("the password of ada", "A", None, {**environ, "B": HIDDEN})
    assert str(refused.value) == "the password of ada: the environment variable A is not set"


def test_a_file_that_cannot_be_read_is_named_and_not_what_is_in_it(tmp_path):
    odd = tmp_path / "odd"
    odd.write_bytes(b"\xff" + HIDDEN.encode())
    for file, why in ((tmp_path / "none", "FileNotFoundError"), (odd, "UnicodeDecodeError")):
        with pytest.raises(ConfigError) as refused:
            secret("it", None, file, {})
        assert str(refused.value) == f"it: {file}: {why}"


def test_an_empty_file_is_no_secret(tmp_path):
    """Whoever forgot to fill it would let everybody in."""
    empty = tmp_path / "empty"
    empty.write_text("\n")
    with pytest.raises(ConfigError):
        secret("it", None, empty, {})


def test_without_an_address_the_database_is_our_own(tmp_path):
    settings = store_settings(read("", {"DATA_DIR": str(tmp_path)}), {})
    assert (settings.database_url, settings.home) == (None, tmp_path / "postgres")


def test_the_address_of_the_database_has_an_order(tmp_path):
    """DATABASE_URL, then the variable the file names, then the file it names."""
    file = tmp_path / "url"
    file.write_text("from-file\n")
    config = read(f'[store]\ndatabase_url_env = "A"\ndatabase_url_file = "{file}"')
    every = {"DATABASE_URL": "from-environment", "A": "from-variable"}
    assert store_settings(config, every).database_url == "from-environment"
    assert store_settings(config, {**every, "DATABASE_URL": ""}).database_url == "from-variable"
    assert store_settings(config, {}).database_url == "from-file"


def test_a_missing_address_is_refused_by_its_variable():
    """A gateway that was told of a server never runs on an empty one of its own instead."""
    config = read('[store]\ndatabase_url_env = "A"')
    with pytest.raises(ConfigError, match=r"^store.database_url: the environment variable A is"):
        store_settings(config, {"B": URL})


@pytest.fixture
def checked(tmp_path):
    """`vmgate check-config` on a text: its exit status and what it said."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PORT", "PROBE_PORT", "DATA_DIR", "DATABASE", "DATABASE_URL", "ADA")
    }

    def check(text: str | None, **environ: str) -> tuple[int, str, str]:
        path = tmp_path / "it.toml"
        if text is not None:
            path.write_text(text)
        command = [sys.executable, "-m", "gateway", "check-config", "-c", str(path)]
        ran = subprocess.run(
            command,
            env={**inherited, **environ},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.returncode, ran.stdout, ran.stderr

    return check


def test_check_config_passes_what_is_fine(checked):
    code, out, err = checked(ONE_USER + 'password_env = "ADA"', ADA=HIDDEN, DATABASE_URL=URL)
    assert (code, err) == (0, "")
    assert out.endswith("it.toml: fine\n")
    assert HIDDEN not in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ONE_USER + 'password_env = "ADA"', "the password of ada: the environment variable ADA"),
        (ONE_USER + 'password_file = "/none"', "the password of ada: /none: FileNotFoundError"),
        ("[srever]", "it.toml:1: srever: there is no such key; did you mean server?"),
        ("[server", "it.toml: "),
        (None, "it.toml: [Errno 2] No such file"),
    ],
    ids=["variable", "file", "slip", "no toml", "no file"],
)
def test_check_config_says_in_one_line_what_is_wrong(checked, text, said):
    """Exit status 2, and no secret of the environment."""
    code, out, err = checked(text, DATABASE_URL=URL, OTHER=HIDDEN)
    assert (code, out) == (2, "")
    assert err.startswith("vmgate: ")
    assert said in err
    assert err.count("\n") == 1
    assert HIDDEN not in err

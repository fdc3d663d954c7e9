"""Faults P2: the wheel works away from the checkout; nothing of `configs/` has to lie beside it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel of this checkout was installed; its dependencies are ours."""
    home = tmp_path_factory.mktemp("wheel")
    source = home / "source"
    skipped = shutil.ignore_patterns(".venv", ".git", "var", ".*_cache", "__pycache__", "tests")
    shutil.copytree(ROOT, source, ignore=skipped)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(home / "dist")]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = (home / "dist").glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    target = ["--target", str(home / "site"), str(wheel)]
    subprocess.run([*install, *target], check=True, capture_output=True)
    shutil.rmtree(source)
    return home / "site"


def vmgate(site: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder of its own."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PORT": "0", "PROBE_PORT": "0"}
    environment.pop("DATA_DIR", None)
    command = [sys.executable, "-P", "-m", "gateway", *words]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_demo_needs_no_file(site: Path, tmp_path: Path) -> None:
    done = vmgate(site, tmp_path, "demo", "--no-keep")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["ok"]
    assert [path.name for path in tmp_path.iterdir()] == ["var"]


@pytest.mark.parametrize("name", ["production", "demo"])
def test_it_prints_configurations_to_begin_with(site: Path, tmp_path: Path, name: str) -> None:
    done = vmgate(site, tmp_path, "example-config", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "configs" / f"{name}.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words", [["serve"], ["migrate"], ["check-config"], ["driver", "check", "kvm"]], ids=" ".join
)
def test_a_command_without_a_configuration_says_how_to_get_one(
    site: Path, tmp_path: Path, words: list[str]
) -> None:
    done = vmgate(site, tmp_path, *words)
    assert done.returncode == 2
    assert "name one with --config FILE" in done.stderr
    assert "vmgate example-config" in done.stderr
    assert done.stderr.count("\n") == 1

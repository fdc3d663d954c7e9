"""Faults S12: every program that the product starts gets the clean environment."""

import ast
from pathlib import Path

import pytest

from gateway.child_environment import ALLOWED, child_environment

ROOT = Path(__file__).parents[2]
PRODUCT = sorted(
    path.relative_to(ROOT)
    for package in ("gateway", "scheduler", "drivers")
    for path in (ROOT / package).rglob("*.py")
)
STARTS = {
    *("run", "call", "check_call", "check_output", "Popen"),
    *("getoutput", "getstatusoutput", "create_subprocess_exec", "create_subprocess_shell"),
    *("subprocess_exec", "subprocess_shell"),
}
MODULES = {"subprocess", "asyncio"}
NEVER = {
    *("multiprocessing", "pty", "concurrent.futures.ProcessPoolExecutor"),
    *("os.system", "os.popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp"),
    *(f"os.exec{end}" for end in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    *(f"os.spawn{end}" for end in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
}


def unclean(source: str) -> list[str]:
    """Each start of a program that passes our own environment on."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found += [one.name for one in names if one.name.split(".")[0] in NEVER]
            case ast.ImportFrom(module=str(module), names=names):
                wanted = [f"{module}.{one.name}" for one in names]
                starts = [
                    one for one in wanted if module in MODULES and one.split(".")[1] in STARTS
                ]
                found += starts if module == "subprocess" else []
                found += [one for one in wanted if one in NEVER or module.split(".")[0] in NEVER]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)):
                if f"{module}.{name}" in NEVER or name == "ProcessPoolExecutor":
                    found.append(f"{module}.{name}")
                elif name in STARTS and _starts(module, name) and not _is_clean(node):
                    found.append(f"{module}.{name} at line {node.lineno}")
    return found


def _starts(module: str, name: str) -> bool:
    return module == "subprocess" or (module in ("asyncio", "loop") and "subprocess" in name)


def _is_clean(call: ast.Call) -> bool:
    environments = [word.value for word in call.keywords if word.arg == "env"]
    return [
        isinstance(one, ast.Call) and ast.unparse(one.func) == "child_environment"
        for one in environments
    ] == [True]


@pytest.mark.parametrize("path", PRODUCT, ids=str)
def test_no_program_inherits_our_environment(path: Path) -> None:
    assert unclean((ROOT / path).read_text(encoding="utf-8")) == []


def test_each_way_to_start_a_program_is_found() -> None:
    for source in (
        "subprocess.run(['x'])",
        "subprocess.Popen(['x'], env=os.environ)",
        "subprocess.check_output(['x'], env={**os.environ})",
        "asyncio.create_subprocess_exec('x', env=dict(os.environ))",
        "loop.subprocess_exec(f, 'x')",
        "from subprocess import run",
        "import multiprocessing",
        "from multiprocessing import Process",
        "from concurrent.futures import ProcessPoolExecutor",
        "os.execv('x', [])",
        "os.system('x')",
    ):
        assert unclean(source), source
    assert unclean("subprocess.run(['x'], env=child_environment())") == []


def test_only_what_is_listed_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("PGPASSWORD", "DATABASE_URL", "VMGATE_PASSWORD", "AZURE_CLIENT_SECRET", "X")
    for name in secrets:
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("PATH", "/bin")
    found = child_environment({"PYTHONPATH": "/here"})
    assert found.keys() <= {*ALLOWED, "PYTHONPATH"}
    assert (found["PATH"], found["PYTHONPATH"]) == ("/bin", "/here")
    assert "canary" not in found.values()

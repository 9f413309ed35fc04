"""Every package builds a wheel that installs alone into a clean environment and imports."""

import email
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging
ROOT = Path(__file__).resolve().parents[2]
UV = os.environ.get("UV", "uv")
"""`uv run` says where it is: it need not be on the path."""
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))
EXAMPLES = sorted(path.parent.name for path in ROOT.glob("examples/*/pyproject.toml"))


def run(*command: str | Path) -> str:
    """Run a command outside the workspace's own environment; a failure shows what it printed."""
    leaving_out = ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "PYTHONPATH", "UV_NO_SYNC")
    environment = {name: value for name, value in os.environ.items() if name not in leaving_out}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


def interpreter(environment: Path) -> Path:
    """Return the Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of every package."""
    folder = tmp_path_factory.mktemp("dist")
    for package in PACKAGES:
        run(UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT / "packages" / package)
    return folder


@pytest.fixture
def clean(tmp_path: Path, dist: Path) -> Callable[..., Path]:
    """Install packages and what they need into an environment of its own; return its interpreter."""

    def install(*packages: str) -> Path:
        environment = tmp_path / packages[0]
        run(UV, "venv", "--quiet", "--python", sys.executable, environment)
        python = interpreter(environment)
        run(UV, "pip", "install", "--quiet", "--python", python, "--find-links", dist, *packages)
        return python

    return install


def wheel_of(dist: Path, package: str) -> zipfile.ZipFile:
    [wheel] = dist.glob(f"{package.replace('-', '_')}-*.whl")
    return zipfile.ZipFile(wheel)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_installs_alone_and_imports(clean, package):
    module = package.replace("-", "_")
    python = clean(package)
    version = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())["project"]["version"]
    code = f"import {module}, importlib.metadata as m; print({module}.__file__, m.version({package!r}))"
    file, found = run(python, "-I", "-W", "error", "-c", code).split()
    assert found == version
    assert not Path(file).is_relative_to(ROOT / "packages")
    run(UV, "pip", "check", "--python", python)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_holds_the_package_and_nothing_else(dist, package):
    module = package.replace("-", "_")
    names = wheel_of(dist, package).namelist()
    assert {f"{module}/__init__.py", f"{module}/py.typed"} <= set(names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {module}
    assert [name for name in names if "tests/" in name or name.endswith((".pth", ".onnx", ".gguf"))] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_says_what_it_is(dist, package):
    wheel = wheel_of(dist, package)
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    about = email.message_from_string(wheel.read(name).decode())
    assert about["License-Expression"] == "MIT"
    assert about["Requires-Python"] == ">=3.11"
    assert about["Summary"]
    assert f"# {package}" in about.get_payload()


def test_the_core_alone_brings_no_array_library_and_loads_no_socket(clean):
    python = clean("duologue")
    listed = json.loads(run(UV, "pip", "list", "--format", "json", "--python", python))
    installed = {entry["name"] for entry in listed}
    assert "pydantic" in installed
    assert installed & {"numpy", "picows", "onnxruntime", "rich", "typer"} == set()
    loaded = run(python, "-I", "-c", "import duologue, sys; duologue.RealtimeAgent; print(*sys.modules)").split()
    assert "duologue.agent" in loaded
    assert {name.partition(".")[0] for name in loaded} & {"numpy", "pydantic", "jsonschema", "websockets"} == set()


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_installs_beside_the_core_and_passes_its_tests(clean, tmp_path, example):
    python = clean("duologue")
    folder = shutil.copytree(ROOT / "examples" / example, tmp_path / "elsewhere" / example)
    run(UV, "pip", "install", "--quiet", "--no-sources", "--python", python, folder, "pytest", "hypothesis")
    told = run(python, "-I", "-W", "error", "-m", "pytest", "--rootdir", folder, folder)
    assert " passed" in told


def test_the_command_is_installed_with_its_package(clean):
    python = clean("duologue-cli")
    assert "chat" in run(next(python.parent.glob("duologue*")), "--help")


def test_the_local_transport_is_found_where_its_package_is_installed(clean):
    python = clean("duologue-local")
    assert run(python, "-I", "-c", "import duologue; print(duologue.available_transports())") == "['local']\n"


def test_the_local_package_installs_with_plain_pip_and_compiles_nothing(dist, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "plain"], check=True)
    python = interpreter(tmp_path / "plain")
    run(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--find-links", dist, "duologue-local")
    run(python, "-m", "pip", "check")
    run(python, "-I", "-W", "error", "-c", "import duologue_local; duologue_local.LocalTransport")


GUIDE = """
import asyncio
from duologue_audio import Microphone, Speaker
from duologue_google.realtime import GeminiLiveTransport
from duologue.realtime import RealtimeAgent
from duologue.events import AudioOutputDelta, TurnComplete


async def main() -> None:
    transport = GeminiLiveTransport()

    async with (
        RealtimeAgent(system="You are a helpful assistant.", transport=transport) as agent,
        Microphone() as mic,
        Speaker() as spk,
    ):
        async def send_mic() -> None:
            async for chunk in mic:
                await agent.send(chunk)

        async def play_output() -> None:
            async for ev in agent.events():
                if isinstance(ev, AudioOutputDelta):
                    await spk.feed(ev.data)

        await asyncio.gather(send_mic(), play_output())
"""
"""The minimal example of the realtime guide, word for word but for the names of the packages."""

ROOM = '''
import os
import numpy as np
from duologue.testing import StandIn, VirtualClock, WireServer
from duologue_audio.testing import MemoryBackend, using_backend
from duologue_google import GeminiServerCodec


async def room() -> None:
    """Speak into a simulated microphone until the model's answer has left the simulated speaker."""
    backend, model = MemoryBackend(), StandIn()
    async with WireServer(GeminiServerCodec, model) as server:
        os.environ["GOOGLE_GEMINI_BASE_URL"] = server.url
        with using_backend(backend):
            talking = asyncio.ensure_future(main())
            await asyncio.sleep(1)
            backend.room.say((8000 * np.sin(np.arange(48000) / 20)).astype(np.int16))
            async with asyncio.timeout(30):
                while not backend.played.any():
                    assert not talking.done(), talking.result()
                    await asyncio.sleep(0.1)
            talking.cancel()
            await asyncio.wait([talking])
    print("heard:", len(model.memory.heard) > 0, "played:", bool(backend.played.any()))


VirtualClock().run(room())
'''


def test_the_guides_minimal_example_runs_from_wheels_of_core_audio_and_google_alone(clean, tmp_path):
    python = clean("duologue-google", "duologue-audio")
    listed = json.loads(run(UV, "pip", "list", "--format", "json", "--python", python))
    assert {entry["name"] for entry in listed} & {"google-genai", "google-auth", "requests"} == set()
    program = tmp_path / "guide.py"
    program.write_text(GUIDE + ROOM)
    assert run(python, "-I", program).splitlines()[-1] == "heard: True played: True"

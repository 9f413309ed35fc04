"""A sound card for machines without one: PulseAudio with null sinks, as an ordinary process.

    python scripts/audio_rig.py start talker     # prints the environment a program needs: eval "$(...)"
    python scripts/audio_rig.py status
    python scripts/audio_rig.py stop
    python scripts/audio_rig.py run talker -- duologue devices

The set-ups, in all of which the speaker is the sink `spk`:

- `echo`, `talker`: the microphone is the monitor of `spk`. What `paplay --device=spk` plays is the user; user and echo
  are sample-exact on one clock.
- `caller`: the microphone is the monitor of a second sink, `mic_in`. No echo; `paplay --device=mic_in` is the user,
  `parec --device=spk.monitor` records the agent.
- `leak`: `caller`, and the speaker leaks into `mic_in` through an adaptive loopback, whose echo drifts: a stress test.

Everything lives in one temporary folder, which `stop` removes: a private socket, an ALSA configuration of its own that
makes PulseAudio the default device. Programs find it through `PULSE_SERVER` and `ALSA_CONFIG_PATH`. What is missing is
installed with apt-get where that is possible (Debian, root).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETUPS = ("echo", "caller", "talker", "leak")
PACKAGES = ("libportaudio2", "pulseaudio", "pulseaudio-utils", "libasound2-plugins")
RATE = 48000
BUSY = 40.0  # percent; at 70 the sound server was seen to lose its place several times a second, alone there are 10
DISTURBED = 25.0  # percent; a failure on the rig is believed below
CALM_PATIENCE_S = 60.0
SETTLE_S = 10.0
SETTLED_S = 0.5  # a twentieth of a second is played within this
LEAK_VOLUME = "70%"  # PulseAudio's volume is cubic: a gain of 0.34
FOLDER = Path(tempfile.gettempdir()) / f"duologue-audio-rig-{os.getuid() if hasattr(os, 'getuid') else 0}"


class RigError(Exception):
    """The rig can't run here; the message says why."""


class Calm:
    """Waits until nobody else wants the processors: a sound server that is starved plays and records in pieces.

    The rig has no real-time priority, so what runs beside it decides what is heard. All waiting of one instance
    together takes no more than `patience_s`.
    """

    def __init__(self, patience_s: float = CALM_PATIENCE_S) -> None:
        self._left = patience_s

    def wait(self) -> bool:
        """Return whether the machine is calm; always true where the system does not tell (it does on Linux)."""
        while pressure() > BUSY:
            if self._left <= 0:
                return False
            time.sleep(1)
            self._left -= 1
        return True

    @property
    def disturbed(self) -> bool:
        """Whether others want the processors now, though not so much that one would wait before beginning."""
        return pressure() > DISTURBED


def pressure() -> float:
    """Of the last ten seconds, the share in which some process waited for a processor, in percent."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return float(Path("/proc/pressure/cpu").read_text().split("avg10=")[1].split()[0])
    return 0.0


def missing() -> list[str]:
    """Return the Debian packages of what is not installed."""
    library = any(Path("/usr/lib").glob("*/libportaudio.so.2"))
    plugin = any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    present = (library, bool(shutil.which("pulseaudio")), bool(shutil.which("pactl")), plugin)
    return [package for package, there in zip(PACKAGES, present, strict=True) if not there]


def install() -> None:
    """Install what is missing.

    Raises:
        RigError: this is not Linux, not root, or apt-get failed.
    """
    needed = missing()
    if not needed:
        return
    how = f"`apt-get install {' '.join(needed)}`"
    if not sys.platform.startswith("linux") or not shutil.which("apt-get"):
        raise RigError(f"the rig needs PulseAudio and PortAudio: {', '.join(needed)} of Debian or their like")
    if os.geteuid() != 0:
        raise RigError(f"the rig needs {how}, and we are not root")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *needed]):
        done = subprocess.run(
            ["apt-get", "-qq", *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RigError(f"{how} failed: {done.stderr.strip() or done.stdout.strip()}")


class Rig:
    """One PulseAudio server; several can run at once in folders of their own."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find the rig: nothing of the user's own sound is touched."""
        return {
            "PULSE_SERVER": f"unix:{self.folder}/socket",
            "PULSE_COOKIE": f"{self.folder}/cookie",
            "PULSE_RUNTIME_PATH": f"{self.folder}/runtime",
            "PULSE_STATE_PATH": f"{self.folder}/state",
            "ALSA_CONFIG_PATH": f"{self.folder}/asound.conf",
        }

    @property
    def pid(self) -> int | None:
        """The running server's process id, None where there is none."""
        try:
            pid = int((self.folder / "pid").read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid if _is_pulseaudio(pid) else None

    @property
    def setup(self) -> str:
        """The set-up it was started with."""
        return (self.folder / "setup").read_text()

    def start(self, setup: str, rate: int = RATE) -> None:
        """Start the server, anew if it runs with another set-up.

        Raises:
            RigError: something is missing or does not come up.
        """
        install()
        self.stop()
        for name in ("runtime", "state"):
            (self.folder / name).mkdir(parents=True, mode=0o700)
        (self.folder / "setup").write_text(setup)
        (self.folder / "asound.conf").write_text(
            "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n"
        )
        log = self.folder / "log"
        two = setup in ("caller", "leak")
        loads = [
            f"module-native-protocol-unix socket={self.folder}/socket auth-anonymous=1",
            *([f"module-null-sink sink_name=spare rate={rate} channels=1"] if two else []),
            f"module-null-sink sink_name=spk rate={rate} channels=1",
            # A null sink nobody is impatient with renders two seconds at a time, also the first ones of a new stream.
            f"module-null-sink sink_name=awake rate={rate} channels=1",
            f"module-null-sink sink_name=silence rate={rate} channels=1",
        ]
        if two:
            loads.append(f"module-null-sink sink_name=mic_in rate={rate} channels=1")
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--realtime=no", "--high-priority=no"]
        command += ["--use-pid-file=no", "--disable-shm=yes"]
        command += [part for load in loads for part in ("-L", load)]
        environment = {**os.environ, **self.environment, "HOME": str(self.folder)}
        with log.open("w") as output:
            server = self._server = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        (self.folder / "pid").write_text(str(server.pid))
        until = time.monotonic() + 10
        while self._pactl("info").returncode:
            if server.poll() is not None or time.monotonic() > until:
                said = log.read_text().strip()
                self.stop()
                raise RigError(f"PulseAudio did not come up: {said}")
            time.sleep(0.05)
        for sink in ("spare", "spk", "mic_in") if two else ("spk",):
            self._keep_awake(sink)
        if two:
            # The speaker is to be as impatient as the microphone, which here belongs to another sink: a speaker that
            # lags behind its microphone makes PortAudio spin while it waits (decision 0020).
            self.pactl("load-module", "module-loopback", "source=silence.monitor", "sink=spk", "latency_msec=10")
        self.pactl("set-default-sink", "spk")
        if setup == "leak":
            self.pactl("load-module", "module-loopback", "source=spk.monitor", "sink=mic_in", "latency_msec=40")
            inputs = self.pactl("list", "short", "sink-inputs").splitlines()
            self.pactl("set-sink-input-volume", inputs[-1].split()[0], LEAK_VOLUME)
        self.pactl("set-default-source", self.source)
        self._settle("spk")

    def _settle(self, sink: str) -> None:
        """Wait until a sink plays what it is given at once: its first two seconds are rendered in one piece."""
        command = [
            "pacat",
            "--playback",
            f"--device={sink}",
            "--raw",
            "--format=s16le",
            "--channels=1",
            f"--rate={RATE}",
        ]
        until = time.monotonic() + SETTLE_S
        while (began := time.monotonic()) < until:
            subprocess.run(
                [*command, "--latency-msec=20"],
                env={**os.environ, **self.environment},
                input=bytes(RATE // 10),
                capture_output=True,
                check=False,
                timeout=SETTLE_S,
            )
            if time.monotonic() - began < SETTLED_S:
                return

    def _keep_awake(self, sink: str) -> None:
        self.pactl("load-module", "module-loopback", f"source={sink}.monitor", "sink=awake", "latency_msec=10")

    def kill_source(self) -> None:
        """Take the microphone of `caller` or `leak` away; a silent source becomes the default one.

        In between PulseAudio makes the speaker's monitor the default, and with the default it moves whoever records
        that, too: a recording of the speaker ends here.
        """
        modules = self.pactl("list", "short", "modules").splitlines()
        self.pactl("unload-module", next(line.split()[0] for line in modules if "sink_name=mic_in" in line))
        self.pactl("set-default-source", "spare.monitor")

    def revive_source(self, rate: int = RATE) -> None:
        """Bring it back, silent, and once it works as the default source: that takes two seconds."""
        self.pactl("load-module", "module-null-sink", "sink_name=mic_in", f"rate={rate}", "channels=1")
        self._keep_awake("mic_in")
        self._settle("mic_in")
        self.pactl("set-default-source", "mic_in.monitor")

    @property
    def source(self) -> str:
        """The source that is the microphone."""
        return "mic_in.monitor" if self.setup in ("caller", "leak") else "spk.monitor"

    def pactl(self, *arguments: str) -> str:
        """Run `pactl` against the rig and return what it prints.

        Raises:
            RigError: it failed.
        """
        done = self._pactl(*arguments)
        if done.returncode:
            raise RigError(f"`pactl {shlex.join(arguments)}` failed: {done.stderr.strip()}")
        return done.stdout

    def stop(self) -> None:
        """Stop the server and remove all its files."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            until = time.monotonic() + 5
            while self.pid is not None:
                if time.monotonic() > until:
                    os.kill(pid, signal.SIGKILL)
                    until = float("inf")
                time.sleep(0.02)
        if self._server is not None:
            self._server.wait(timeout=5)
            self._server = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _pactl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            ["pactl", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=10
        )


def _is_pulseaudio(pid: int) -> bool:
    """Whether a process is a PulseAudio: a pid may have passed on to another program; a zombie has no command line."""
    with contextlib.suppress(OSError):
        return b"pulseaudio" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="PulseAudio with null sinks, for tests of audio devices")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the rig keeps its files")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start it and print its environment as shell code")
    start.add_argument("setup", choices=SETUPS)
    run = commands.add_parser("run", help="run a command on a rig of its own and stop that")
    run.add_argument("setup", choices=SETUPS)
    run.add_argument("rest", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    commands.add_parser("stop", help="stop it and remove its files")
    commands.add_parser("status", help="say whether it runs; exit code 1 where it doesn't")
    arguments = parser.parse_args()
    rig = Rig(arguments.folder)
    try:
        if arguments.command == "start":
            rig.start(arguments.setup)
            for name, value in rig.environment.items():
                print(f"export {name}={shlex.quote(value)}")
        elif arguments.command == "run":
            with tempfile.TemporaryDirectory(prefix="duologue-rig-") as folder:
                own = Rig(Path(folder) / "rig")
                own.start(arguments.setup)
                try:
                    command = [part for part in arguments.rest if part != "--"]
                    return subprocess.run(command, env={**os.environ, **own.environment}, check=False).returncode
                finally:
                    own.stop()
        elif arguments.command == "stop":
            rig.stop()
        else:
            print(f"{rig.setup}: runs as process {rig.pid}" if rig.pid else "stopped")
            return 0 if rig.pid else 1
    except RigError as error:
        print(f"audio_rig: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What importing the package costs."""

import subprocess
import sys


def test_importing_the_package_loads_neither_numpy_nor_portaudio():
    code = "import duologue_audio, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()} & {
        "numpy",
        "soxr",
        "sounddevice",
        "_sounddevice",
    } == set()

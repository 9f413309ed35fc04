"""What holds for every test: Hypothesis does not time, and Ctrl-C reaches the programs that tests start."""

import signal

from hypothesis import settings

settings.register_profile("duologue", deadline=None)  # timings are measured in benchmarks/, never asserted
settings.load_profile("duologue")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what goes into the background so, and every program started from there inherits it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

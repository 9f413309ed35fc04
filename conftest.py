"""What holds for every test: Hypothesis finds faults, it does not time."""

from hypothesis import settings

settings.register_profile("duologue", deadline=None)  # timings are measured in benchmarks/, never asserted
settings.load_profile("duologue")

"""Spinning audio threads are noticed by their processor time."""

import pytest
from duologue_audio import strain
from duologue_audio.strain import StrainGauge


@pytest.fixture
def usage(tmp_path, monkeypatch):
    """Processor time of the threads 1 and 2, and the clock, in the hands of the test."""
    monkeypatch.setattr(strain, "TASKS", tmp_path)
    monkeypatch.setattr(strain.time, "monotonic", lambda: clock[0])
    clock = [0.0]
    used = {"1": 0.0, "2": 0.0}

    def step(seconds, **shares):
        clock[0] += seconds
        for thread in used:
            used[thread] += shares.get(f"t{thread}", 0.0) * seconds
            (tmp_path / thread).mkdir(exist_ok=True)
            (tmp_path / thread / "schedstat").write_text(f"{int(used[thread] * 1e9)} 0 0\n")

    step(0)
    return step


def test_a_thread_that_spins_for_two_seconds_is_strained_until_it_rests(usage):
    gauge = StrainGauge({"1"})
    usage(1.1, t1=0.6)
    assert not gauge.strained
    usage(0.5, t1=0.6)
    assert not gauge.strained
    usage(0.6, t1=0.6)
    assert gauge.strained
    usage(1.1, t1=0.1)
    assert not gauge.strained


def test_other_threads_and_usual_work_do_not_count(usage):
    gauge = StrainGauge({"1"})
    for _ in range(5):
        usage(1.1, t1=0.05, t2=1.0)
        assert not gauge.strained


def test_where_the_system_does_not_tell_nothing_is_strained(usage, tmp_path):
    assert strain.threads() == {"1", "2"}
    gauges = [StrainGauge(set()), StrainGauge({"7"})]
    (tmp_path / "1" / "schedstat").write_text("what")
    gauges.append(StrainGauge({"1"}))
    for _ in range(5):
        usage(1.1, t2=1.0)
        assert not any(gauge.strained for gauge in gauges)

"""What would make it better, said once."""

import pytest
from duologue.errors import MissingExtra
from duologue_audio import AudioStats
from duologue_cli.advice import BRAIN, CRACKLING, ECHO, HEADPHONES, LATE, OFTEN, Advice, what_is_missing


@pytest.mark.parametrize(
    ("local", "cancelled", "missing", "told"),
    [
        (True, True, ("a library",), [HEADPHONES, "a library", BRAIN]),
        (False, False, (), [ECHO]),
        (False, None, (), []),
    ],
)
def test_what_is_told_at_first(local, cancelled, missing, told):
    assert Advice(local=local, echo_cancelled=cancelled, missing=missing).at_first() == told


def test_a_counter_that_goes_on_rising_is_explained_once():
    advice = Advice(local=False, echo_cancelled=None)
    assert advice.during(AudioStats(output_underruns=OFTEN - 1)) == []
    assert advice.during(AudioStats(output_underruns=OFTEN)) == [CRACKLING]
    assert advice.during(AudioStats(output_underruns=99, mic_dropped=1)) == [LATE]
    assert advice.during(AudioStats(output_underruns=999, mic_dropped=9)) == []


def test_a_missing_library_is_told_with_the_way_to_it(monkeypatch):
    def make(name, rate):
        if name == "speex":
            raise MissingExtra("libspeexdsp1", needed_for="the echo canceller 'speex'", install="apt-get install it")

    monkeypatch.setattr("duologue_audio.make_echo_canceller", make)
    (told,) = what_is_missing()
    assert "apt-get install it" in told
    monkeypatch.setattr("duologue_audio.make_echo_canceller", lambda name, rate: None)
    assert what_is_missing() == ()

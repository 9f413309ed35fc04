"""What is to be seen, from the events."""

from duologue.events import (
    Interrupted,
    Problem,
    TextDelta,
    ToolCancelled,
    ToolProgress,
    ToolResult,
    ToolStarted,
    TranscriptDelta,
)
from duologue.types import Message
from duologue_cli import scene as scene_module
from duologue_cli.rendering import entry_text
from duologue_cli.scene import Scene
from duologue_cli.summary import PARTS, Latency


def seen(*events, reply=None):
    scene = Scene()
    for t, event in enumerate(events):
        scene.event(event, float(t), reply if isinstance(event, Interrupted) else None)
    return scene


def said(text, item="i1", response="r1", role="assistant", final=False):
    return TranscriptDelta(role, text, final, item_id=item, response_id=response)


def texts(scene):
    return [(entry.kind, entry.text) for entry in scene.entries]


def heard(scene):
    return [
        (entry.text[: entry.heard], entry.text[entry.heard :]) for entry in scene.entries if entry.heard is not None
    ]


def test_both_sides_grow_as_they_come_each_in_its_place():
    scene = seen(said("How ", "u1", role="user"), said(" I am"), said("are you?", "u1", role="user"), said(" fine."))
    assert texts(scene) == [("user", "How are you?"), ("agent", "I am fine.")]


def test_written_output_is_the_agents_too():
    assert texts(seen(TextDelta(0, "Hel", "r1", "i1"), TextDelta(0, "lo.", "r1", "i1"))) == [("agent", "Hello.")]


def test_utterances_without_names_are_told_apart_by_their_ends():
    scene = seen(said("One.", "", "", "user", final=True), said("Two.", "", "", "user", final=True))
    assert texts(scene) == [("user", "One."), ("user", "Two.")]


def test_control_characters_do_not_reach_the_terminal():
    assert texts(seen(said("\x1b[2Jone\ntwo"))) == [("agent", "[2Jone two")]


def test_a_cut_reply_is_marked_where_it_was_heard():
    scene = seen(
        said("One two three."), Interrupted("r1", 800), reply=Message("assistant", "One two", "i1", heard=False)
    )
    assert heard(scene) == [("One two", " three.")]
    assert entry_text(scene.entries[0], 0.0).plain == "One two ✂ three. (interrupted after 0.8 s)"


def test_text_that_comes_after_the_cut_was_not_heard():
    scene = seen(said("One two"), Interrupted("r1"), said(" three."), reply=Message("assistant", "One", "i1"))
    assert heard(scene) == [("One", " two three.")]


def test_nothing_was_heard_of_a_reply_that_left_nothing_in_the_history():
    assert heard(seen(said("One two."), Interrupted("r1", 0))) == [("", "One two.")]


def test_what_was_said_before_the_call_of_a_tool_was_heard_what_follows_the_cut_was_not():
    events = [said("Let me look."), said("It is noon.", "i2"), said("Bye.", "i3"), Interrupted("r1")]
    scene = seen(*events, reply=Message("assistant", "It is", "i2"))
    assert heard(scene) == [("It is", " noon."), ("", "Bye.")]
    assert scene.entries[0].heard is None


def test_replies_without_names_are_cut_by_their_response():
    scene = seen(said("One two.", ""), Interrupted("r1"), reply=Message("assistant", "One", "r1"))
    assert heard(scene) == [("One", " two.")]


def test_a_reply_whose_name_comes_late_is_cut_by_it():
    assert heard(seen(said("One two.", response="reply-1"), said("", response="r1"), Interrupted("r1"))) == [
        ("", "One two.")
    ]


def test_an_earlier_reply_is_left_alone():
    scene = seen(said("First.", "i1", "r1"), said("Second.", "i2", "r2"), Interrupted("r2"))
    assert [entry.heard for entry in scene.entries] == [None, 0]


def test_a_second_cut_of_one_reply_changes_nothing():
    scene = seen(said("One two."), Interrupted("r1", 500), reply=Message("assistant", "One", "i1"))
    scene.event(Interrupted("r1"), 9.0, None)
    assert heard(scene) == [("One", " two.")]


def test_a_long_utterance_is_several_entries_and_cut_in_the_right_one(monkeypatch):
    monkeypatch.setattr(scene_module, "LONGEST", 10)
    scene = seen(said("0123456789ab"), said("cdefghij"), said("klm"), Interrupted("r1"), reply=None)
    assert texts(scene) == [("agent", "0123456789ab"), ("agent", "cdefghijklm")]
    scene = seen(
        said("0123456789ab"), said("cdefghij"), Interrupted("r1"), reply=Message("assistant", "0123456789abcde", "i1")
    )
    assert heard(scene) == [("0123456789ab", ""), ("cde", "fghij")]


def test_a_tool_is_shown_with_its_time_while_it_runs_and_after():
    scene = seen(ToolStarted("c1", "look", {"city": "Rome"}), ToolProgress("c1", "look", "half way"))
    (entry,) = scene.entries
    assert entry.running
    assert entry_text(entry, 2.5).plain == 'look(city="Rome") … half way  2.5 s …'
    scene.event(ToolResult("c1", "look", False, "sunny", 3.25), 3.25)
    assert entry_text(entry, 99.0).plain == 'look(city="Rome") … half way → sunny  3.25 s'
    assert not entry.failed


def test_a_tool_that_was_cancelled_says_so_with_its_time():
    scene = seen(ToolStarted("c1", "look", {}), ToolCancelled("c1", "look", "interrupted"))
    assert entry_text(scene.entries[0], 9.0).plain == "look() cancelled: interrupted  1.00 s"
    assert scene.entries[0].failed


def test_the_latency_stands_at_its_reply_also_where_the_sound_is_faster_than_the_text():
    latency = Latency(700.0, {**dict.fromkeys(PARTS), "output": 20.0})
    scene = seen(said("Hello?", "u1", role="user"))
    scene.latency(latency)
    scene.event(said("Yes."), 2.0)
    assert [entry.latency for entry in scene.entries] == [None, latency]
    second = Latency(800.0, latency.parts)
    scene.event(said("And?", "u2", role="user"), 3.0)
    scene.event(said("No.", "i2", "r2"), 4.0)
    scene.latency(second)
    assert [entry.latency for entry in scene.entries] == [None, latency, None, second]


def test_the_oldest_entries_go_and_are_counted(monkeypatch):
    monkeypatch.setattr(scene_module, "KEPT", 3)
    scene = Scene()
    scene.event(said("Old."), 0.0)
    for n in range(4):
        scene.notice(f"{n}")
    assert texts(scene) == [("note", "1"), ("note", "2"), ("note", "3")]
    assert scene.left_out == 2
    scene.event(said(" New."), 1.0)
    assert texts(scene)[-1] == ("agent", "New.")


def test_loading_says_how_far_it_is_and_stays_as_one_line():
    scene = Scene()
    scene.begin("Loading...")
    scene.progress("Loading... voice ready,")
    assert scene.loading == "Loading... voice ready,"
    scene.done("ready in 2.0 s")
    assert (scene.loading, texts(scene)) == ("", [("note", "Loading... ready in 2.0 s")])
    scene.begin("Loading...")
    scene.done("")
    assert len(scene.entries) == 1


def test_what_the_session_says_about_itself_is_a_note():
    assert texts(seen(Problem(ValueError("a bad frame")))) == [("note", "a bad frame")]

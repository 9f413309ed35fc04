"""One writer of `response.create`: every race it has to settle."""

from duologue_openai.client_events import ResponseCancel, ResponseCreate
from duologue_openai.requests import Requests
from hypothesis import given
from hypothesis import strategies as st


class Numbers:
    def __init__(self):
        self.last = 0

    def __call__(self, about):
        self.last += 1
        return f"{about}_{self.last}"


def gate(*, answers_speech=True):
    return Requests(Numbers(), answers_speech=answers_speech)


def kinds(events):
    return [type(event).__name__ for event in events]


def test_a_request_waits_for_the_end_of_the_reply():
    requests = gate()
    assert kinds(requests.ask()) == ["ResponseCreate"]
    assert requests.ask() == []  # asked already
    requests.created("r1")
    assert requests.ask() == []
    assert kinds(requests.done("r1")) == ["ResponseCreate"]
    requests.created("r2")
    assert requests.done("r2") == []


def test_a_batch_of_results_asks_once_after_the_last_and_after_the_reply():
    requests = gate()
    requests.created("r1")
    requests.called("a", "r1")
    assert requests.answered("a", silent=False) == []  # the reply still runs, another call may come
    requests.called("b", "r1")
    assert requests.done("r1") == []  # b is open
    assert kinds(requests.answered("b", silent=False)) == ["ResponseCreate"]


def test_a_silent_result_asks_for_nothing_but_does_not_silence_the_others():
    requests = gate()
    requests.created("r1")
    requests.called("a", "r1")
    requests.called("b", "r1")
    requests.done("r1")
    assert requests.answered("a", silent=False) == []
    assert kinds(requests.answered("b", silent=True)) == ["ResponseCreate"]
    requests.created("r2")
    requests.called("c", "r2")
    requests.done("r2")
    assert requests.answered("c", silent=True) == []


def test_a_call_that_will_never_be_whole_holds_nobody_up():
    requests = gate()
    requests.created("r1")
    requests.called("a", "r1")
    requests.called("b", "r1")
    requests.answered("a", silent=False)
    requests.withdrawn("b")
    assert kinds(requests.done("r1")) == ["ResponseCreate"]


def test_a_stop_before_the_reply_has_a_name_cancels_it_by_name():
    requests = gate()
    requests.ask()
    assert requests.stop() == []
    [cancel] = requests.created("r1")
    assert isinstance(cancel, ResponseCancel)
    assert cancel.response_id == "r1"
    assert requests.stop() == []  # once is enough
    assert requests.done("r1") == []


def test_a_stop_takes_the_waiting_request_along():
    requests = gate()
    requests.ask()
    requests.created("r1")
    requests.ask()
    assert kinds(requests.stop()) == ["ResponseCancel"]
    assert requests.done("r1") == []


def test_nothing_to_stop_says_nothing():
    assert gate().stop() == []


def test_a_request_that_crossed_a_reply_of_the_server_is_made_again_if_that_missed_something():
    requests = gate()
    requests.sent("item")
    [create] = requests.ask()
    requests.created("r1")  # the server's own: our item was not confirmed before it
    requests.busy(create.event_id)
    assert kinds(requests.done("r1")) == ["ResponseCreate"]


def test_a_request_that_crossed_a_reply_which_knows_all_of_it_is_not_made_again():
    requests = gate()
    requests.sent("item")
    [create] = requests.ask()
    requests.confirmed("item")
    requests.created("r1")
    requests.busy(create.event_id)
    assert requests.done("r1") == []


def test_a_refusal_before_the_reply_is_known_waits_for_its_end():
    requests = gate()
    requests.sent("item")
    [create] = requests.ask()
    requests.busy(create.event_id)
    assert requests.created("r1") == []
    assert kinds(requests.done("r1")) == ["ResponseCreate"]


def test_results_leave_the_answer_to_the_server_while_the_user_speaks():
    requests = gate()
    requests.created("r1")
    requests.called("a", "r1")
    requests.done("r1")
    requests.user_began()
    requests.sent("output")
    assert requests.answered("a", silent=False) == []
    requests.confirmed("output")
    assert requests.created("r2") == []  # has read it
    assert requests.done("r2") == []


def test_a_result_that_the_servers_answer_missed_is_spoken_about_after_it():
    requests = gate()
    requests.created("r1")
    requests.called("a", "r1")
    requests.done("r1")
    requests.user_began()
    requests.sent("output")
    requests.answered("a", silent=False)
    requests.created("r2")
    requests.confirmed("output")
    assert kinds(requests.done("r2")) == ["ResponseCreate"]


def test_without_an_answer_of_the_server_results_ask_though_the_user_speaks():
    requests = gate(answers_speech=False)
    requests.user_began()
    assert kinds(requests.answered("a", silent=False)) == ["ResponseCreate"]


def test_forgotten_speech_lets_the_results_ask():
    requests = gate()
    requests.user_began()
    assert requests.answered("a", silent=False) == []
    assert kinds(requests.user_gone()) == ["ResponseCreate"]


def test_a_request_refused_for_good_makes_way_for_the_next():
    requests = gate()
    [create] = requests.ask()
    requests.ask()
    assert kinds(requests.refused(create.event_id)) == ["ResponseCreate"]


class Server:
    """A server with its own will: creates are refused while a reply runs."""

    def __init__(self):
        self.active = ""
        self.numbers = 0
        self.refused = 0

    def create(self):
        if self.active:
            self.refused += 1
            return False
        self.numbers += 1
        self.active = f"r{self.numbers}"
        return True


@given(st.lists(st.sampled_from(["ask", "stop", "end", "call", "answer", "item"]), max_size=40))
def test_without_replies_of_the_servers_own_no_request_is_ever_refused(steps):
    """And at the end, once the server has answered everything, nothing is left to ask for."""
    requests, server, calls = gate(), Server(), []

    def send(events):
        for event in events:
            if isinstance(event, ResponseCreate):
                assert server.create(), "a second request while a reply runs"
                send(requests.created(server.active))
            else:
                assert event.response_id == server.active
                end()

    def end():
        if server.active:
            done, server.active = server.active, ""
            send(requests.done(done))

    for number, step in enumerate(steps):
        if step == "ask":
            send(requests.ask())
        elif step == "stop":
            send(requests.stop())
        elif step == "end":
            end()
        elif step == "call" and server.active:
            calls.append(f"c{number}")
            requests.called(calls[-1], server.active)
        elif step == "answer" and calls:
            send(requests.answered(calls.pop(), silent=False))
        elif step == "item":
            requests.sent(f"i{number}")
            requests.confirmed(f"i{number}")
    while calls:
        send(requests.answered(calls.pop(), silent=False))
    for _ in range(50):
        end()
    assert not server.active
    assert requests.stop() == []

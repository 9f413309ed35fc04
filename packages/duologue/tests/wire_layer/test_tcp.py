"""What TCP is asked for, on every system."""

import socket

import pytest
from duologue.wire import KeepAlive, tcp


class Transport:
    def __init__(self, sock):
        self.sock = sock

    def get_extra_info(self, name):
        assert name == "socket"
        return self.sock


class Socket:
    def __init__(self, refuses=False):
        self.options = []
        self.refuses = refuses

    def setsockopt(self, *option):
        if self.refuses:
            raise OSError("no such option")
        self.options.append(option)


@pytest.mark.parametrize(
    ("system", "option"),
    [("linux", (18, 15_000)), ("darwin", (0x80, 15)), ("win32", (5, 15)), ("plan9", None)],
)
def test_each_system_has_its_name_for_it(monkeypatch, system, option):
    monkeypatch.setattr(tcp.sys, "platform", system)
    monkeypatch.setattr(tcp.socket, "TCP_USER_TIMEOUT", 18, raising=False)
    sock = Socket()
    tcp.tune(Transport(sock), KeepAlive(within=15.2))
    assert sock.options == ([(socket.IPPROTO_TCP, *option)] if option else [])


def test_where_it_cant_be_had_the_link_goes_without():
    tcp.tune(Transport(None), KeepAlive())
    tcp.tune(Transport(Socket(refuses=True)), KeepAlive())

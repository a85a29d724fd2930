"""Whether anything listens on a port."""

import socket


def listens(port: int) -> bool:
    """Return whether a connection to the loopback `port` is accepted."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

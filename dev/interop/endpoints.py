"""Where the broker listens, as mqtt.sh found out."""

import itertools
import os
from dataclasses import dataclass

MESSAGES = 20
TIMEOUT_S = 20
CA = os.environ["INTEROP_CA"]


@dataclass
class Endpoint:
    name: str
    host: str
    port: int
    secure: bool
    path: str | None


def _endpoint(name, secure, path):
    host, port = os.environ[f"INTEROP_{name.upper()}"].rsplit(":", 1)
    # The certificate is for the name.
    return Endpoint(name, "localhost" if secure else host, int(port), secure, path)


ENDPOINTS = [
    _endpoint("tcp", False, None),
    _endpoint("tls", True, None),
    _endpoint("ws", False, "/mqtt"),
    _endpoint("wss", True, "/mqtt"),
]


def combinations(versions):
    """All of endpoint, protocol version and QoS."""
    return itertools.product(ENDPOINTS, versions, (0, 1, 2))

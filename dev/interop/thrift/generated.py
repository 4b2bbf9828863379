"""The store in C++ that Apache Thrift's compiler generated: a program, built by thrift.sh."""

import atexit
import os
import subprocess

NAME = "generated C++"
PROGRAM = os.environ.get("GENERATED")


def run(verb, port, transport, protocol):
    arguments = [PROGRAM, verb, str(port), transport, protocol]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def check(port, transport, protocol):
    run("check", port, transport, protocol)


def check_dead(port, transport, protocol):
    run("dead", port, transport, protocol)


def serve(_store, port, transport, protocol):
    """Serves until this process ends; what is served is the program's own."""
    server = subprocess.Popen([PROGRAM, "serve", str(port), transport, protocol])
    atexit.register(server.wait)
    atexit.register(server.kill)

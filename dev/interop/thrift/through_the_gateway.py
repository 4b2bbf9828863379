"""Calls of several implementations through the gateway, to servers of all of them.

Every client speaks each transport and protocol to a gateway that speaks each transport and
protocol to a server of each implementation: the gateway translates wherever they differ.
The one that a compiler generated takes part if thrift.sh could build it. Every server is also
called in JSON, by the IDL.
"""

import base64
import itertools
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import apache
import generated
import thriftpy

IDL = pathlib.Path(__file__).with_name("store.thrift")
LIBRARIES = [apache, thriftpy] + ([generated] if generated.PROGRAM else [])
SPELLINGS = list(itertools.product(["framed", "unframed"], ["binary", "compact"]))
# Only this one can leave the version out.
OLD_SPELLINGS = [("framed", "binary_old"), ("unframed", "binary_old")]

# By the numbers of the specification.
UNKNOWN_METHOD, INTERNAL_ERROR = 1, 6

VALUES = {
    "name": "gl\u00fccklich \U0001f30a",
    "count": -(2**31),
    "prices": [0, -1, 2**63 - 1, -(2**63)] * 5,
    "flags": {"yes": True, "no": False},
    "codes": {-(2**15), 0, 2**15 - 1},
    "weight": -0.1,
    "good": False,
    "raw": bytes(range(256)) * 40,
    "level": -128,
    "nested": [{"a": [True, False], "b": []}, {}],
}
EMPTY = {"name": "", "count": 0, "prices": [], "flags": {}, "codes": set(), "nested": []}


class Store:
    """What both servers serve."""

    def __init__(self, library):
        self.library = library
        self.notes = []

    def ping(self):
        pass

    def echo(self, item):
        return item

    def find(self, name):
        raise self.library.Missing(name=name)

    def note(self, text):
        self.notes.append(text)

    def noted(self):
        return len(self.notes)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def wait_for(port):
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def settings(sites, json_port):
    text = f"""[runtime]
workers = 1
pin = false
[servers.json]
protocol = "http"
listen = "127.0.0.1:{json_port}"
"""
    for number, (_, _, transport, protocol) in enumerate(sites):
        if transport != "client":
            text += f"""
[[servers.json.routes]]
prefix = "/u{number}"
[servers.json.routes.thrift]
upstream = "u{number}"
idl = "{IDL}"
service = "Store"
transport = "{transport}"
protocol = "{protocol}"
exceptions = {{ Missing = 404 }}
"""
    for number, (port, upstream, transport, protocol) in enumerate(sites):
        text += f"""
[servers.s{number}]
protocol = "thrift"
listen = "127.0.0.1:{port}"
upstream = "u{number}"
upstream_transport = "{transport}"
upstream_protocol = "{protocol}"
[upstreams.u{number}]
endpoints = ["127.0.0.1:{upstream}"]
"""
    return text


def same(item, values):
    for field, value in values.items():
        # thriftpy2 reads a set as a list.
        got = type(value)(getattr(item, field))
        assert got == value, f"{field}: {got!r}, not {value!r}"


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} is not raised")


def check(library, port, transport, protocol):
    """All calls over one connection."""
    if library is generated:
        return generated.check(port, transport, protocol)
    client = library.Client(port, transport, protocol)
    client.call("ping")
    for values in [VALUES, EMPTY]:
        same(client.call("echo", item=library.Item(**values)), values)
    missing = raises(library.Missing, lambda: client.call("find", name="x"))
    assert missing.name == "x", missing
    before = client.call("noted")
    client.call("note", text="once")
    deadline = time.monotonic() + 10
    while client.call("noted") != before + 1:
        assert time.monotonic() < deadline, "the one-way call did not arrive"
    unknown = raises(library.TApplicationException, lambda: client.call("unheard_of"))
    assert unknown.type == UNKNOWN_METHOD, unknown
    client.close()


def post(port, path, arguments):
    """Status and JSON of a call."""
    body = json.dumps(arguments).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            status, body = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    return status, json.loads(body) if body else None


def in_json(values):
    """Values as they are in JSON."""
    values = {**values}
    if "raw" in values:
        values["raw"] = base64.b64encode(values["raw"]).decode()
    values["codes"] = sorted(values["codes"])
    return values


def check_json(port, prefix):
    assert post(port, f"{prefix}/ping", {}) == (204, None)
    for values in [VALUES, EMPTY]:
        status, item = post(port, f"{prefix}/echo", {"item": in_json(values)})
        assert status == 200, item
        item["codes"].sort()
        # C++ writes every field, whether it was given or not.
        assert {field: item.get(field) for field in values} == in_json(values), item
    missing = {"title": "Missing", "status": 404, "exception": {"name": "x"}}
    assert post(port, f"{prefix}/find", {"name": "x"}) == (404, missing)
    _, before = post(port, f"{prefix}/noted", {})
    assert post(port, f"{prefix}/note", {"text": "once"}) == (202, None)
    deadline = time.monotonic() + 10
    while post(port, f"{prefix}/noted", {}) != (200, before + 1):
        assert time.monotonic() < deadline, "the one-way call did not arrive"
    status, problem = post(port, f"{prefix}/echo", {"item": {"count": "7"}})
    assert (status, problem["detail"]) == (400, "$.item.count: expected i32, found string")


def check_dead(library, port, transport, protocol):
    if library is generated:
        return generated.check_dead(port, transport, protocol)
    client = library.Client(port, transport, protocol)
    # Twice: the connection is not lost to it.
    for _ in range(2):
        error = raises(library.TApplicationException, lambda: client.call("ping"))
        assert error.type == INTERNAL_ERROR, error
    client.close()


def main(program):
    servers = list(itertools.product(LIBRARIES, SPELLINGS))
    ports = free_ports(2 * len(servers) + 3)
    behind, front = ports[: len(servers)], ports[len(servers) : 2 * len(servers)]
    dead_front, dead_behind, json_port = ports[-3:]
    sites = []
    for port, upstream, (library, spelling) in zip(front, behind, servers):
        library.serve(Store(library), upstream, *spelling)
        wait_for(upstream)
        sites.append((port, upstream, *spelling))
    sites.append((dead_front, dead_behind, "client", "client"))
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "tidegate.toml")
        path.write_text(settings(sites, json_port))
        gateway = subprocess.Popen([program, "run", "--config", str(path)])
        try:
            wait_for(dead_front)
            wait_for(json_port)
            for number, (library, behind) in enumerate(servers):
                try:
                    check_json(json_port, f"/u{number}")
                except Exception as error:
                    raise AssertionError(f"JSON to {library.NAME} {behind}") from error
            print(f"{len(servers)} servers understand what was JSON")
            passed = 0
            clients = list(itertools.product(LIBRARIES, SPELLINGS))
            if generated in LIBRARIES:
                clients += itertools.product([generated], OLD_SPELLINGS)
            for client, spelling in clients:
                for port, (library, behind) in zip(front, servers):
                    what = f"{client.NAME} {spelling} to {library.NAME} {behind}"
                    try:
                        check(client, port, *spelling)
                    except Exception as error:
                        raise AssertionError(what) from error
                    passed += 1
                check_dead(client, dead_front, *spelling)
            print(f"{passed} pairs of clients and servers understand each other")
        finally:
            gateway.terminate()
            status = gateway.wait(timeout=30)
        assert status == 0, f"the gateway ended with {status}"


if __name__ == "__main__":
    main(*sys.argv[1:])

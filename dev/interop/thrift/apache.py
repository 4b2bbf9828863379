"""The store in Apache Thrift's own Python library, written as its compiler would."""

import threading

from thrift.protocol import TBinaryProtocol, TCompactProtocol
from thrift.protocol.TBase import TBase, TExceptionBase
from thrift.server import TServer
from thrift.Thrift import TApplicationException, TMessageType, TType
from thrift.transport import TSocket, TTransport

NAME = "thrift"


class Item(TBase):
    FIELDS = (
        "name", "count", "prices", "flags", "codes", "weight", "good", "raw", "level", "nested",
    )

    def __init__(self, **values):
        for field in self.FIELDS:
            setattr(self, field, values.get(field))


BOOLS = (TType.BOOL, None, False)
MAP = (TType.STRING, "UTF8", TType.LIST, BOOLS, False)
Item.thrift_spec = (
    None,
    (1, TType.STRING, "name", "UTF8", None),
    (2, TType.I32, "count", None, None),
    (3, TType.LIST, "prices", (TType.I64, None, False), None),
    (4, TType.MAP, "flags", (TType.STRING, "UTF8", TType.BOOL, None, False), None),
    (5, TType.SET, "codes", (TType.I16, None, False), None),
    (6, TType.DOUBLE, "weight", None, None),
    (7, TType.BOOL, "good", None, None),
    (8, TType.STRING, "raw", "BINARY", None),
    (9, TType.BYTE, "level", None, None),
) + (None,) * 10 + (
    (20, TType.LIST, "nested", (TType.MAP, MAP, False), None),
)


class Missing(TExceptionBase):
    thrift_spec = (None, (1, TType.STRING, "name", "UTF8", None))

    def __init__(self, name=None):
        # An exception of this library cannot be changed once it is made.
        super().__setattr__("name", name)


def struct(name, *fields):
    """A struct of arguments or of a result."""

    def init(self, **values):
        for field in fields:
            setattr(self, field[2], values.get(field[2]))

    first = fields[0][0] if fields else 1
    spec = fields if first == 0 else (None,) + fields
    return type(name, (TBase,), {"__init__": init, "thrift_spec": spec})


ITEM = (Item, Item.thrift_spec)
METHODS = {
    "ping": (struct("ping_args"), struct("ping_result")),
    "echo": (
        struct("echo_args", (1, TType.STRUCT, "item", ITEM, None)),
        struct("echo_result", (0, TType.STRUCT, "success", ITEM, None)),
    ),
    "find": (
        struct("find_args", (1, TType.STRING, "name", "UTF8", None)),
        struct(
            "find_result",
            (0, TType.STRUCT, "success", ITEM, None),
            (1, TType.STRUCT, "missing", (Missing, Missing.thrift_spec), None),
        ),
    ),
    "note": (struct("note_args", (1, TType.STRING, "text", "UTF8", None)), None),
    "noted": (struct("noted_args"), struct("noted_result", (0, TType.I32, "success", None, None))),
    # Which no server knows.
    "unheard_of": (struct("unheard_of_args"), struct("unheard_of_result")),
}

TRANSPORTS = {
    "framed": (TTransport.TFramedTransport, TTransport.TFramedTransportFactory),
    "unframed": (TTransport.TBufferedTransport, TTransport.TBufferedTransportFactory),
}
PROTOCOLS = {
    "binary": TBinaryProtocol.TBinaryProtocolFactory(),
    "compact": TCompactProtocol.TCompactProtocolFactory(),
}


class Client:
    def __init__(self, port, transport, protocol):
        socket = TSocket.TSocket("127.0.0.1", port)
        socket.setTimeout(10_000)
        self.transport = TRANSPORTS[transport][0](socket)
        self.protocol = PROTOCOLS[protocol].getProtocol(self.transport)
        self.transport.open()
        self.sequence_id = 0

    def call(self, method, **arguments):
        """The result; raises what the server says went wrong."""
        self.sequence_id += 1
        arguments_type, result_type = METHODS[method]
        kind = TMessageType.CALL if result_type else TMessageType.ONEWAY
        self.protocol.writeMessageBegin(method, kind, self.sequence_id)
        arguments_type(**arguments).write(self.protocol)
        self.protocol.writeMessageEnd()
        self.transport.flush()
        if not result_type:
            return None
        name, kind, sequence_id = self.protocol.readMessageBegin()
        assert sequence_id == self.sequence_id, f"{sequence_id} for {self.sequence_id}"
        if kind == TMessageType.EXCEPTION:
            error = TApplicationException()
            error.read(self.protocol)
            self.protocol.readMessageEnd()
            raise error
        assert name == method, name
        result = result_type()
        result.read(self.protocol)
        self.protocol.readMessageEnd()
        if getattr(result, "missing", None):
            raise result.missing
        return getattr(result, "success", None)

    def close(self):
        self.transport.close()


class Processor:
    def __init__(self, store):
        self.store = store

    def process(self, source, sink):
        name, _, sequence_id = source.readMessageBegin()
        known = hasattr(self.store, name)
        arguments_type, result_type = METHODS[name]
        arguments = arguments_type()
        arguments.read(source)
        source.readMessageEnd()
        kind = TMessageType.REPLY
        if not known:
            kind = TMessageType.EXCEPTION
            result = TApplicationException(TApplicationException.UNKNOWN_METHOD, "who?")
        else:
            try:
                values = [getattr(arguments, field[2]) for field in arguments.thrift_spec if field]
                success = getattr(self.store, name)(*values)
                result = result_type() if result_type else None
                if success is not None:
                    result.success = success
            except Missing as missing:
                result = result_type()
                result.missing = missing
        if result is None:
            return
        sink.writeMessageBegin(name, kind, sequence_id)
        result.write(sink)
        sink.writeMessageEnd()
        sink.trans.flush()


def serve(store, port, transport, protocol):
    """Serves until the process ends."""
    socket = TSocket.TServerSocket("127.0.0.1", port)
    factories = (TRANSPORTS[transport][1](), PROTOCOLS[protocol])
    server = TServer.TThreadedServer(Processor(store), socket, *factories, daemon=True)
    threading.Thread(target=server.serve, daemon=True).start()

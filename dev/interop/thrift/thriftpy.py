"""The store in thriftpy2, which reads the IDL itself."""

import pathlib
import threading

import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory, TCompactProtocolFactory
from thriftpy2.rpc import make_client, make_server
from thriftpy2.thrift import TApplicationException
from thriftpy2.transport import TBufferedTransportFactory, TFramedTransportFactory

NAME = "thriftpy2"

IDL = thriftpy2.load(str(pathlib.Path(__file__).with_name("store.thrift")), "store_thrift")
Item, Missing = IDL.Item, IDL.Missing

# What the client of a newer service would say.
NEWER = thriftpy2.load_fp(
    __import__("io").StringIO("service Newer { void unheard_of() }"), "newer_thrift"
)

TRANSPORTS = {"framed": TFramedTransportFactory, "unframed": TBufferedTransportFactory}
PROTOCOLS = {"binary": TBinaryProtocolFactory, "compact": TCompactProtocolFactory}


class Client:
    def __init__(self, port, transport, protocol):
        options = {
            "proto_factory": PROTOCOLS[protocol](),
            "trans_factory": TRANSPORTS[transport](),
            "timeout": 10_000,
        }
        self.known = make_client(IDL.Store, "127.0.0.1", port, **options)
        self.newer = make_client(NEWER.Newer, "127.0.0.1", port, **options)

    def call(self, method, **arguments):
        """The result; raises what the server says went wrong."""
        client = self.newer if method == "unheard_of" else self.known
        return getattr(client, method)(**arguments)

    def close(self):
        self.known.close()
        self.newer.close()


def serve(store, port, transport, protocol):
    """Serves until the process ends."""
    server = make_server(
        IDL.Store,
        store,
        "127.0.0.1",
        port,
        proto_factory=PROTOCOLS[protocol](),
        trans_factory=TRANSPORTS[transport](),
        client_timeout=60_000,
    )
    server.daemon = True
    threading.Thread(target=server.serve, daemon=True).start()

"""paho-mqtt against the broker: both versions, every QoS, every transport."""

import queue
import sys

import paho.mqtt.client as mqtt

from endpoints import CA, MESSAGES, TIMEOUT_S, combinations

PROTOCOLS = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}


def session(client, endpoint, qos):
    """Subscribes, publishes to itself, and checks that all comes back in order."""
    topic = f"interop/paho/{endpoint.name}/{qos}"
    events = queue.Queue()
    client.on_connect = lambda _c, _u, _f, reason, _p: events.put(("connect", reason.is_failure))
    client.on_subscribe = lambda _c, _u, _m, reasons, _p: events.put(("subscribe", reasons[0].value))
    client.on_message = lambda _c, _u, message: events.put(("message", message))
    client.on_disconnect = lambda _c, _u, _f, reason, _p: events.put(("disconnect", reason.is_failure))

    def expect(what):
        kind, value = events.get(timeout=TIMEOUT_S)
        assert kind == what, f"{what} is awaited, not {kind}: {value}"
        return value

    client.connect(endpoint.host, endpoint.port, keepalive=30)
    client.loop_start()
    try:
        assert not expect("connect"), "the connection is refused"
        client.subscribe(topic, qos)
        assert expect("subscribe") == qos, "another QoS is granted"
        sent = [client.publish(topic, f"{number}", qos) for number in range(MESSAGES)]
        for number in range(MESSAGES):
            message = expect("message")
            assert (message.payload, message.qos) == (f"{number}".encode(), qos), message.payload
        for info in sent:
            info.wait_for_publish(TIMEOUT_S)
            assert info.is_published(), "not acknowledged"
        client.disconnect()
        assert not expect("disconnect"), "the end was not in order"
    finally:
        client.loop_stop()
    assert events.empty(), f"too much came: {events.get()}"


def main():
    count = 0
    for endpoint, version, qos in combinations(PROTOCOLS):
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=f"paho-{version}-{endpoint.name}-{qos}",
            protocol=PROTOCOLS[version],
            transport="websockets" if endpoint.path else "tcp",
        )
        if endpoint.path:
            client.ws_set_options(path=endpoint.path)
        if endpoint.secure:
            client.tls_set(ca_certs=CA)
        session(client, endpoint, qos)
        count += 1
    print(f"paho-mqtt: {count} combinations")


if __name__ == "__main__":
    sys.exit(main())

"""aiomqtt against the broker: both versions, every QoS, every transport."""

import asyncio
import sys

import aiomqtt

from endpoints import CA, MESSAGES, TIMEOUT_S, combinations

PROTOCOLS = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}


async def session(endpoint, version, qos):
    """Subscribes, publishes to itself, and checks that all comes back in order."""
    topic = f"interop/aiomqtt/{endpoint.name}/{qos}"
    client = aiomqtt.Client(
        endpoint.host,
        endpoint.port,
        identifier=f"aiomqtt-{version}-{endpoint.name}-{qos}",
        protocol=PROTOCOLS[version],
        transport="websockets" if endpoint.path else "tcp",
        websocket_path=endpoint.path,
        tls_params=aiomqtt.TLSParameters(ca_certs=CA) if endpoint.secure else None,
        timeout=TIMEOUT_S,
    )
    async with client:
        await client.subscribe(topic, qos)
        for number in range(MESSAGES):
            await client.publish(topic, f"{number}", qos)
        number = 0
        async for message in client.messages:
            assert (message.payload, message.qos) == (f"{number}".encode(), qos), message.payload
            number += 1
            if number == MESSAGES:
                break


async def main():
    count = 0
    for endpoint, version, qos in combinations(PROTOCOLS):
        await asyncio.wait_for(session(endpoint, version, qos), TIMEOUT_S)
        count += 1
    print(f"aiomqtt: {count} combinations")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

// mqtt.js against the broker: both versions, every QoS, every transport.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Where mqtt.sh installed it, which is not beside this file.
const mqtt = createRequire(`${process.env.INTEROP_NODE}/`)("mqtt");

const MESSAGES = 20;
const TIMEOUT_MS = 20_000;

const address = (name) => process.env[`INTEROP_${name.toUpperCase()}`];
const port = (name) => address(name).split(":").pop();
const ENDPOINTS = {
  tcp: `mqtt://${address("tcp")}`,
  tls: `mqtts://localhost:${port("tls")}`,
  ws: `ws://${address("ws")}/mqtt`,
  wss: `wss://localhost:${port("wss")}/mqtt`,
};

// Subscribes, publishes to itself, and checks that all comes back in order.
async function session(name, protocolVersion, qos) {
  const topic = `interop/mqttjs/${name}/${qos}`;
  const client = await mqtt.connectAsync(ENDPOINTS[name], {
    clientId: `mqttjs-${protocolVersion}-${name}-${qos}`,
    protocolVersion,
    ca: readFileSync(process.env.INTEROP_CA),
    reconnectPeriod: 0,
    connectTimeout: TIMEOUT_MS,
  });
  const all = Promise.withResolvers?.() ?? deferred();
  const received = [];
  client.on("error", all.reject);
  client.on("message", (_, payload, packet) => {
    received.push([payload.toString(), packet.qos]);
    if (received.length === MESSAGES) all.resolve();
  });
  const [grant] = await client.subscribeAsync(topic, { qos });
  assert.equal(grant.qos, qos);
  for (let number = 0; number < MESSAGES; number += 1) {
    await client.publishAsync(topic, `${number}`, { qos });
  }
  await all.promise;
  await client.endAsync();
  assert.deepEqual(received, Array.from({ length: MESSAGES }, (_, number) => [`${number}`, qos]));
}

function deferred() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  return it;
}

const overdue = setTimeout(() => {
  console.error("mqtt.js: not done in time");
  process.exit(1);
}, 5 * TIMEOUT_MS);
let count = 0;
for (const name of Object.keys(ENDPOINTS)) {
  for (const version of [4, 5]) {
    for (const qos of [0, 1, 2]) {
      await session(name, version, qos);
      count += 1;
    }
  }
}
clearTimeout(overdue);
console.log(`mqtt.js: ${count} combinations`);

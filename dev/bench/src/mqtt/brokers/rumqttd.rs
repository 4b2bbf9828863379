//! rumqttd with its own example's values, room for the load's payloads and connections, and no
//! pause between two connections.

pub(super) fn text(port: u16) -> String {
    format!(
        "id = 0

[router]
id = 0
max_connections = 20010
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v4.1]
name = \"v4\"
listen = \"127.0.0.1:{port}\"
next_connection_delay_ms = 0

[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = 100
dynamic_filters = true
"
    )
}

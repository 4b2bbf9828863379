//! Who may do what on the broker of the real binary.

mod certificates;
mod hook;
mod mqtt_client;
mod passwords;
mod scram;
mod tokens;
mod topics;

use std::net::SocketAddr;

pub(crate) use self::mqtt_client::{Login, MqttClient, tcp};

/// A broker on two workers with `rest` among its keys.
fn settings(listen: SocketAddr, rest: &str) -> String {
    format!(
        r#"
[runtime]
workers = 2
pin = false
[servers.broker]
protocol = "mqtt"
listen = "{listen}"
drain = "10s"
{rest}
"#
    )
}

//! tidegate as a broker: one worker unless the workload is about two, the peers' limits, else
//! its defaults.

use super::Needs;

pub(super) fn text(port: u16, needs: Needs) -> String {
    let Needs {
        workers,
        queue_bytes,
    } = needs;
    format!(
        "[runtime]
workers = {workers}

[servers.broker]
protocol = \"mqtt\"
listen = [\"127.0.0.1:{port}\"]
backlog = 4096

[servers.broker.limits]
connections = 30000
subscriptions = 200000
queue_messages = 10000000
queue_bytes = {queue_bytes}
"
    )
}

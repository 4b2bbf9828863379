//! mosquitto as its manual advises for many messages: nothing dropped, nothing delayed.

use super::Needs;

pub(super) fn text(port: u16, needs: Needs) -> String {
    let Needs { queue_bytes, .. } = needs;
    format!(
        "listener {port} 127.0.0.1
allow_anonymous true
user root
persistence false
log_type none
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes {queue_bytes}
"
    )
}

//! What the admin server knows of MQTT brokers, and does with them.

use super::metrics::Brokers;
use crate::process::control::Report;

/// The figures of every broker. One whose workers are silent tells what it told last.
pub(super) async fn figures(report: Option<&Report>) -> Brokers {
    let mut brokers = Brokers::new();
    for (name, operator) in report.into_iter().flat_map(|it| &it.brokers) {
        brokers.insert(name.clone(), operator.figures().await);
    }
    brokers
}

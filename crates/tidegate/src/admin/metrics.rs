//! The figures, as OpenMetrics text: gathered when they are asked for, from cells and counts
//! that are kept anyway.

mod brokers;
mod calls;
mod process;
mod sites;
mod stores;

use std::fmt;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tidegate_http::fault;
use tidegate_runtime::clock;
use tidegate_supervisor as supervisor;

pub(super) use self::brokers::Brokers;
use crate::process::control::Report;

/// All figures there are now. Without a report those of the deployment are left out: it is not
/// up yet, or not any more.
pub(super) fn render(
    report: Option<&Report>,
    brokers: Brokers,
    services: &[supervisor::Status],
    started: Instant,
) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures {
        report: report.cloned(),
        brokers,
        services: services.to_vec(),
        uptime_seconds: clock::precise().duration_since(started).as_secs_f64(),
    }));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => text,
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            "# EOF\n".to_owned()
        }
    }
}

/// What one answer is made from.
#[derive(Debug)]
struct Figures {
    report: Option<Report>,
    brokers: Brokers,
    services: Vec<supervisor::Status>,
    uptime_seconds: f64,
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.process(&mut page)?;
        self.services(&mut page)?;
        page.counters(
            "tidegate_faults",
            "Requests answered with an error by the gateway itself, by cause: each limit, each \
             time-out, each failure of an upstream",
            fault::counts()
                .into_iter()
                .map(|(name, count)| ([("fault", name)], count)),
        )?;
        brokers::write(&self.brokers, &mut page)?;
        stores::write(&self.brokers, &mut page)?;
        match &self.report {
            Some(report) => {
                sites::write(report, &mut page).and_then(|()| calls::write(report, &mut page))
            }
            None => Ok(()),
        }
    }
}

/// The page that is written: a line per figure.
struct Page<'a>(DescriptorEncoder<'a>);

type Labels<'l, const N: usize> = [(&'l str, &'l str); N];

impl Page<'_> {
    /// One family of counters.
    fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        lines: impl IntoIterator<Item = (Labels<'l, N>, u64)>,
    ) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Counter)?;
        for (labels, count) in lines {
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// One family of gauges.
    fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        lines: impl IntoIterator<Item = (Labels<'l, N>, f64)>,
    ) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Gauge)?;
        for (labels, value) in lines {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }
}

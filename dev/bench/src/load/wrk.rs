//! Load by wrk: many requests for little CPU, which the load core has none of to spare.

use super::{Failures, Outcome};
use crate::process::{Program, Running};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

const END_TIMEOUT: Duration = Duration::from_secs(15);

/// Starts wrk runs.
#[derive(Debug)]
pub(crate) struct Wrk {
    pub(crate) path: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) core: usize,
}

/// What wrk is asked to do.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) url: String,
    pub(crate) connections: u32,
    /// Header lines to add.
    pub(crate) headers: &'a [&'a str],
    /// A Lua script, for anything but GET.
    pub(crate) script: Option<&'a Path>,
    pub(crate) seconds: u64,
}

impl Wrk {
    /// Runs to the end of `order`.
    pub(crate) fn run(&self, order: &Order<'_>) -> Result<Outcome> {
        let mut program = Program::new(&self.path)
            .arg("--threads=1")
            .arg(format!("--connections={}", order.connections))
            .arg(format!("--duration={}s", order.seconds))
            .arg("--timeout=10s")
            .arg("--latency")
            .env("OPENSSL_CONF", self.directory.join("openssl.cnf"));
        for header in order.headers {
            program = program.arg("--header").arg(header);
        }
        if let Some(script) = order.script {
            program = program.arg("--script").arg(script);
        }
        let running = Running::start("wrk", program.arg(&order.url), self.core, &self.directory)?;
        let output = running.wait_for_success(Duration::from_secs(order.seconds) + END_TIMEOUT)?;
        parse(&output).with_context(|| format!("cannot read wrk's output:\n{output}"))
    }

    /// Writes the OpenSSL settings that keep wrk to the group and cipher our own client offers.
    pub(crate) fn write_tls_settings(&self) -> Result<()> {
        let text = "openssl_conf = main
[main]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
MinProtocol = TLSv1.3
";
        Ok(std::fs::write(self.directory.join("openssl.cnf"), text)?)
    }
}

fn parse(output: &str) -> Result<Outcome> {
    let mut failures = Failures::default();
    let mut latency = [None, None];
    let mut totals = None;
    for line in output.lines().map(str::trim) {
        if let Some((requests, rest)) = line.split_once(" requests in ") {
            let (time, _) = rest.split_once(',').context("no time")?;
            totals = Some((requests.parse::<u64>()?, duration(time)?));
        } else if let Some(value) = line.strip_prefix("50%") {
            latency[0] = Some(duration(value)?);
        } else if let Some(value) = line.strip_prefix("99%") {
            latency[1] = Some(duration(value)?);
        } else if let Some(list) = line.strip_prefix("Socket errors: ") {
            for error in list.split(", ") {
                let (what, times) = error.split_once(' ').context("malformed socket errors")?;
                failures.add(format_args!("{what} errors"), times.parse()?);
            }
        } else if let Some(times) = line.strip_prefix("Non-2xx or 3xx responses: ") {
            failures.add("not 2xx", times.parse()?);
        }
    }
    let ((answered, elapsed), [Some(p50), Some(p99)]) = (totals.context("no totals")?, latency)
    else {
        bail!("no latencies");
    };
    let requests = answered.saturating_sub(failures.total());
    Ok(Outcome {
        requests,
        failures,
        elapsed,
        p50,
        p99,
    })
}

/// wrk's times: a number and a unit.
fn duration(text: &str) -> Result<Duration> {
    let text = text.trim();
    let unit = text
        .find(|c: char| c.is_ascii_alphabetic())
        .context("a time without unit")?;
    let (number, unit) = text.split_at(unit);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => bail!("unknown unit '{unit}'"),
    };
    Ok(Duration::from_secs_f64(number.parse::<f64>()? * scale))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const CLEAN: &str = "Running 1s test @ http://127.0.0.1:8080/1k
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   812.33us  210.06us   6.12ms   86.44%
    Req/Sec    77.90k     2.10k   80.01k    72.73%
  Latency Distribution
     50%  798.00us
     75%    0.89ms
     90%    1.01ms
     99%    1.65ms
  85421 requests in 1.10s, 103.22MB read
Requests/sec:  77655.45
Transfer/sec:     93.84MB
";

    #[test]
    fn a_clean_run_is_read_whole() {
        let outcome = parse(CLEAN).unwrap();
        assert_eq!(outcome.requests, 85_421);
        assert_eq!(outcome.elapsed, Duration::from_millis(1100));
        assert_eq!(outcome.p50, Duration::from_micros(798));
        assert_eq!(outcome.p99, Duration::from_micros(1650));
        assert_eq!(outcome.failures.total(), 0);
    }

    #[test]
    fn errors_of_both_kinds_are_counted() {
        let broken = format!(
            "{CLEAN}  Socket errors: connect 1, read 20, write 300, timeout 0
  Non-2xx or 3xx responses: 4000
"
        );
        let outcome = parse(&broken).unwrap();
        assert_eq!(outcome.failures.total(), 4321);
        assert_eq!(
            outcome.failures.to_string(),
            "1 connect errors, 4000 not 2xx, 20 read errors, 300 write errors"
        );
    }

    #[test]
    fn output_that_ends_early_is_an_error() {
        assert!(parse("unable to connect to 127.0.0.1:1 Connection refused\n").is_err());
    }
}

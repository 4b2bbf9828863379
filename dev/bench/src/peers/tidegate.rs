//! tidegate as a reverse proxy: one worker, no log, the peers' limits, else its defaults.

use super::{Blueprint, GENERATION_PATH};
use crate::process::Program;
use std::path::Path;

pub(super) fn program(path: &Path, configuration: &Path) -> Program {
    Program::new(path)
        .arg("run")
        .arg("--config")
        .arg(configuration)
}

pub(super) fn text(blueprint: Blueprint<'_>) -> String {
    let Blueprint {
        origin,
        http,
        https,
        generation,
        ..
    } = blueprint;
    let chain = blueprint.certificate.chain.display();
    let key = blueprint.certificate.key.display();
    let site = |name: &str| {
        format!(
            "
[[servers.{name}.routes]]
path = \"{GENERATION_PATH}\"
respond = {{ status = 200, body = \"{generation}\" }}

[[servers.{name}.routes]]
path = \"/{{*rest}}\"
upstream = \"origin\"
"
        )
    };
    let (plain, secure) = (site("plain"), site("secure"));
    format!(
        "[runtime]
workers = 1

[servers.plain]
protocol = \"http\"
listen = [\"127.0.0.1:{http}\"]
backlog = 4096
access_log = false
forwarded = {{ x_forwarded = false }}
limits = {{ connections = 30000 }}
{plain}
[servers.secure]
protocol = \"http\"
listen = [\"127.0.0.1:{https}\"]
tls = {{ certificates = [{{ chain = \"{chain}\", key = \"{key}\" }}], session_tickets = false }}
backlog = 4096
access_log = false
forwarded = {{ x_forwarded = false }}
limits = {{ connections = 30000 }}
{secure}
[upstreams.origin]
endpoints = [\"127.0.0.1:{origin}\"]
pool = {{ idle = 1024, requests = 1000000000 }}
"
    )
}

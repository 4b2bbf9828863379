//! haproxy as a reverse proxy: one thread, upstream connections shared, no logs.

use super::{Blueprint, GENERATION_PATH};
use crate::process::Program;
use std::path::Path;

/// In master-worker mode, in which it can be reloaded.
pub(super) fn program(path: &Path, configuration: &Path) -> Program {
    Program::new(path).arg("-W").arg("-f").arg(configuration)
}

pub(super) fn text(blueprint: Blueprint<'_>) -> String {
    let Blueprint {
        origin,
        http,
        https,
        generation,
        ..
    } = blueprint;
    let here = blueprint.directory.display();
    let combined = blueprint.certificate.combined.display();
    format!(
        "global
    nbthread 1
    maxconn 30000
    no strict-limits
    stats socket {here}/haproxy.sock expose-fd listeners
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
    mode http
    http-reuse always
    backlog 4096
    timeout connect 5s
    timeout client 75s
    timeout server 60s
    timeout http-keep-alive 75s
frontend web
    bind 127.0.0.1:{http}
    bind 127.0.0.1:{https} ssl crt {combined}
    http-request return status 200 content-type text/plain string {generation} if {{ path {GENERATION_PATH} }}
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}
"
    )
}

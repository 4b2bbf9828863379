//! The origin: nginx with static files, on the load core. The same for every proxy.

use crate::process::{Program, Running, free_port};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Files it serves, by path and size in bytes.
pub(crate) const FILES: [(&str, usize); 5] = [
    ("/5b", 5),
    ("/1k", 1 << 10),
    ("/10k", 10 << 10),
    ("/100k", 100 << 10),
    ("/1m", 1 << 20),
];
/// Where it takes a POST.
pub(crate) const POST_PATH: &str = "/post";

/// A running origin.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Where it listens, on the loopback address.
    pub(crate) port: u16,
    _process: Running,
}

impl Origin {
    /// Starts it with everything it needs in `directory`.
    pub(crate) fn start(nginx: &Path, directory: &Path, core: usize) -> Result<Self> {
        let root = directory.join("origin");
        fs::create_dir_all(&root)?;
        for (path, size) in FILES {
            fs::write(root.join(&path[1..]), vec![b'x'; size])?;
        }
        let port = free_port()?;
        let configuration = root.join("nginx.conf");
        fs::write(&configuration, text(&root, port))?;
        let program = Program::new(nginx)
            .arg("-p")
            .arg(&root)
            .arg("-c")
            .arg(&configuration)
            .arg("-e")
            .arg("stderr");
        let mut process = Running::start("origin", program, core, directory)?;
        process
            .wait_until_listening(port)
            .context("the origin does not start")?;
        Ok(Self {
            port,
            _process: process,
        })
    }
}

fn text(root: &Path, port: u16) -> String {
    let user = user_directive();
    let root = root.display();
    format!(
        "{user}worker_processes 1;
daemon off;
pid {root}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile 65536;
events {{ worker_connections 30000; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100 inactive=1h;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
        location = {POST_PATH} {{ return 200 \"done\\n\"; }}
    }}
}}
"
    )
}

/// nginx started by root gives up its rights in workers, which then cannot read our files.
pub(crate) fn user_directive() -> &'static str {
    if rustix::process::geteuid().is_root() {
        "user root;\n"
    } else {
        ""
    }
}

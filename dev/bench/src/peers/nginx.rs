//! nginx as a reverse proxy, tuned: kept upstream connections, larger buffers, no files, no logs.

use super::{Blueprint, GENERATION_PATH};
use crate::origin::user_directive;
use crate::process::Program;
use std::path::Path;

pub(super) fn program(path: &Path, directory: &Path, configuration: &Path) -> Program {
    Program::new(path)
        .arg("-p")
        .arg(directory)
        .arg("-c")
        .arg(configuration)
        .arg("-e")
        .arg("stderr")
}

pub(super) fn text(blueprint: Blueprint<'_>) -> String {
    let Blueprint {
        origin,
        http,
        https,
        generation,
        ..
    } = blueprint;
    let user = user_directive();
    let here = blueprint.directory.display();
    let chain = blueprint.certificate.chain.display();
    let key = blueprint.certificate.key.display();
    format!(
        "{user}worker_processes 1;
daemon off;
pid {here}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile 65536;
events {{ worker_connections 30000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{http} backlog=4096;
        listen 127.0.0.1:{https} ssl backlog=4096;
        ssl_certificate {chain};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache off;
        ssl_session_tickets off;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_buffer_size 16k;
            proxy_buffers 8 32k;
            proxy_max_temp_file_size 0;
        }}
        location = {GENERATION_PATH} {{ return 200 \"{generation}\"; }}
    }}
}}
"
    )
}

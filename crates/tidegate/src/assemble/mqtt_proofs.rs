//! What clients of a broker prove themselves with, made from the files that hold it.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Weak};

use http::HeaderValue;
use rustls_pki_types::ServerName;
use tidegate_gateway::resolve::ResolverHandle;
use tidegate_mqtt::access::certificates::CertificateProof;
use tidegate_mqtt::access::passwords::pool::PasswordPool;
use tidegate_mqtt::access::passwords::{PasswordFile, PasswordProof};
use tidegate_mqtt::access::proof::{Proof, Proofs};
use tidegate_mqtt::access::scram::ScramMethod;
use tidegate_mqtt::access::tokens::TokenProof;
use tidegate_mqtt::access::tokens::key::TokenKey;
use tidegate_mqtt::broker::auth::SharedMethods;
use tidegate_mqtt::server::ServerSettings;
use tidegate_runtime::tls::{ClientTls, ClientTlsOptions, Roots};

use super::AssembleError;
use super::mqtt_hook::{HookProof, HookSpec};
use super::upstreams;
use crate::settings::{Hook, Mqtt, Server};

/// Makes proofs, and keeps what they share.
#[derive(Debug, Default)]
pub(super) struct ProofMaker {
    /// The threads that check passwords, for as long as a server has some to check.
    pool: RefCell<Weak<PasswordPool>>,
}

impl ProofMaker {
    /// The settings of a server, with its proofs.
    pub(super) fn settings(
        &self,
        server: &Server,
        mqtt: &Mqtt,
        resolver: &ResolverHandle,
    ) -> Result<ServerSettings, AssembleError> {
        let wrong = |key| {
            move |problem: String| AssembleError::Proof {
                server: server.name.clone(),
                key,
                problem,
            }
        };
        let mut methods = None;
        let mut proofs: Vec<Arc<dyn Proof>> = Vec::new();
        if let Some(name) = mqtt.proofs.certificate {
            proofs.push(Arc::new(CertificateProof::new(name)));
        }
        if let Some(tokens) = &mqtt.proofs.tokens {
            let wrong = wrong("tokens.keys");
            let keys = tokens.keys.iter().map(|key| {
                let file = std::fs::read(&key.file).map_err(|error| error.to_string());
                let parse = |file: Vec<u8>| {
                    TokenKey::new(key.algorithm, key.id.clone(), &file)
                        .map_err(|error| error.to_string())
                };
                file.and_then(parse)
                    .map_err(|error| wrong(format!("{}: {error}", key.file.display())))
            });
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            proofs.push(Arc::new(TokenProof::new(keys, tokens.rules.clone())));
        }
        if let Some(path) = &mqtt.proofs.passwords {
            let wrong = wrong("passwords");
            let file = PasswordFile::read(path)
                .map_err(|error| wrong(format!("{}: {error}", path.display())))?;
            let pool = self.pool().map_err(|error| wrong(error.to_string()))?;
            let file = Arc::new(file);
            let scram = ScramMethod::new(Arc::clone(&file));
            let scram = scram.map_err(|error| wrong(error.to_string()))?;
            methods = Some(SharedMethods(Arc::new(scram)));
            proofs.push(Arc::new(PasswordProof::new(file, pool)));
        }
        if let Some(settings) = &mqtt.proofs.hook {
            let spec = hook(server, settings, resolver).map_err(wrong("hook"))?;
            proofs.push(Arc::new(HookProof::new(spec)));
        }
        Ok(ServerSettings {
            proofs: Proofs(proofs),
            methods,
            ..mqtt.settings.clone()
        })
    }

    fn pool(&self) -> io::Result<Arc<PasswordPool>> {
        let mut kept = self.pool.borrow_mut();
        if let Some(pool) = kept.upgrade() {
            return Ok(pool);
        }
        let pool = Arc::new(PasswordPool::start()?);
        *kept = Arc::downgrade(&pool);
        Ok(pool)
    }
}

fn hook(server: &Server, settings: &Hook, resolver: &ResolverHandle) -> Result<HookSpec, String> {
    let url = &settings.url;
    let tls = match url.is_secure {
        false => None,
        true => {
            let options = ClientTlsOptions {
                roots: settings.ca.clone().map_or(Roots::System, Roots::File),
                application_protocols: vec![b"http/1.1".to_vec()],
            };
            let tls = ClientTls::new(options).map_err(|error| error.to_string())?;
            let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
            Some((tls, name))
        }
    };
    Ok(HookSpec {
        server: server.name.clone(),
        address: upstreams::address(&url.address, resolver),
        tls,
        authority: HeaderValue::from_str(&url.authority).map_err(|error| error.to_string())?,
        target: url.target.clone(),
        timeout: settings.timeout,
        concurrency: settings.concurrency,
        idle_timeout: settings.idle_timeout,
    })
}

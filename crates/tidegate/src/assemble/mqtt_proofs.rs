//! What clients of a broker prove themselves with, made from the files that hold it.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Weak};

use tidegate_mqtt::access::certificates::CertificateProof;
use tidegate_mqtt::access::passwords::pool::PasswordPool;
use tidegate_mqtt::access::passwords::{PasswordFile, PasswordProof};
use tidegate_mqtt::access::proof::{Proof, Proofs};
use tidegate_mqtt::access::scram::ScramMethod;
use tidegate_mqtt::access::tokens::TokenProof;
use tidegate_mqtt::access::tokens::key::TokenKey;
use tidegate_mqtt::broker::auth::SharedMethods;
use tidegate_mqtt::server::ServerSettings;

use super::AssembleError;
use crate::settings::{Mqtt, Server};

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

//! The chain of a server that tells protocols apart: it gives connections on to others.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use thiserror::Error;
use tidegate_gateway::detect::{Detection, Protocol, detect};
use tidegate_orchestrator::{DoorError, SiteName, serve_as};
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::in_place;
use tidegate_runtime::opening::{OpeningError, Silence, read_opening};
use tidegate_runtime::proxy_protocol::ProxyProtocolFactory;
use tidegate_runtime::tls::{TlsFactory, TlsMode};
use tidegate_service::layer::layer_fn;
use tidegate_service::stack::FactoryStack;
use tidegate_service::{MakeService, Service};

use super::any_error::AnyErrorFactory;
use super::chain::SiteChain;
use crate::settings::{Detect, Server, Spoken};

pub(super) fn site(server: &Server, settings: &Detect, tls: TlsMode) -> SiteChain {
    let proxied = server.proxy_protocol.clone();
    FactoryStack::new(())
        // Looks at the first bytes, and gives the connection on.
        .replace(DetectFactory(DetectService::new(settings)))
        // Makes the TLS handshake, if there is one.
        .push(layer_fn(move |&(): &(), inner| {
            TlsFactory::new(tls.clone(), inner)
        }))
        // Takes what a proxy in front says of the client, if one does.
        .push(layer_fn(move |&(): &(), inner| {
            ProxyProtocolFactory::new(proxied.clone(), inner)
        }))
        // Says of any protocol's error that it is one.
        .push(layer_fn(|&(): &(), inner| AnyErrorFactory::new(inner)))
        .check_make_svc::<Accepted>()
        .push_boxed_service::<Accepted>()
        .into_arc_async_factory()
        .into_inner()
}

#[derive(Clone, Debug)]
struct DetectService {
    wanted: Vec<Protocol>,
    sites: BTreeMap<Protocol, SiteName>,
    /// For what is none of those.
    other: Option<SiteName>,
    timeout: Duration,
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug)]
enum Said {
    Known(Protocol),
    Other,
}

#[derive(Debug, Error)]
#[error("the client speaks none of the protocols on offer")]
struct Unknown;

/// Why a connection was not given on, or how it ended where it went.
#[derive(Debug, Error)]
enum DetectError {
    #[error(transparent)]
    Opening(#[from] OpeningError<Unknown>),
    #[error(transparent)]
    Door(#[from] DoorError),
}

impl DetectService {
    fn new(settings: &Detect) -> Self {
        let mut sites = BTreeMap::new();
        let mut other = None;
        for (spoken, name) in &settings.servers {
            let site = SiteName::from(name.as_str());
            let protocols: &[Protocol] = match spoken {
                Spoken::Http => &[Protocol::Http1, Protocol::Http2],
                Spoken::Tls => &[Protocol::Tls],
                Spoken::Mqtt => &[Protocol::Mqtt],
                Spoken::Thrift => &[Protocol::Thrift],
                Spoken::Other => {
                    other = Some(site);
                    continue;
                }
            };
            sites.extend(protocols.iter().map(|protocol| (*protocol, site.clone())));
        }
        Self {
            wanted: sites.keys().copied().collect(),
            sites,
            other,
            timeout: settings.timeout,
        }
    }

    async fn look(&self, mut accepted: Accepted) -> Result<(SiteName, Accepted), DetectError> {
        let silence = match self.other {
            Some(_) => Silence::Accepted,
            None => Silence::Refused,
        };
        let looking = read_opening(&mut accepted, self.timeout, silence, |bytes| {
            match detect(bytes, &self.wanted) {
                Detection::Found(protocol) => Ok(Some(Said::Known(protocol))),
                Detection::Undecided => Ok(None),
                Detection::Unknown if self.other.is_some() => Ok(Some(Said::Other)),
                Detection::Unknown => Err(Unknown),
            }
        });
        let site = match looking.await?.unwrap_or(Said::Other) {
            Said::Known(protocol) => self.sites.get(&protocol),
            Said::Other => self.other.as_ref(),
        };
        let site = site.ok_or(OpeningError::Refused(Unknown))?;
        Ok((site.clone(), accepted))
    }
}

impl Service<Accepted> for DetectService {
    type Response = ();
    type Error = DetectError;

    async fn call(&self, accepted: Accepted) -> Result<(), DetectError> {
        // Boxed: over long before the connection is.
        let (site, accepted) = in_place::future(|| self.look(accepted)).await?;
        Ok(serve_as(&site, accepted).await?)
    }
}

#[derive(Clone, Debug)]
struct DetectFactory(DetectService);

impl MakeService for DetectFactory {
    type Service = DetectService;
    type Error = Infallible;

    fn make_via_ref(&self, _: Option<&DetectService>) -> Result<DetectService, Infallible> {
        Ok(self.0.clone())
    }
}

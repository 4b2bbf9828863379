//! Who a client is, before the core hears of it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tidegate_runtime::io::{Io, PeerAddr};

use super::settings::{Anonymous, ServerSettings};
use crate::access::proof::{Credentials, Verdict};
use crate::broker::access::Identity;
use crate::codec::{Connect, ReasonCode};

/// Whether a client may come in, and as whom.
type Admitted = Result<Identity, ReasonCode>;

/// The question who a client is.
pub(super) enum Admission {
    /// Answered.
    Now(Admitted),
    /// Asked.
    Later(Pin<Box<dyn Future<Output = Admitted>>>),
}

/// A client whose CONNECT waits for the answer.
pub(super) struct Asking {
    connect: Option<Box<Connect>>,
    admission: Pin<Box<dyn Future<Output = Admitted>>>,
}

impl Asking {
    pub(super) fn new(
        connect: Box<Connect>,
        admission: Pin<Box<dyn Future<Output = Admitted>>>,
    ) -> Self {
        Self {
            connect: Some(connect),
            admission,
        }
    }

    /// The CONNECT with the answer, once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Box<Connect>, Admitted)> {
        if self.connect.is_none() {
            return Poll::Pending;
        }
        let admitted = std::task::ready!(self.admission.as_mut().poll(cx));
        match self.connect.take() {
            Some(connect) => Poll::Ready((connect, admitted)),
            None => Poll::Pending,
        }
    }
}

/// Asks who sent `connect` over `io`.
pub(super) fn ask(
    settings: &Rc<ServerSettings>,
    peer: PeerAddr,
    io: &Io,
    connect: &Connect,
) -> Admission {
    if connect.properties.authentication_method.is_some() {
        // The core has it prove who it is before it lets it in.
        return Admission::Now(Ok(nobody(peer)));
    }
    if settings.proofs.0.is_empty() {
        // Nothing here checks a password, so a user name proves nothing and is not taken
        // over: who brings one is treated as one who brings none.
        return Admission::Now(anonymous(settings.anonymous, peer));
    }
    let certificates = io.tls().and_then(|tls| tls.peer_certificates());
    let client_id = &connect.client_identifier;
    let credentials = Credentials {
        client_id: (!client_id.is_empty()).then(|| client_id.clone()),
        user: connect.user_name.clone(),
        password: connect.password.clone(),
        address: peer.ip(),
        certificate: certificates.and_then(|chain| Some(chain.first()?.as_ref().into())),
    };
    let settings = Rc::clone(settings);
    Admission::Later(Box::pin(async move {
        let brings_any = credentials.user.is_some() || credentials.password.is_some();
        match settings.proofs.check(&credentials).await {
            Verdict::Accepted(identity) => Ok(Identity {
                address: peer.ip(),
                ..identity
            }),
            Verdict::Refused(reason) => Err(reason),
            Verdict::Unknown if brings_any => Err(ReasonCode::BadUserNameOrPassword),
            Verdict::Unknown => anonymous(settings.anonymous, peer),
        }
    }))
}

fn anonymous(allowed: Anonymous, peer: PeerAddr) -> Admitted {
    let is_local = peer.ip().is_none_or(|address| address.is_loopback());
    match allowed {
        Anonymous::Everybody => Ok(nobody(peer)),
        Anonymous::Local if is_local => Ok(nobody(peer)),
        Anonymous::Local | Anonymous::Nobody => Err(ReasonCode::NotAuthorized),
    }
}

fn nobody(peer: PeerAddr) -> Identity {
    Identity {
        address: peer.ip(),
        ..Identity::default()
    }
}

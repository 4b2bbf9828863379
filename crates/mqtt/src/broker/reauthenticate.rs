//! Authentication again, on a connection that stands (section 4.12.1).

use std::rc::Rc;

use super::{
    Broker,
    access::Identity,
    auth::{Exchange, Step},
    reply::Reply,
    session::SessionKey,
    time::Moment,
};
use crate::codec::{Auth, ReasonCode};

impl Broker {
    pub(super) fn reauthenticate(
        &mut self,
        now: Moment,
        key: SessionKey,
        packet: &Auth,
    ) -> Result<(), ReasonCode> {
        let session = &mut self.sessions[key];
        let client_id = Rc::clone(&session.client_id);
        let auth = session.link.as_mut().and_then(|link| link.auth.as_mut());
        // Without a method in CONNECT there is no AUTH, and it stays the same
        // method (4.12.0-7, 4.12.1-1).
        let auth = auth.ok_or(ReasonCode::ProtocolError)?;
        if packet.method.as_ref() != Some(&auth.method) {
            return Err(ReasonCode::ProtocolError);
        }
        let exchange = match (packet.reason, auth.exchange.take()) {
            (ReasonCode::ReAuthenticate, None) => self
                .authenticator
                .begin(auth.method.as_str(), &client_id)
                .ok_or(ReasonCode::NotAuthorized)?,
            (ReasonCode::ContinueAuthentication, Some((exchange, _))) => exchange,
            _ => return Err(ReasonCode::ProtocolError),
        };
        self.step_again(
            now,
            key,
            exchange,
            packet.data.as_deref().unwrap_or_default(),
        )
    }

    fn step_again(
        &mut self,
        now: Moment,
        key: SessionKey,
        mut exchange: Box<dyn Exchange>,
        data: &[u8],
    ) -> Result<(), ReasonCode> {
        let due = now + self.limits.auth_timeout;
        let step = exchange.step(data);
        let session = &mut self.sessions[key];
        let Some(auth) = session.link.as_mut().and_then(|link| link.auth.as_mut()) else {
            return Ok(());
        };
        let mut is_another = false;
        let reply = match step {
            Step::Continue(data) => {
                auth.exchange = Some((exchange, due));
                Reply::auth(ReasonCode::ContinueAuthentication, &auth.method, data)
            }
            Step::Done { identity, .. } if !self.validity.holds(&identity) => {
                return Err(ReasonCode::NotAuthorized);
            }
            Step::Done { identity, data } => {
                let reply = Reply::auth(ReasonCode::Success, &auth.method, data);
                is_another = identity.user != session.identity.user;
                session.identity = Rc::new(Identity {
                    address: identity.address.or(session.identity.address),
                    ..identity
                });
                reply
            }
            Step::Refuse(reason) => return Err(reason),
        };
        if is_another {
            self.check_session(key);
        }
        self.arm(key);
        self.reply_now(key, reply);
        Ok(())
    }
}

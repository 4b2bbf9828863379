//! The sites of this worker, for a chain that gives connections on to other sites.
//!
//! A door leads to whatever the site's slot holds at the moment, as an accept loop does:
//! it outlives every update of the site, and is gone when the site is.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};

use thiserror::Error;
use tidegate_runtime::connections::Accepted;
use tidegate_service::Service;

use crate::deployed::Deployed;
use crate::factory::Chain;
use crate::site::SiteName;

thread_local! {
    /// By site. A worker is a thread, so these are its sites alone.
    static DOORS: RefCell<HashMap<SiteName, Rc<dyn Door>>> = RefCell::default();
}

/// Why a connection was not served by another site, or how it ended there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DoorError {
    /// No such site is deployed on this worker.
    #[error("the site {0} does not serve")]
    Closed(SiteName),
    /// What the site's chain says.
    #[error("{0}")]
    Chain(String),
}

/// Serves a connection as one of `site`'s: by its chain of now, counted among its
/// connections and drained with them. What listened for it keeps the place it took there.
///
/// # Errors
///
/// The site is not deployed on this worker, or its chain failed.
pub async fn serve_as(site: &SiteName, accepted: Accepted) -> Result<(), DoorError> {
    let door = DOORS.with_borrow(|doors| doors.get(site).cloned());
    let serving = door.and_then(|door| door.serve(accepted));
    match serving {
        Some(serving) => serving.await.map_err(DoorError::Chain),
        None => Err(DoorError::Closed(site.clone())),
    }
}

type Serving = Pin<Box<dyn Future<Output = Result<(), String>>>>;

trait Door {
    fn serve(&self, accepted: Accepted) -> Option<Serving>;
    fn leads_to(&self, slot: *const ()) -> bool;
}

/// Weak: chains must not outlive the worker's runtime by being remembered here.
struct SlotDoor<S>(Weak<RefCell<Rc<Deployed<S>>>>);

impl<S: Chain> Door for SlotDoor<S>
where
    <S as Service<Accepted>>::Error: Display,
{
    fn serve(&self, mut accepted: Accepted) -> Option<Serving> {
        let deployed = Rc::clone(&self.0.upgrade()?.borrow());
        accepted.handle.move_to(&deployed.connections);
        let chain = Rc::clone(&deployed.chain);
        Some(Box::pin(async move {
            let served = chain.call(accepted).await;
            served.map_err(|error| error.to_string())
        }))
    }

    fn leads_to(&self, slot: *const ()) -> bool {
        self.0.as_ptr().cast() == slot
    }
}

pub(crate) fn open<S: Chain>(site: &SiteName, slot: &Rc<RefCell<Rc<Deployed<S>>>>) {
    let door = Rc::new(SlotDoor(Rc::downgrade(slot)));
    DOORS.with_borrow_mut(|doors| doors.insert(site.clone(), door));
}

/// Closes the door of `site` if it still leads to `slot`.
pub(crate) fn close<S>(site: &SiteName, slot: &Rc<RefCell<Rc<Deployed<S>>>>) {
    DOORS.with_borrow_mut(|doors| {
        if doors
            .get(site)
            .is_some_and(|door| door.leads_to(Rc::as_ptr(slot).cast()))
        {
            doors.remove(site);
        }
    });
}

//! Several services as one.

use std::sync::Arc;

use crate::error::AddError;
use crate::orchestrator::Orchestrator;
use crate::policy::Strategy;
use crate::service::Service;

/// The services as one, which lives until the last of them has ended and tells of all their
/// errors.
///
/// # Errors
///
/// Two have one name, or dependencies go in a circle.
pub fn group(
    name: impl Into<Arc<str>>,
    strategy: Strategy,
    services: impl IntoIterator<Item = Service>,
) -> Result<Service, AddError> {
    let name = name.into();
    let orchestrator = Orchestrator::builder(Arc::clone(&name))
        .strategy(strategy)
        .ends_with_last()
        .build();
    let mut count = 0;
    for service in services {
        orchestrator.add(service)?;
        count += 1;
    }
    if count == 0 {
        // Nobody would end it.
        return Ok(Service::new(name, |_| async {}));
    }
    Ok(orchestrator.into_service())
}

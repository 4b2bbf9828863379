//! What is thought of an endpoint after a series of answers. No I/O and no clock.

/// How many answers in a row change what is thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Good ones until an unhealthy endpoint is healthy; at least one.
    pub healthy: u32,
    /// Bad ones until a healthy endpoint is unhealthy; at least one.
    pub unhealthy: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            healthy: 2,
            unhealthy: 3,
        }
    }
}

/// What one check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The endpoint took the connection.
    Good,
    /// It did not, or not in time.
    Bad,
}

/// What is thought has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// From unhealthy to healthy.
    Recovered,
    /// From healthy to unhealthy.
    Failed,
}

/// What is thought, and how much speaks against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    is_healthy: bool,
    /// Answers in a row that do not fit.
    against: u32,
}

impl Default for Standing {
    /// Healthy: an endpoint is used until there is a reason not to.
    fn default() -> Self {
        Self {
            is_healthy: true,
            against: 0,
        }
    }
}

impl Standing {
    /// Whether the endpoint is thought to be healthy.
    pub(crate) const fn is_healthy(&self) -> bool {
        self.is_healthy
    }

    /// Takes the answer of one check.
    pub(crate) fn input(&mut self, answer: Answer, thresholds: Thresholds) -> Option<Transition> {
        if (answer == Answer::Good) == self.is_healthy {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let (enough, transition) = match answer {
            Answer::Good => (thresholds.healthy, Transition::Recovered),
            Answer::Bad => (thresholds.unhealthy, Transition::Failed),
        };
        if self.against < enough {
            return None;
        }
        *self = Self {
            is_healthy: answer == Answer::Good,
            against: 0,
        };
        Some(transition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_flaps_below_the_threshold_stays_what_it_is() {
        let thresholds = Thresholds {
            healthy: 2,
            unhealthy: 3,
        };
        let mut standing = Standing::default();
        for _ in 0..10 {
            for answer in [Answer::Bad, Answer::Bad, Answer::Good] {
                assert_eq!(standing.input(answer, thresholds), None);
            }
        }
        let mut last = None;
        for _ in 0..3 {
            last = standing.input(Answer::Bad, thresholds);
        }
        assert_eq!(last, Some(Transition::Failed));
        for _ in 0..10 {
            for answer in [Answer::Good, Answer::Bad] {
                assert_eq!(standing.input(answer, thresholds), None);
            }
        }
        assert_eq!(standing.input(Answer::Good, thresholds), None);
        assert_eq!(
            standing.input(Answer::Good, thresholds),
            Some(Transition::Recovered)
        );
    }
}

//! What Entra's provisioning log would say: a code for each failure, and the health of the job.

/// A code of the provisioning log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// 409: somebody has the name.
    Conflict,
    /// The id that was cached is gone.
    InvalidAnchor,
    /// A query for one finds several.
    DuplicateTargetEntries,
    /// What came back is not SCIM, or 400.
    ServiceIncompatible,
    /// 401.
    Unauthorized,
    /// 403.
    InsufficientRights,
    /// 405.
    MethodNotAllowed,
    /// 422.
    UnprocessableEntity,
    /// 429.
    TooManyRequests,
    /// 501.
    NotImplemented,
    /// Another 5xx.
    InternalServerError,
    /// Nothing for 60 s.
    Timeout,
    /// A broken connection, or a status that nobody expects.
    WebException,
    /// Left out, because the matching attribute is empty.
    Skipped,
}

impl Code {
    /// As the log writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Conflict => "Conflict",
            Self::InvalidAnchor => "InvalidAnchor",
            Self::DuplicateTargetEntries => "DuplicateTargetEntries",
            Self::ServiceIncompatible => {
                "SystemForCrossDomainIdentityManagementServiceIncompatible"
            }
            Self::Unauthorized => "Unauthorized",
            Self::InsufficientRights => "InsufficientRights",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::UnprocessableEntity => "UnprocessableEntity",
            Self::TooManyRequests => "TooManyRequests",
            Self::NotImplemented => "NotImplemented",
            Self::InternalServerError => "InternalServerError",
            Self::Timeout => "Timeout",
            Self::WebException => "WebExceptionProtocolError",
            Self::Skipped => "EntrySynchronizationSkipped",
        }
    }

    /// The code for a status that was not expected.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthorized,
            403 => Self::InsufficientRights,
            405 => Self::MethodNotAllowed,
            409 => Self::Conflict,
            422 => Self::UnprocessableEntity,
            429 => Self::TooManyRequests,
            501 => Self::NotImplemented,
            500..=599 => Self::InternalServerError,
            200..=299 | 400 => Self::ServiceIncompatible,
            _ => Self::WebException,
        }
    }

    /// Whether a probe that ends so puts the whole job into quarantine at once: bad credentials, or an endpoint that
    /// does not speak SCIM. What is only overloaded is tried again in the next cycle.
    pub(super) fn quarantines(self) -> bool {
        match self {
            Self::ServiceIncompatible
            | Self::DuplicateTargetEntries
            | Self::Unauthorized
            | Self::InsufficientRights
            | Self::MethodNotAllowed
            | Self::NotImplemented
            | Self::UnprocessableEntity
            | Self::Conflict
            | Self::InvalidAnchor => true,
            Self::TooManyRequests
            | Self::InternalServerError
            | Self::Timeout
            | Self::WebException
            | Self::Skipped => false,
        }
    }
}

/// A request that did not end as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The log's code.
    pub code: Code,
    /// The status, when there was an answer.
    pub status: Option<u16>,
    /// What the administrator reads.
    pub detail: String,
}

impl Failure {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, status: None, detail: detail.into() }
    }
}

/// How the job is under Entra's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing is open.
    Healthy,
    /// So many objects failed and will be tried again at growing intervals.
    Escrow(usize),
    /// The job is slowed down to one cycle a day, and switched off after four weeks; why.
    Quarantine(&'static str, String),
    /// So many objects failed; of providers other than Entra, whose rules are not documented.
    Failing(usize),
    /// The endpoint cannot be used any more; why. Of providers other than Entra.
    Broken(String),
}

impl Health {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Escrow(_) => "escrow",
            Self::Quarantine(..) => "quarantine",
            Self::Failing(_) => "failing",
            Self::Broken(_) => "broken",
        }
    }

    /// In a sentence.
    pub fn reason(&self) -> String {
        match self {
            Self::Healthy => "nothing is open".to_owned(),
            Self::Escrow(open) => format!(
                "{open} failed and would be tried again, at growing intervals; below {EVALUATED_FROM} failures Entra does \
                 not quarantine a job for them"
            ),
            Self::Quarantine(code, why) => format!("{code}: {why}"),
            Self::Failing(open) => {
                format!("{open} failed, and would wait for somebody to try them again")
            }
            Self::Broken(why) => why.clone(),
        }
    }
}

/// Failures below which their share is never looked at.
const EVALUATED_FROM: usize = 5_000;
/// Failures that are too many, whatever their share.
const FAILED_MAX: usize = 40_000;
/// The same with those of references.
const FAILED_WITH_REFERENCES_MAX: usize = 60_000;

/// Failures so far, as Entra counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Objects looked at.
    pub(super) events: usize,
    /// Failures of users and groups.
    pub(super) failed: usize,
    /// Failures of managers and members.
    pub(super) references_failed: usize,
}

impl Tally {
    /// The health that these numbers mean, with so many failures open.
    pub(super) fn health(self, open: usize) -> Health {
        let all = self.failed + self.references_failed;
        let share = self.failed.saturating_mul(100) > self.events.saturating_mul(40);
        let too_many = self.failed >= EVALUATED_FROM && (share || self.failed > FAILED_MAX);
        if too_many || all > FAILED_WITH_REFERENCES_MAX {
            let why = format!("{all} of {} events failed", self.events);
            return Health::Quarantine("EncounteredEscrowProportionThreshold", why);
        }
        if open == 0 { Health::Healthy } else { Health::Escrow(open) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_quarantined_for_many_failures_only() {
        let health = |events, failed, references_failed| {
            Tally { events, failed, references_failed }.health(failed + references_failed).word()
        };
        assert_eq!(health(10, 0, 0), "healthy");
        assert_eq!(health(4_999, 4_999, 0), "escrow");
        assert_eq!(health(10_000, 5_000, 0), "quarantine");
        assert_eq!(health(100_000, 5_000, 0), "escrow");
        assert_eq!(health(1_000_000, 40_001, 0), "quarantine");
        assert_eq!(health(1_000_000, 0, 40_001), "escrow");
        assert_eq!(health(1_000_000, 0, 60_001), "quarantine");
    }
}

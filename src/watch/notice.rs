//! What somebody is told: pure.

use serde_json::{Value, json};

use super::Summary;
use crate::insight::health::{Health, Sort, Verdict};
use crate::insight::words::{counted, second, span};
use crate::limits::{WATCH_CERTIFICATE_DAYS, WATCH_TOKEN_DAYS};
use crate::moment::Timestamp;
use crate::store::TenantId;
use crate::store::portal::Saml;

/// Something that somebody is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// The identity provider has not called for longer than its own rhythm.
    Silent,
    /// Requests are refused.
    Failures,
    /// Calls come with a token that opens nothing any more.
    Denied,
    /// A token ends soon, or there is none.
    Token,
    /// The certificate of the sign-in ends soon.
    Certificate,
    /// Requests are sent away until later.
    Throttling,
    /// Changes are held back from the app.
    Held,
}

impl Condition {
    /// Every condition.
    pub const ALL: [Self; 7] = [
        Self::Silent,
        Self::Failures,
        Self::Denied,
        Self::Token,
        Self::Certificate,
        Self::Throttling,
        Self::Held,
    ];

    /// The word that is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Failures => "failures",
            Self::Denied => "denied",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Throttling => "throttling",
            Self::Held => "held",
        }
    }

    /// The condition with that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.word() == word)
    }

    /// What a finding is told as; the others are for who looks.
    fn of(sort: Sort) -> Option<Self> {
        match sort {
            Sort::Silence => Some(Self::Silent),
            Sort::Failures => Some(Self::Failures),
            Sort::Denied => Some(Self::Denied),
            Sort::Tokens => Some(Self::Token),
            Sort::Throttling => Some(Self::Throttling),
            Sort::Held => Some(Self::Held),
            Sort::Status | Sort::FirstContact | Sort::ExternalIds => None,
        }
    }
}

/// A condition of a tenant, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose it is.
    pub tenant: TenantId,
    /// What is the matter.
    pub condition: Condition,
    /// The same in a sentence that says what to do.
    pub sentence: String,
}

/// Notices as somebody is sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line of ASCII, shorter than 100 characters, as SNS wants it.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// The conditions that there are, each with its first sentence.
pub(super) fn conditions(health: &Health, saml: &Saml) -> Vec<(Condition, String)> {
    let mut conditions: Vec<(Condition, String)> = Vec::new();
    for finding in &health.findings {
        let Some(condition) = Condition::of(finding.sort) else { continue };
        let is_known = conditions.iter().any(|(known, _)| *known == condition);
        let is_early = condition == Condition::Token
            && finding.verdict != Verdict::AtRisk
            && !a_token_ends_soon(health);
        if !is_known && !is_early {
            conditions.push((condition, finding.sentence.clone()));
        }
    }
    if let Some(ends) = saml.certificate_ends
        && ends < health.now.plus_seconds(WATCH_CERTIFICATE_DAYS * 86_400)
    {
        let when = if health.now < ends {
            format!("ends in {}, on {}", span(ends.since(health.now)), second(ends))
        } else {
            format!("has ended, on {}", second(ends))
        };
        let sentence = format!(
            "The signing certificate of the sign-in {when}: renew it in the identity provider, and give its new federation metadata in the workspace's settings or with scimctl tenant saml."
        );
        conditions.push((Condition::Certificate, sentence));
    }
    conditions
}

/// The first word about a token is for who looks; the mail comes later.
fn a_token_ends_soon(health: &Health) -> bool {
    let soon = health.now.plus_seconds(WATCH_TOKEN_DAYS * 86_400);
    health.tokens.iter().any(|token| token.is_alive(health.now) && token.valid_until < soon)
}

/// What a run has seen of the whole stack, as the line that CloudWatch makes metrics of (its embedded metric format). No tenant
/// is a dimension: a metric costs more a month than the tenant.
pub fn metrics(summary: &Summary, stack: &str, now: Timestamp) -> Value {
    let names = ["Tenants", "TenantsAtRisk", "TenantsSilent", "ChangesHeld"];
    let metrics = names.map(|name| json!({ "Name": name, "Unit": "Count" }));
    json!({
        "_aws": {
            "Timestamp": now.unix_millis(),
            "CloudWatchMetrics": [{
                "Namespace": "scim-endpoint",
                "Dimensions": [["Stack"]],
                "Metrics": metrics,
            }],
        },
        "Stack": stack,
        "Tenants": summary.tenants,
        "TenantsAtRisk": summary.at_risk,
        "TenantsSilent": summary.silent,
        "ChangesHeld": summary.held,
    })
}

/// Notices as one message.
pub fn message(notices: &[Notice]) -> Message {
    let subject = if let [Notice { tenant, condition, .. }] = notices {
        format!("SCIM: {tenant}: {}", condition.word())
    } else {
        let count = u64::try_from(notices.len()).unwrap_or(u64::MAX);
        format!("SCIM: {}", counted(count, "notice", "notices"))
    };
    let paragraphs = notices.iter().map(|Notice { tenant, condition, sentence }| {
        let word = condition.word();
        format!(
            "{tenant}: {sentence}\nMore: scimctl health {tenant}. Not again for a week: scimctl watch mute {tenant} {word}\n\n"
        )
    });
    let mut text: String = paragraphs.collect();
    text.push_str(
        "Each is told once, and again when it was over and has come back, or after a week.\n",
    );
    Message { subject, text }
}

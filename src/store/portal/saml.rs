//! What is known of how a tenant's people sign in, in the item `portal`; and where people reach the deployment, in the
//! registry.

use serde_json::{Value, json};

use super::super::item::{FORMAT, Item, ItemReader, from_json, key_of, number, text, to_json};
use super::super::journal::Event;
use super::super::keys::{Key, REGISTRY};
use super::super::trace::Trace;
use super::super::write::{Cancelled, Change, Condition, Role};
use super::super::{Cx, Store, StoreError};
use crate::moment::{Moment, Timestamp};

/// How far the tenant's sign-in is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SamlState {
    /// Nothing is known of it.
    #[default]
    None,
    /// The team has it elsewhere.
    External,
    /// The directory's metadata are there.
    Described,
    /// The team's app has seen somebody sign in.
    Seen,
}

impl SamlState {
    /// The word that is stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::External => "external",
            Self::Described => "described",
            Self::Seen => "seen",
        }
    }
}

/// A certificate with which the directory signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamlCertificate {
    /// Whose it says it is.
    pub subject: String,
    /// Its SHA-256 digest in hexadecimal.
    pub fingerprint: String,
    /// Until when it is good.
    pub valid_until: Timestamp,
}

/// What is known of the tenant's sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saml {
    /// How far it is.
    pub state: SamlState,
    /// Who the directory is.
    pub entity_id: Option<String>,
    /// Where people sign in.
    pub sso_url: Option<String>,
    /// When the last of the certificates ends.
    pub certificate_ends: Option<Timestamp>,
    /// The certificates.
    pub certificates: Vec<SamlCertificate>,
    /// When the metadata came.
    pub described_at: Option<Timestamp>,
    /// When the team's app first saw somebody sign in.
    pub seen_at: Option<Timestamp>,
}

impl Saml {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let reader = ItemReader::new(item)?;
        let all = [SamlState::None, SamlState::External, SamlState::Described, SamlState::Seen];
        let word = reader.optional("saml").unwrap_or(SamlState::None.word());
        let state = all.into_iter().find(|state| state.word() == word);
        let certificates = match item.get("samlCertificates").map(to_json) {
            Some(Value::Array(all)) => all.iter().filter_map(certificate).collect(),
            Some(_) | None => Vec::new(),
        };
        Ok(Self {
            state: state.ok_or_else(|| reader.corrupt("saml"))?,
            entity_id: reader.optional("samlEntityId").map(str::to_owned),
            sso_url: reader.optional("samlSsoUrl").map(str::to_owned),
            certificate_ends: reader.optional_timestamp("samlCertificateEnds"),
            certificates,
            described_at: reader.optional_timestamp("samlDescribedAt"),
            seen_at: reader.optional_timestamp("samlSeenAt"),
        })
    }

    /// What a write sets and takes away.
    fn change(&self) -> Change {
        let mut change = Change::default();
        change.set.push(("saml".to_owned(), text(self.state.word())));
        let certificates = self.certificates.iter().map(|certificate| {
            json!({
                "subject": certificate.subject,
                "fingerprint": certificate.fingerprint,
                "validUntil": certificate.valid_until.to_string(),
            })
        });
        let certificates: Vec<Value> = certificates.collect();
        let time = |time: Option<Timestamp>| time.map(|time| text(time.to_string()));
        let optional = [
            ("samlEntityId", self.entity_id.as_ref().map(text)),
            ("samlSsoUrl", self.sso_url.as_ref().map(text)),
            ("samlCertificateEnds", time(self.certificate_ends)),
            (
                "samlCertificates",
                (!certificates.is_empty()).then(|| from_json(&Value::Array(certificates))),
            ),
            ("samlDescribedAt", time(self.described_at)),
            ("samlSeenAt", time(self.seen_at)),
        ];
        for (name, value) in optional {
            match value {
                Some(value) => change.set.push((name.to_owned(), value)),
                None => change.remove.push(name.into()),
            }
        }
        change
    }
}

fn certificate(value: &Value) -> Option<SamlCertificate> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    Some(SamlCertificate {
        subject: text("subject")?,
        fingerprint: text("fingerprint")?,
        valid_until: Timestamp::parse(&text("validUntil")?)?,
    })
}

impl Store {
    /// What is known of the tenant's sign-in.
    ///
    /// # Errors
    /// As any read.
    pub async fn saml(&self, cx: &Cx<'_>) -> Result<Saml, StoreError> {
        let found = self.get_key(cx.moment, cx.tenant.as_str(), &Key::portal()).await?;
        found.as_ref().map_or_else(|| Ok(Saml::default()), Saml::read)
    }

    /// Writes what is known of the tenant's sign-in. It was read after the settings that `cx` has.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the settings changed meanwhile.
    pub async fn set_saml(&self, cx: &Cx<'_>, saml: &Saml) -> Result<(), StoreError> {
        let done = self
            .commit(cx.moment, cx.tenant.as_str(), Trace::Written(Key::portal()), |t| {
                let mut change = saml.change();
                change.set.push(("v".to_owned(), number(FORMAT)));
                change.set.push(("rid".to_owned(), text(t.written_by())));
                let key = key_of(cx.tenant.as_str(), &Key::portal());
                // What it is conditioned on is the settings' version, which each write to it moves.
                t.update(Role::Free, &self.tables.directory, key, change, Condition::Any)?;
                self.add_action(t, cx, (Event::Saml, saml.state.word()))
            })
            .await;
        done.map_err(Cancelled::error)
    }

    /// Where people reach the deployment from outside, as the process that serves it has said.
    ///
    /// # Errors
    /// As any read.
    pub async fn public_url(&self, moment: &Moment) -> Result<Option<String>, StoreError> {
        let found = self.get_key(moment, REGISTRY, &Key::stack()).await?;
        Ok(found
            .and_then(|item| ItemReader::unread(&item).optional("publicUrl").map(str::to_owned)))
    }

    /// Says where people reach the deployment. Of two who say so at the same time one is right.
    ///
    /// # Errors
    /// As any write.
    pub async fn set_public_url(&self, moment: &Moment, url: &str) -> Result<(), StoreError> {
        let condition = match self.public_url(moment).await? {
            Some(before) if before == url => return Ok(()),
            Some(before) => Condition::Equal(vec![("publicUrl", text(before))]),
            None => Condition::Absent,
        };
        let set = vec![("v".to_owned(), number(FORMAT)), ("publicUrl".to_owned(), text(url))];
        let change = Change { set, ..Change::default() };
        self.update_alone(moment, REGISTRY, &Key::stack(), change, condition).await.map(|_| ())
    }
}

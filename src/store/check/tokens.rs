//! The tenant's tokens against their rows in the secrets table: a live one opens the door with the tenant's settings as
//! they are, a revoked one does not.

use super::super::StoreError;
use super::super::settings::Settings;
use super::super::tokens::{Grant, TokenInfo};
use super::{Check, Finding, LOOKS_MAX, Mode, Outcome, Report};

/// A token with what its row says.
type Pair = (TokenInfo, Option<Grant>);

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    RowMissing,
    RowForeign,
    StillOpen,
    OldSettings,
}

impl Fault {
    fn sort(self) -> &'static str {
        match self {
            Self::RowMissing => "token-without-row",
            Self::RowForeign => "token-row-foreign",
            Self::StillOpen => "token-still-open",
            Self::OldSettings => "token-settings-old",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::RowMissing => "the token has no row in the secrets table, so it opens nothing",
            Self::RowForeign => "the token's row in the secrets table is another token's",
            Self::StillOpen => {
                "the token is revoked, and its row in the secrets table does not say so"
            }
            Self::OldSettings => "the token's row has other settings than the tenant",
        }
    }
}

impl Check<'_> {
    pub(super) async fn check_tokens(&self, report: &mut Report) -> Result<(), StoreError> {
        let Some((settings, pairs)) = self.tokens().await? else {
            report.unsettled += 1;
            return Ok(());
        };
        for (info, grant) in &pairs {
            let Some(fault) = self.fault(&settings, info, grant.as_ref()) else { continue };
            let outcome = match self.mode {
                Mode::Report => Some(Outcome::Found),
                Mode::Repair => self.repair_token(&settings, info, fault).await?,
            };
            match outcome {
                None => report.unsettled += 1,
                Some(outcome) => report.findings.push(Finding {
                    sort: fault.sort(),
                    item: format!("token#{}", info.id),
                    what: fault.what().to_owned(),
                    outcome,
                }),
            }
        }
        Ok(())
    }

    /// The settings, the tokens and their rows, as they were together: read twice, with the same result.
    async fn tokens(&self) -> Result<Option<(Settings, Vec<Pair>)>, StoreError> {
        let mut before = self.tokens_once().await?;
        for _ in 0..LOOKS_MAX {
            let after = self.tokens_once().await?;
            if after == before {
                return Ok(Some(after));
            }
            before = after;
        }
        Ok(None)
    }

    async fn tokens_once(&self) -> Result<(Settings, Vec<Pair>), StoreError> {
        let moment = (self.moments)();
        let found = self.store.settings(&moment, self.tenant).await?;
        let (settings, _) = found.ok_or(StoreError::Stale)?;
        let mut pairs = Vec::new();
        for info in self.store.token_infos(&self.cx(&moment)).await? {
            let moment = (self.moments)();
            let grant = self.store.look_up(&moment, &info.digest).await?;
            pairs.push((info, grant));
        }
        Ok((settings, pairs))
    }

    fn fault(&self, settings: &Settings, info: &TokenInfo, grant: Option<&Grant>) -> Option<Fault> {
        let now = (self.moments)().now();
        let Some(grant) = grant else {
            // DynamoDB's TTL takes the rows of dead tokens, and nobody misses them.
            return info.is_alive(now).then_some(Fault::RowMissing);
        };
        if grant.tenant != *self.tenant || grant.token != info.id {
            return Some(Fault::RowForeign);
        }
        if info.revoked.is_some() {
            return grant.revoked.is_none().then_some(Fault::StillOpen);
        }
        // Issuing moves the settings' version and writes it to the new row alone.
        let same = Settings { version: settings.version, ..grant.settings.clone() } == *settings;
        (info.is_alive(now) && !same).then_some(Fault::OldSettings)
    }

    async fn repair_token(
        &self,
        settings: &Settings,
        info: &TokenInfo,
        fault: Fault,
    ) -> Result<Option<Outcome>, StoreError> {
        let moment = (self.moments)();
        let cx = super::Cx { settings, ..self.cx(&moment) };
        let (done, how) = match fault {
            Fault::RowMissing => (
                self.store.forget(&cx, info).await,
                "it was removed; issue another to whoever used it",
            ),
            Fault::StillOpen => (self.store.revoke(&cx, info, None).await, "its row says so now"),
            Fault::OldSettings => (
                self.store.set_status(&cx, settings.status, None).await,
                "the tenant's settings were written to it",
            ),
            Fault::RowForeign => {
                return Ok(Some(Outcome::ByHand("revoke this token and issue another")));
            }
        };
        match done {
            Ok(()) => Ok(Some(Outcome::Repaired(how))),
            Err(StoreError::Stale) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

//! Configuration: read once from a look-up by name, with every problem reported at once.

use std::fmt;
use std::time::Duration;

use crate::limits::{
    JOURNAL_KEPT_DAYS, JOURNAL_KEPT_DAYS_MAX, JOURNAL_KEPT_DAYS_MIN, TENANT_RATE_MIN,
    TOKEN_CACHE_SECONDS_MAX,
};
use crate::store::Tables;

/// What a process needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The names of the tables.
    pub tables: Tables,
    /// The path below which SCIM lives, `/scim/v2` when not said: with a leading slash, without a trailing one.
    pub base_path: String,
    /// `https://host` as clients know it; taken from the request when not said.
    pub public_url: Option<String>,
    /// How long a validated token is remembered.
    pub token_cache: Duration,
    /// Requests per second and tenant; none turns the limiter off.
    pub tenant_rate: Option<u32>,
    /// For how many days an item of the journal is kept.
    pub journal_days: i64,
}

/// What is wrong with the configuration, all of it.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration: {}", self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// The configuration that `look_up` (the environment, in the bins) yields.
    ///
    /// # Errors
    /// Every variable that is missing or cannot be read, in one error.
    pub fn from_lookup(look_up: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut reader = Reader { look_up, problems: Vec::new() };
        let tables = Tables {
            directory: reader.required("DIRECTORY_TABLE"),
            secrets: reader.required("SECRETS_TABLE"),
            journal: reader.required("JOURNAL_TABLE"),
        };
        let base_path = reader.optional("BASE_PATH").unwrap_or_else(|| "/scim/v2".to_owned());
        let public_url = reader.optional("PUBLIC_URL");
        let journal_days = reader.journal_days();
        let cache = reader.number("TOKEN_CACHE_SECONDS", TOKEN_CACHE_SECONDS_MAX);
        if cache > TOKEN_CACHE_SECONDS_MAX {
            reader.problems.push(format!(
                "TOKEN_CACHE_SECONDS is at most {TOKEN_CACHE_SECONDS_MAX}: revoked tokens must stop working within that time"
            ));
        }
        let rate = reader.number("TENANT_RATE", u64::from(TENANT_RATE_MIN));
        if rate != 0 && rate < u64::from(TENANT_RATE_MIN) {
            reader.problems.push(format!(
                "TENANT_RATE is 0 (off) or at least {TENANT_RATE_MIN}: identity providers need 25 requests a second"
            ));
        }
        if public_url.as_ref().is_some_and(|url| !url.starts_with("http")) {
            reader.problems.push("PUBLIC_URL begins with https://".to_owned());
        }
        if !reader.problems.is_empty() {
            return Err(ConfigError(reader.problems));
        }
        Ok(Self {
            tables,
            base_path: normal_path(&base_path),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            token_cache: Duration::from_secs(cache),
            tenant_rate: u32::try_from(rate).ok().filter(|rate| *rate > 0),
            journal_days,
        })
    }
}

struct Reader<F> {
    look_up: F,
    problems: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn optional(&self, name: &str) -> Option<String> {
        (self.look_up)(name).filter(|value| !value.trim().is_empty())
    }

    fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.problems.push(format!("{name} is not set"));
            String::new()
        })
    }

    fn journal_days(&mut self) -> i64 {
        journal_days(self.optional("JOURNAL_DAYS").as_deref()).unwrap_or_else(|problem| {
            self.problems.push(problem);
            JOURNAL_KEPT_DAYS
        })
    }

    fn number(&mut self, name: &str, default: u64) -> u64 {
        let Some(text) = self.optional(name) else { return default };
        text.trim().parse().unwrap_or_else(|_| {
            self.problems.push(format!("{name} must be a whole number"));
            default
        })
    }
}

/// For how many days an item of the journal is kept, from what `JOURNAL_DAYS` says.
///
/// # Errors
/// A sentence, when it is not a number of days that is allowed.
pub fn journal_days(text: Option<&str>) -> Result<i64, String> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(JOURNAL_KEPT_DAYS);
    };
    let days = text.parse().ok();
    days.filter(|days| (JOURNAL_KEPT_DAYS_MIN..=JOURNAL_KEPT_DAYS_MAX).contains(days)).ok_or_else(|| {
        format!(
            "JOURNAL_DAYS is a number of days from {JOURNAL_KEPT_DAYS_MIN} to {JOURNAL_KEPT_DAYS_MAX}"
        )
    })
}

/// A path with one slash before each segment and none at the end.
fn normal_path(path: &str) -> String {
    path.split('/').filter(|segment| !segment.is_empty()).fold(
        String::new(),
        |mut path, segment| {
            path.push('/');
            path.push_str(segment);
            path
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let look_up = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Config::from_lookup(look_up).map_err(|error| error.to_string())
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let error = read(&[
            ("JOURNAL_TABLE", "j"),
            ("TENANT_RATE", "3"),
            ("TOKEN_CACHE_SECONDS", "x"),
            ("JOURNAL_DAYS", "1"),
        ]);
        let error = error.unwrap_err();
        for name in [
            "DIRECTORY_TABLE",
            "SECRETS_TABLE",
            "TENANT_RATE",
            "TOKEN_CACHE_SECONDS",
            "JOURNAL_DAYS",
        ] {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_template() {
        let tables = [("DIRECTORY_TABLE", "d"), ("SECRETS_TABLE", "s"), ("JOURNAL_TABLE", "j")];
        let config = read(&tables).unwrap();
        assert_eq!(config.base_path, "/scim/v2");
        assert_eq!(config.tenant_rate, Some(50));
        assert_eq!(config.token_cache, Duration::from_secs(30));
        assert_eq!(config.journal_days, 400);
        let mut more = tables.to_vec();
        more.extend([("BASE_PATH", "public-api//scim-v2/"), ("TENANT_RATE", "0")]);
        let config = read(&more).unwrap();
        assert_eq!((config.base_path.as_str(), config.tenant_rate), ("/public-api/scim-v2", None));
    }

    #[test]
    fn the_journal_is_kept_for_days_within_bounds() {
        for (text, days) in
            [(None, 400), (Some(" "), 400), (Some("30"), 30), (Some("3650 "), 3_650)]
        {
            assert_eq!(journal_days(text), Ok(days));
        }
        for text in ["29", "3651", "-1", "0", "400 days", "1e3"] {
            let error = journal_days(Some(text)).unwrap_err();
            assert!(error.contains("from 30 to 3650"), "{error}");
        }
    }
}

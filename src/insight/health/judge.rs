//! The judgement: pure.

use std::time::Duration;

use super::journal::made_good;
use super::shares::shares;
use super::{Facts, Finding, Health, Share, Sort, TokenFact, Verdict};
use crate::insight::cycles::{Cycle, CycleKind, Known, cycles, rhythm};
use crate::insight::words::{counted, grouped, percent, plain, second, span};
use crate::limits::{
    HEALTH_DAYS, HEALTH_WINDOW, QUARANTINE_FAILURES, QUARANTINE_FAILURES_ANY, QUARANTINE_PERCENT,
    SILENCE,
};
use crate::moment::Timestamp;
use crate::store::brake::BrakeState;
use crate::store::settings::Status;
use crate::store::traffic::{Sums, Write};

/// Refused requests of a sort that are worth a word, and the share in percent from which they are.
const REFUSED_MIN: u64 = 3;
const REFUSED_PERCENT_MIN: u64 = 10;
/// Requests sent away that are worth a word.
const THROTTLED_MIN: u64 = 10;
/// Days before a token's end at which to speak of it, the first of them without hurry.
const TOKEN_DAYS: [u64; 3] = [60, 30, 7];
/// People from whom on their externalIds say something.
const PEOPLE_MIN: u64 = 10;
/// A silence of so many times what is allowed is an outage.
const OUTAGE: u32 = 4;

/// How it is.
pub fn judge(facts: &Facts) -> Health {
    let slots = made_good(&facts.slots, &facts.changes, &facts.tokens);
    let first = slots.first().map_or(facts.now, |slot| slot.start);
    let known = Known {
        now: facts.now,
        users: facts.users,
        is_from_the_beginning: facts.created >= facts.now.plus_seconds(-HEALTH_DAYS * 86_400)
            || facts.first_person.is_none_or(|person| person >= first),
    };
    let cycles = cycles(&slots, &known);
    let rhythm = rhythm(&cycles);
    let allowed = rhythm.map_or(SILENCE, |rhythm| SILENCE.max(rhythm * 2));
    let day = facts.now.minus(HEALTH_WINDOW);
    let recent = slots.iter().filter(|slot| slot.start >= day);
    let sums = recent.fold(Sums::default(), |sums, slot| sums.plus(&slot.sums));
    let shares = shares(&sums, &facts.changes);
    let (writes, refused) = shares
        .iter()
        .fold((0, 0), |(all, refused), share| (all + share.all, refused + share.refused));
    let mut findings = Vec::new();
    if facts.status == Status::Enabled {
        findings.extend(first_contact(facts, &cycles));
        findings.extend(silence(facts, allowed, rhythm));
        findings.extend(shares.iter().filter_map(|share| failures(share, (writes, refused))));
        findings.extend(throttling(&sums));
        findings.extend(tokens(facts));
        findings.extend(denied(facts));
        findings.extend(external_ids(facts));
    } else {
        findings.push(switched_off(facts.status));
    }
    findings.extend(held(facts));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let verdict = findings.first().map_or(Verdict::Healthy, |finding| finding.verdict);
    Health {
        now: facts.now,
        verdict,
        sentence: sentence(facts, &cycles, &findings),
        findings,
        last_call: facts.last_call,
        last_probe: facts.last_probe,
        last_refusal: facts.last_refusal,
        denied: facts.denied.clone(),
        silence_allowed: allowed,
        rhythm,
        cycles,
        users: facts.users,
        shares,
        writes,
        refused,
        throttled: sums.throttled,
        tokens: facts.tokens.clone(),
        external_ids: facts.external_ids.clone(),
        brake: facts.brake,
    }
}

fn sentence(facts: &Facts, cycles: &[Cycle], findings: &[Finding]) -> String {
    if let Some(worst) = findings.first() {
        return worst.sentence.clone();
    }
    let ago = facts.last_call.map_or_else(String::new, |at| span(facts.now.since(at)));
    let people = counted(facts.users, "person is", "people are");
    let under_way = match cycles.last().filter(|cycle| cycle.is_open) {
        Some(Cycle { kind: CycleKind::Initial | CycleKind::Full, .. }) => {
            " A cycle over everybody is under way."
        }
        Some(_) | None => "",
    };
    format!("Last contact {ago} ago, {people} in the directory.{under_way}")
}

fn finding(sort: Sort, verdict: Verdict, sentence: impl Into<String>) -> Finding {
    Finding { sort, verdict, sentence: sentence.into() }
}

fn switched_off(status: Status) -> Finding {
    let sentence = match status {
        Status::Released => {
            "SCIM was ended for this workspace: its calls are answered 403. To take it up again, enable it and issue a new token."
        }
        Status::Deleting => "This workspace is being deleted.",
        Status::Enabled | Status::Disabled => {
            "Provisioning is switched off here: calls are answered 403, and nobody who leaves is switched off. Enable it again."
        }
    };
    finding(Sort::Status, Verdict::Attention, sentence)
}

fn first_contact(facts: &Facts, cycles: &[Cycle]) -> Option<Finding> {
    let Some(last_call) = facts.last_call else {
        let sentence = "No identity provider has called yet: paste the Tenant URL and the secret token there, and press Test Connection.";
        return Some(finding(Sort::FirstContact, Verdict::Waiting, sentence));
    };
    let only_tests = cycles.iter().all(|cycle| cycle.kind == CycleKind::Test);
    (only_tests && facts.users == 0).then(|| {
        let sentence = format!(
            "The connection was tested {} ago, and nobody was provisioned since: assign people to the application, and press Start provisioning.",
            span(facts.now.since(last_call))
        );
        finding(Sort::FirstContact, Verdict::Waiting, sentence)
    })
}

fn silence(facts: &Facts, allowed: Duration, rhythm: Option<Duration>) -> Option<Finding> {
    let silent = facts.now.since(facts.last_call?);
    if silent <= allowed {
        return None;
    }
    let usual =
        rhythm.map_or_else(String::new, |rhythm| format!(" (usual is every {})", span(rhythm)));
    let verdict = if silent > allowed * OUTAGE { Verdict::AtRisk } else { Verdict::Attention };
    let sentence = format!(
        "No contact for {}{usual}: look in the identity provider whether provisioning is started and not in quarantine, and whether it has a token that is alive.",
        span(silent)
    );
    Some(finding(Sort::Silence, verdict, sentence))
}

fn failures(share: &Share, (writes, all_refused): (u64, u64)) -> Option<Finding> {
    let Share { write, all, refused, reason } = share;
    let share = percent(*refused, *all);
    if *refused < REFUSED_MIN || share < REFUSED_PERCENT_MIN {
        return None;
    }
    // Half of the way there is the time to say so.
    let is_near = (percent(all_refused, writes) > QUARANTINE_PERCENT
        && all_refused * 2 >= QUARANTINE_FAILURES)
        || all_refused * 2 >= QUARANTINE_FAILURES_ANY;
    let because = reason.as_ref().map_or_else(String::new, |reason| {
        format!(" because: {}", reason.detail.trim_end_matches('.'))
    });
    let sentence = format!(
        "{share} % of {} are refused ({} of {} within a day){because}. Entra quarantines above {QUARANTINE_PERCENT} % once {} have failed; {} of all requests that change something have, so far. The log names the people: correct the mapping, or them.",
        many(*write),
        grouped(*refused),
        grouped(*all),
        grouped(QUARANTINE_FAILURES),
        grouped(all_refused),
    );
    let verdict = if is_near { Verdict::AtRisk } else { Verdict::Attention };
    Some(finding(Sort::Failures, verdict, sentence))
}

fn many(write: Write) -> &'static str {
    match write {
        Write::Post => "POSTs",
        Write::Patch => "PATCHes",
        Write::Put => "PUTs",
        Write::Delete => "DELETEs",
    }
}

fn throttling(sums: &Sums) -> Option<Finding> {
    let all = sums.people + sums.groups + sums.probes + sums.writes().0 + sums.throttled;
    (sums.throttled >= THROTTLED_MIN && percent(sums.throttled, all) >= 1).then(|| {
        let sentence = format!(
            "{} within a day were sent away because too many came at once (429) or the directory was busy (503). They come again; if it goes on, raise the stack's TenantRate, or look at its alarms.",
            counted(sums.throttled, "request", "requests")
        );
        finding(Sort::Throttling, Verdict::Attention, sentence)
    })
}

/// A token that ends soon matters unless another one, which lives longer, is used instead.
fn tokens(facts: &Facts) -> Vec<Finding> {
    let alive: Vec<&TokenFact> =
        facts.tokens.iter().filter(|token| token.is_alive(facts.now)).collect();
    if alive.is_empty() {
        let sentence = "No secret token is alive: every call is answered 401. Issue one, and paste it into the identity provider.";
        return vec![finding(Sort::Tokens, Verdict::AtRisk, sentence)];
    }
    let is_replaced = |token: &TokenFact| {
        alive.iter().any(|other| {
            other.valid_until > token.valid_until
                && other.last_used.is_some()
                && other.last_used >= token.last_used
        })
    };
    let ending = alive.iter().filter(|token| !is_replaced(token));
    ending.filter_map(|token| token_ends(token, facts.now)).collect()
}

fn token_ends(token: &TokenFact, now: Timestamp) -> Option<Finding> {
    let left = token.valid_until.since(now);
    let days = left.as_secs() / 86_400;
    let [first, _, last] = TOKEN_DAYS;
    // One that was made for some days is not spoken of from its first hour on.
    let is_young = now.since(token.created) < left;
    if days >= first || is_young {
        return None;
    }
    let within = TOKEN_DAYS.into_iter().rev().find(|bound| days < *bound).unwrap_or(first);
    let verdict = if within == last { Verdict::AtRisk } else { Verdict::Attention };
    let sentence = format!(
        "The token \"{}\" expires in {}, on {}: issue another, replace it in the identity provider, and revoke this one when it is no longer used.",
        plain(&token.label),
        span(left),
        second(token.valid_until)
    );
    Some(finding(Sort::Tokens, verdict, sentence))
}

fn denied(facts: &Facts) -> Option<Finding> {
    let denied = facts.denied.as_ref()?;
    let label = facts.tokens.iter().find(|token| token.id == denied.token);
    let label = label.map_or(denied.token.as_str(), |token| token.label.as_str());
    let why = denied.why.as_deref().map_or_else(String::new, |why| format!(" ({})", plain(why)));
    let is_last = facts.last_call.is_none_or(|call| call < denied.at);
    let told = format!("The token \"{}\" was refused at {}{why}", plain(label), second(denied.at));
    if is_last {
        let sentence = format!(
            "{told}, and nothing has come with another one since: paste a token that is alive into the identity provider."
        );
        return Some(finding(Sort::Denied, Verdict::AtRisk, sentence));
    }
    (facts.now.since(denied.at) < HEALTH_WINDOW).then(|| {
        let sentence =
            format!("{told}; calls come with another one. Find out who still uses the old one.");
        finding(Sort::Denied, Verdict::Attention, sentence)
    })
}

fn held(facts: &Facts) -> Option<Finding> {
    let BrakeState { held, since, decision, .. } = facts.brake;
    if held == 0 {
        return None;
    }
    let since = since.map_or_else(String::new, |at| {
        format!(" since {} ({})", second(at), span(facts.now.since(at)))
    });
    let changes = counted(held, "change is", "changes are");
    let todo = match decision {
        Some(decision) => {
            format!("to {} them is decided, and done within minutes", decision.word())
        }
        None => {
            "look at them, then release them, or put the identity provider right and reject them"
                .to_owned()
        }
    };
    let sentence =
        format!("{changes} held back from the app by the brake on mass changes{since}: {todo}.");
    Some(finding(Sort::Held, Verdict::AtRisk, sentence))
}

fn external_ids(facts: &Facts) -> Option<Finding> {
    let seen = &facts.external_ids;
    if seen.people < PEOPLE_MIN || seen.names * 2 <= seen.people {
        return None;
    }
    let example = seen
        .example
        .as_deref()
        .map_or_else(String::new, |id| format!(", such as \"{}\"", plain(id)));
    let sentence = format!(
        "The externalIds do not look like object ids ({} of the first {}{example}): map externalId to objectId in the identity provider, and restart provisioning. A name changes, and then a person comes a second time.",
        grouped(seen.names),
        counted(seen.people, "person", "people"),
    );
    Some(finding(Sort::ExternalIds, Verdict::Attention, sentence))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::super::{ExternalIds, TokenFact};
    use super::*;
    use crate::store::feed::Change;
    use crate::store::traffic::{Denied, Slot};

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-21T12:00:00Z").unwrap()
    }

    fn ago(minutes: i64) -> Timestamp {
        now().plus_seconds(-minutes * 60)
    }

    /// A healthy one: a week of cycles each 40 minutes, after an initial one.
    fn facts() -> Facts {
        let slot = |cycle: i64| Slot {
            start: ago(40 * cycle + 10),
            sums: Sums { people: 12, probes: 2, patches: 10, ..Sums::default() },
        };
        let token = TokenFact {
            id: "t1".to_owned(),
            label: "entra".to_owned(),
            created: ago(60 * 24 * 90),
            valid_until: now().plus_seconds(300 * 86_400),
            revoked: None,
            last_used: Some(ago(12)),
        };
        Facts {
            now: now(),
            status: Status::Enabled,
            created: ago(60 * 24 * 90),
            last_call: Some(ago(12)),
            last_probe: Some(ago(12)),
            last_refusal: None,
            denied: None,
            users: 40,
            first_person: Some(ago(60 * 24 * 90)),
            slots: (0..100).rev().map(slot).collect(),
            tokens: vec![token],
            changes: Vec::new(),
            external_ids: ExternalIds { people: 40, object_ids: 40, ..ExternalIds::default() },
            brake: BrakeState::default(),
        }
    }

    fn check(change: impl FnOnce(&mut Facts), expected: &Expect) {
        let mut facts = facts();
        change(&mut facts);
        let health = judge(&facts);
        let findings = health.findings.iter().map(|finding| {
            let (sort, verdict) = (finding.sort.word(), finding.verdict.word());
            format!("{sort} ({verdict}): {}\n", finding.sentence)
        });
        let head = format!("{}\n", health.verdict.word());
        let healthy = (health.findings.is_empty()).then(|| format!("{}\n", health.sentence));
        let told: String = findings.chain(healthy).collect();
        expected.assert_eq(&(head + &told));
    }

    #[test]
    fn who_is_well_is_told_so() {
        check(
            |_| (),
            &expect![[r#"
            healthy
            Last contact 12 minutes ago, 40 people are in the directory.
        "#]],
        );
        check(
            |facts| {
                facts
                    .slots
                    .push(Slot { start: ago(0), sums: Sums { people: 36, ..Sums::default() } });
            },
            &expect![[r#"
                healthy
                Last contact 12 minutes ago, 40 people are in the directory. A cycle over everybody is under way.
            "#]],
        );
    }

    #[test]
    fn the_first_contact_is_waited_for() {
        let begin = |facts: &mut Facts| {
            (facts.users, facts.first_person, facts.slots) = (0, None, Vec::new());
            facts.external_ids = ExternalIds::default();
        };
        check(
            |facts| {
                begin(facts);
                facts.last_call = None;
            },
            &expect![[r#"
                waiting for first contact
                first-contact (waiting for first contact): No identity provider has called yet: paste the Tenant URL and the secret token there, and press Test Connection.
            "#]],
        );
        check(
            |facts| {
                begin(facts);
                let sums = Sums { probes: 3, ..Sums::default() };
                facts.slots = vec![Slot { start: ago(20), sums }];
            },
            &expect![[r#"
                waiting for first contact
                first-contact (waiting for first contact): The connection was tested 12 minutes ago, and nobody was provisioned since: assign people to the application, and press Start provisioning.
            "#]],
        );
    }

    #[test]
    fn silence_is_measured_by_the_tenants_own_rhythm() {
        check(
            |facts| facts.last_call = Some(ago(359)),
            &expect![[r#"
            healthy
            Last contact 5 hours ago, 40 people are in the directory.
        "#]],
        );
        check(
            |facts| facts.last_call = Some(ago(7 * 60 + 5)),
            &expect![[r#"
            attention
            silence (attention): No contact for 7 hours (usual is every 40 minutes): look in the identity provider whether provisioning is started and not in quarantine, and whether it has a token that is alive.
        "#]],
        );
        check(
            |facts| facts.last_call = Some(ago(60 * 49)),
            &expect![[r#"
            at risk
            silence (at risk): No contact for 2 days (usual is every 40 minutes): look in the identity provider whether provisioning is started and not in quarantine, and whether it has a token that is alive.
        "#]],
        );
        check(
            |facts| {
                facts.slots.retain(|slot| slot.start.since(ago(10_000)).as_secs() % 28_800 < 2_400);
                facts.last_call = Some(ago(10 * 60));
            },
            &expect![[r#"
                healthy
                Last contact 10 hours ago, 40 people are in the directory.
            "#]],
        );
    }

    #[test]
    fn refusals_are_measured_by_entras_rules() {
        let refuse = |facts: &mut Facts, all: u64, refused: u64, others: u64| {
            let Value::Object(attributes) = json!({
                "events": ["misc:refused"], "method": "PATCH", "status": 400,
                "detail": "operation 1: emails: a number arrived where a text belongs."
            }) else {
                panic!("an object")
            };
            let change = Change { at: uuid::Uuid::nil(), attributes };
            facts.changes = vec![change; usize::try_from(refused.min(4)).unwrap()];
            facts.slots = vec![Slot {
                start: ago(10),
                sums: Sums {
                    patches: all,
                    refused_patches: refused,
                    posts: others,
                    ..Sums::default()
                },
            }];
        };
        check(
            |facts| refuse(facts, 50, 23, 0),
            &expect![[r#"
            attention
            failures (attention): 46 % of PATCHes are refused (23 of 50 within a day) because: operation 1: emails: a number arrived where a text belongs. Entra quarantines above 40 % once 5,000 have failed; 23 of all requests that change something have, so far. The log names the people: correct the mapping, or them.
        "#]],
        );
        check(
            |facts| refuse(facts, 6_000, 2_760, 0),
            &expect![[r#"
            at risk
            failures (at risk): 46 % of PATCHes are refused (2,760 of 6,000 within a day) because: operation 1: emails: a number arrived where a text belongs. Entra quarantines above 40 % once 5,000 have failed; 2,760 of all requests that change something have, so far. The log names the people: correct the mapping, or them.
        "#]],
        );
        check(
            |facts| refuse(facts, 6_000, 2_760, 5_000),
            &expect![[r#"
            attention
            failures (attention): 46 % of PATCHes are refused (2,760 of 6,000 within a day) because: operation 1: emails: a number arrived where a text belongs. Entra quarantines above 40 % once 5,000 have failed; 2,760 of all requests that change something have, so far. The log names the people: correct the mapping, or them.
        "#]],
        );
        check(
            |facts| refuse(facts, 1_000, 90, 0),
            &expect![[r#"
            healthy
            Last contact 12 minutes ago, 40 people are in the directory.
        "#]],
        );
        check(
            |facts| refuse(facts, 2, 2, 0),
            &expect![[r#"
            healthy
            Last contact 12 minutes ago, 40 people are in the directory.
        "#]],
        );
        check(
            |facts| facts.slots.iter_mut().for_each(|slot| slot.sums.throttled = 3),
            &expect![[r#"
                attention
                throttling (attention): 108 requests within a day were sent away because too many came at once (429) or the directory was busy (503). They come again; if it goes on, raise the stack's TenantRate, or look at its alarms.
            "#]],
        );
    }

    #[test]
    fn tokens_are_spoken_of_in_time() {
        let days = |days: i64| now().plus_seconds(days * 86_400 + 3_600);
        check(
            |facts| facts.tokens[0].valid_until = days(60),
            &expect![[r#"
            healthy
            Last contact 12 minutes ago, 40 people are in the directory.
        "#]],
        );
        check(
            |facts| facts.tokens[0].valid_until = days(59),
            &expect![[r#"
            attention
            tokens (attention): The token "entra" expires in 59 days, on 2027-01-19 13:00:00: issue another, replace it in the identity provider, and revoke this one when it is no longer used.
        "#]],
        );
        check(
            |facts| facts.tokens[0].valid_until = days(6),
            &expect![[r#"
            at risk
            tokens (at risk): The token "entra" expires in 6 days, on 2026-11-27 13:00:00: issue another, replace it in the identity provider, and revoke this one when it is no longer used.
        "#]],
        );
        check(
            |facts| facts.tokens[0].revoked = Some(ago(5)),
            &expect![[r#"
            at risk
            tokens (at risk): No secret token is alive: every call is answered 401. Issue one, and paste it into the identity provider.
        "#]],
        );
        check(
            |facts| {
                facts.tokens[0].valid_until = days(5);
                let mut new = facts.tokens[0].clone();
                (new.label, new.valid_until) = ("new".to_owned(), days(300));
                facts.tokens[0].last_used = Some(ago(600));
                facts.tokens.push(new);
            },
            &expect![[r#"
                healthy
                Last contact 12 minutes ago, 40 people are in the directory.
            "#]],
        );
        check(
            |facts| (facts.tokens[0].created, facts.tokens[0].valid_until) = (ago(60), days(6)),
            &expect![[r#"
                healthy
                Last contact 12 minutes ago, 40 people are in the directory.
            "#]],
        );
    }

    #[test]
    fn a_dead_token_is_told_while_it_matters() {
        let denied = |facts: &mut Facts, at: i64| {
            let why = Some("it was revoked".to_owned());
            facts.denied = Some(Denied { at: ago(at), token: "t1".to_owned(), why });
        };
        check(
            |facts| denied(facts, 5),
            &expect![[r#"
            at risk
            denied (at risk): The token "entra" was refused at 2026-11-21 11:55:00 (it was revoked), and nothing has come with another one since: paste a token that is alive into the identity provider.
        "#]],
        );
        check(
            |facts| denied(facts, 30),
            &expect![[r#"
            attention
            denied (attention): The token "entra" was refused at 2026-11-21 11:30:00 (it was revoked); calls come with another one. Find out who still uses the old one.
        "#]],
        );
        check(
            |facts| denied(facts, 30 * 60),
            &expect![[r#"
            healthy
            Last contact 12 minutes ago, 40 people are in the directory.
        "#]],
        );
    }

    #[test]
    fn names_instead_of_ids_and_closed_doors_are_told() {
        check(
            |facts| {
                facts.external_ids = ExternalIds {
                    people: 12,
                    names: 10,
                    object_ids: 2,
                    example: Some("ida\u{1b}[2J".to_owned()),
                    ..ExternalIds::default()
                };
            },
            &expect![[r#"
                attention
                external-ids (attention): The externalIds do not look like object ids (10 of the first 12 people, such as "ida\u{1b}[2J"): map externalId to objectId in the identity provider, and restart provisioning. A name changes, and then a person comes a second time.
            "#]],
        );
        check(
            |facts| facts.status = Status::Disabled,
            &expect![[r#"
            attention
            status (attention): Provisioning is switched off here: calls are answered 403, and nobody who leaves is switched off. Enable it again.
        "#]],
        );
        check(
            |facts| facts.status = Status::Released,
            &expect![[r#"
            attention
            status (attention): SCIM was ended for this workspace: its calls are answered 403. To take it up again, enable it and issue a new token.
        "#]],
        );
    }
}

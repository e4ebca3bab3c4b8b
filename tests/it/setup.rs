//! Workspace settings without their pages: setup links and sessions, the sign-in, SCIM switched on and off, what becomes of
//! tokens; and that no secret opens what another one opens.

use std::time::Duration;

use scim_endpoint::admin::portal::{
    self, IssuedLink, LinkLife, LinkState, Opened, Opening, SamlFirst, Session,
};
use scim_endpoint::admin::tokens::{Life, State};
use scim_endpoint::admin::{AdminError, delete, saml, tenants, tokens};
use scim_endpoint::auth::{LinkSecret, SessionSecret, TokenSecret};
use scim_endpoint::limits::{LINKS_MAX, SESSION_LIFE_HOURS};
use scim_endpoint::local::Pages;
use scim_endpoint::saml::{Allowed, Metadata};
use scim_endpoint::store::portal::SamlState;
use scim_endpoint::store::settings::Status;
use scim_endpoint::store::tokens::Why;
use scim_endpoint::store::{Settings, TenantId};
use serde_json::Value;

use crate::app::App;
use crate::cli::{Scratch, Server};
use crate::proxy::{Conflicts, Proxy, Step};
use crate::whole::{Item, journal, number, partition, string};

const DAY: Duration = Duration::from_hours(24);
const DOCUMENT: &str = include_str!("../saml/metadata.xml");

async fn link_for(app: &App, tenant: &TenantId, life: &str) -> IssuedLink {
    let what = ("ida's admin", LinkLife::parse(life).unwrap());
    portal::issue_link(app.store(), &app.moment(), (tenant, "scimctl"), what).await.unwrap()
}

async fn link(app: &App) -> IssuedLink {
    link_for(app, &app.tenant(), "7d").await
}

async fn opening(app: &App, text: &str) -> Opening {
    portal::open(app.store(), &app.moment(), text).await.unwrap()
}

async fn open(app: &App, link: &IssuedLink) -> Opened {
    match opening(app, link.secret.reveal()).await {
        Opening::Opened(opened) => opened,
        other @ (Opening::Not(_) | Opening::Unknown) => panic!("{other:?}"),
    }
}

async fn session(app: &App, text: &str) -> Option<Session> {
    portal::session(app.store(), &app.moment(), text).await.unwrap()
}

async fn state(app: &App, link: &IssuedLink) -> Option<LinkState> {
    let found = portal::look(app.store(), &app.moment(), link.secret.reveal()).await.unwrap();
    found.map(|found| found.state)
}

/// What a link that opens nothing says of itself when it is opened all the same.
async fn refused(app: &App, link: &IssuedLink) -> Option<LinkState> {
    match opening(app, link.secret.reveal()).await {
        Opening::Not(found) => Some(found.state),
        Opening::Unknown => None,
        Opening::Opened(opened) => panic!("{opened:?}"),
    }
}

/// The journal's items about the tenant itself: event, what it is about, who did it.
async fn told(app: &App) -> Vec<(String, String, String)> {
    let items = journal(app).await;
    let of_tenant = items.values().filter(|item| string(item, "kind") == "Tenant");
    let event = |item: &Item| item["events"].as_l().unwrap()[0].as_s().unwrap().clone();
    let about = |item: &Item| item.get("about").map_or("", |v| v.as_s().unwrap()).to_owned();
    of_tenant.map(|item| (event(item), about(item), string(item, "actor"))).collect()
}

async fn status(app: &App) -> Status {
    let (settings, _) = app.store().settings(&app.moment(), &app.tenant()).await.unwrap().unwrap();
    settings.status
}

fn metadata(app: &App) -> Metadata {
    let now = app.moment().now();
    scim_endpoint::saml::read(DOCUMENT.as_bytes(), now, &Allowed::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setup_link_is_exchanged_once_for_a_session_of_a_working_day() {
    let app = App::start().await;
    let link = link(&app).await;
    // As often as mail scanners like.
    for _ in 0..3 {
        assert_eq!(state(&app, &link).await, Some(LinkState::Open));
    }
    let opened = open(&app, &link).await;
    assert_eq!(opened.tenant, app.tenant());
    let found = session(&app, opened.secret.reveal()).await.unwrap();
    assert_eq!((found.tenant(), found.link()), (&app.tenant(), link.id.as_str()));
    assert_eq!(found.actor(), format!("portal:{}", link.id));
    assert!(found.is_own_form(found.csrf()) && found.csrf().len() == 52);
    for other in ["", "x", &found.csrf()[1..], opened.secret.reveal()] {
        assert!(!found.is_own_form(other));
    }

    assert_eq!(state(&app, &link).await, Some(LinkState::Used));
    assert_eq!(refused(&app, &link).await, Some(LinkState::Used));
    let listed = portal::links(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    assert_eq!((listed[0].state, listed.len()), (LinkState::Used, 1));
    assert_eq!(listed[0].session_until, Some(opened.valid_until));

    let minutes = u64::try_from(SESSION_LIFE_HOURS).unwrap() * 60;
    app.clock().advance(Duration::from_mins(minutes - 5));
    assert!(session(&app, opened.secret.reveal()).await.is_some());
    app.clock().advance(Duration::from_mins(5));
    assert!(session(&app, opened.secret.reveal()).await.is_none());
    let listed = portal::links(app.store(), &app.moment(), &app.tenant()).await.unwrap();
    assert_eq!(listed[0].session_until, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_stored_or_told_twice() {
    let app = App::start().await;
    let link = link(&app).await;
    let opened = open(&app, &link).await;
    let everything = format!("{:?}{:?}", partition(&app).await, journal(&app).await);
    for secret in [link.secret.reveal(), opened.secret.reveal()] {
        assert!(!everything.contains(secret));
        assert!(!format!("{link:?}{opened:?}").contains(secret));
    }
    assert!(everything.contains(&link.secret.digest()));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_opens_what_another_sort_opens() {
    let app = App::start().await;
    let link = link(&app).await;
    let opened = open(&app, &link).await;
    let (store, moment) = (app.store(), app.moment());
    let token = TokenSecret::parse(&app.token()).unwrap();
    let digests = [link.secret.digest(), opened.secret.digest(), token.digest()];
    // SCIM: by the text, and by the digest of whatever is in the secrets table.
    for text in [link.secret.reveal(), opened.secret.reveal()] {
        let told = app.call_as(text, "GET", "/Users", Value::Null).await.expect(401).json();
        assert!(told["detail"].as_str().unwrap().contains("not valid"), "{told}");
    }
    let [of_link, of_session, of_token] = &digests;
    for digest in [of_link, of_session] {
        assert_eq!(store.look_up(&moment, digest).await.unwrap(), None);
    }
    assert!(store.look_up(&moment, of_token).await.unwrap().is_some());
    // The portal: the same, both ways.
    for digest in [of_token, of_session] {
        assert_eq!(store.look_up_link(&moment, digest).await.unwrap(), None);
    }
    for digest in [of_token, of_link] {
        assert_eq!(store.look_up_session(&moment, digest).await.unwrap(), None);
    }
    for text in [app.token().as_str(), opened.secret.reveal()] {
        assert!(matches!(opening(&app, text).await, Opening::Unknown));
        assert!(portal::look(store, &moment, text).await.unwrap().is_none());
    }
    for text in [app.token().as_str(), link.secret.reveal()] {
        assert!(session(&app, text).await.is_none());
    }
    // The same random bits behind the other word.
    let (_, bits) = link.secret.reveal().split_once('_').unwrap();
    assert!(session(&app, &format!("scimsession_{bits}")).await.is_none());
    app.call_as(&format!("scim_{bits}"), "GET", "/Users", Value::Null).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_opens_nothing_says_why() {
    let app = App::start().await;
    let (store, moment, tenant) = (app.store(), app.moment(), app.tenant());
    // Forged: well-formed, and nobody's.
    let forged = LinkSecret::mint(&app.moment());
    assert!(matches!(opening(&app, forged.reveal()).await, Opening::Unknown));
    let forged = SessionSecret::mint(&app.moment());
    assert!(session(&app, forged.reveal()).await.is_none());
    for text in ["", "scimlink_", "ü", &"a".repeat(100_000)] {
        assert!(matches!(opening(&app, text).await, Opening::Unknown));
        assert!(session(&app, text).await.is_none());
    }

    let revoked = link(&app).await;
    let by = (&tenant, "scimctl");
    portal::revoke_link(store, &moment, by, &revoked.id).await.unwrap();
    portal::revoke_link(store, &moment, by, &revoked.id).await.unwrap();
    assert_eq!(state(&app, &revoked).await, Some(LinkState::Revoked));
    assert_eq!(refused(&app, &revoked).await, Some(LinkState::Revoked));

    let short = link_for(&app, &tenant, "45m").await;
    app.clock().advance(Duration::from_mins(44));
    assert_eq!(state(&app, &short).await, Some(LinkState::Open));
    app.clock().advance(Duration::from_mins(1));
    assert_eq!(state(&app, &short).await, Some(LinkState::Expired));
    assert_eq!(refused(&app, &short).await, Some(LinkState::Expired));

    // Another tenant's link leads to that tenant alone, and cannot be revoked from here.
    let other = TenantId::parse("globex").unwrap();
    let foreign = link_for(&app, &other, "7d").await;
    let error = portal::revoke_link(store, &moment, by, &foreign.id).await.unwrap_err();
    assert!(matches!(error, AdminError::NoLink(..)), "{error}");
    assert!(error.to_string().contains("scimctl portal links acme"), "{error}");
    let opened = open(&app, &foreign).await;
    assert_eq!(session(&app, opened.secret.reveal()).await.unwrap().tenant(), &other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_link_and_an_ended_session_open_nothing_more() {
    let app = App::start().await;
    let (first, second) = (link(&app).await, link(&app).await);
    let (one, two) = (open(&app, &first).await, open(&app, &second).await);
    let (store, tenant) = (app.store(), app.tenant());
    portal::revoke_link(store, &app.moment(), (&tenant, "scimctl"), &first.id).await.unwrap();
    assert!(session(&app, one.secret.reveal()).await.is_none());
    assert_eq!(state(&app, &first).await, Some(LinkState::Revoked));

    let found = session(&app, two.secret.reveal()).await.unwrap();
    portal::end(store, &app.moment(), &found).await.unwrap();
    assert!(session(&app, two.secret.reveal()).await.is_none());
    assert_eq!(refused(&app, &second).await, Some(LinkState::Used), "it is used up all the same");
    let listed = portal::links(store, &app.moment(), &tenant).await.unwrap();
    assert!(listed.iter().all(|link| link.session_until.is_none()), "{listed:?}");

    // A session that is long over does not keep its link from being revoked.
    let third = link(&app).await;
    open(&app, &third).await;
    app.clock().advance(DAY * 3);
    portal::revoke_link(store, &app.moment(), (&tenant, "scimctl"), &third.id).await.unwrap();
    assert_eq!(state(&app, &third).await, Some(LinkState::Revoked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_cannot_be_read_ends_a_session_as_well() {
    let app = App::start().await;
    let opened = open(&app, &link(&app).await).await;
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    let (client, table) = (crate::whole::client(&app), &app.store().tables().secrets);
    let row = client.get_item().table_name(table).key("digest", text(&opened.secret.digest()));
    let mut row = row.send().await.unwrap().item.expect("its row");
    assert!(session(&app, opened.secret.reveal()).await.is_some());
    row.insert("ended".to_owned(), text("soon"));
    client.put_item().table_name(table).set_item(Some(row)).send().await.unwrap();
    assert!(session(&app, opened.secret.reveal()).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_open_a_link_at_once_one_does() {
    let app = App::start().await;
    let link = link(&app).await;
    let text = link.secret.reveal();
    let (one, two, three) =
        tokio::join!(opening(&app, text), opening(&app, text), opening(&app, text));
    let opened = [&one, &two, &three];
    let opened = opened.into_iter().filter(|o| matches!(o, Opening::Opened(_))).count();
    assert_eq!(opened, 1, "{one:?} {two:?} {three:?}");
    let told = told(&app).await;
    assert_eq!(told.iter().filter(|(event, ..)| event == "portal:link-opened").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_does_not_lose_the_session() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let link = link(&app).await;
    proxy.script("TransactWriteItems", [Step::Conflict, Step::LoseAnswer]);
    let opened = open(&app, &link).await;
    assert!(session(&app, opened.secret.reveal()).await.is_some());
    let other = self::link(&app).await;
    proxy.script("TransactWriteItems", [Step::Refuse("AccessDeniedException")]);
    portal::open(app.store(), &app.moment(), other.secret.reveal()).await.unwrap_err();
    assert_eq!(state(&app, &other).await, Some(LinkState::Open), "nothing is half done");
    open(&app, &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_so_many_links_that_are_open_or_in_use() {
    let app = App::start().await;
    let tenant = app.tenant();
    let first = link(&app).await;
    open(&app, &first).await;
    for _ in 1..LINKS_MAX {
        link(&app).await;
    }
    let what = || ("one more", LinkLife::default());
    let by = (&tenant, "scimctl");
    let error = portal::issue_link(app.store(), &app.moment(), by, what()).await.unwrap_err();
    assert!(matches!(error, AdminError::TooManyLinks(_)), "{error}");
    portal::revoke_link(app.store(), &app.moment(), by, &first.id).await.unwrap();
    link(&app).await;
    let what = ("a\nb", LinkLife::default());
    let error = portal::issue_link(app.store(), &app.moment(), by, what).await.unwrap_err();
    assert!(matches!(error, AdminError::Label), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_does_not_open_a_later_tenant_of_the_same_name() {
    let app = App::start().await;
    let (unopened, used) = (link(&app).await, link(&app).await);
    let opened = open(&app, &used).await;
    let tenant = app.tenant();
    let moments = || app.moment();
    delete::delete(app.store(), &moments, &tenant, Duration::ZERO, &mut |_| {}).await.unwrap();
    assert!(partition(&app).await.is_empty());
    assert_eq!((state(&app, &unopened).await, state(&app, &used).await), (None, None));
    app.create_tenant(&tenant, &Settings::default()).await;
    assert_eq!((refused(&app, &unopened).await, refused(&app, &used).await), (None, None));
    assert!(session(&app, opened.secret.reveal()).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_goes_with_links_of_which_dynamodb_has_taken_rows_already() {
    let app = App::start().await;
    let tenant = app.tenant();
    let (client, table) = (crate::whole::client(&app), &app.store().tables().secrets);
    let row = |digest: String| {
        let digest = aws_sdk_dynamodb::types::AttributeValue::S(digest);
        Some(std::collections::HashMap::from([("digest".to_owned(), digest)]))
    };
    let taken = [(true, false), (false, true), (true, true), (false, false)];
    let mut rows = Vec::new();
    for (is_link_taken, is_session_taken) in taken {
        let link = link(&app).await;
        let opened = open(&app, &link).await;
        let (link, session) = (link.secret.digest(), opened.secret.digest());
        for (digest, is_taken) in [(link, is_link_taken), (session, is_session_taken)] {
            rows.push(digest.clone());
            let taking = client.delete_item().table_name(table).set_key(row(digest));
            if is_taken {
                taking.send().await.unwrap();
            }
        }
    }
    let moments = || app.moment();
    delete::delete(app.store(), &moments, &tenant, Duration::ZERO, &mut |_| {}).await.unwrap();
    assert!(partition(&app).await.is_empty());
    for digest in rows {
        let look = client.get_item().table_name(table).set_key(row(digest)).send();
        assert_eq!(look.await.unwrap().item, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_people_reach_the_deployment_is_kept_as_it_was_said_last() {
    let app = App::start().await;
    let (store, moment) = (app.store(), app.moment());
    assert_eq!(store.public_url(&moment).await.unwrap(), None);
    for url in ["https://one.test", "https://one.test", "https://two.test"] {
        store.set_public_url(&moment, url).await.unwrap();
        assert_eq!(store.public_url(&moment).await.unwrap().as_deref(), Some(url));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_tenant_is_being_deleted_nothing_opens_it() {
    let app = App::start().await;
    let (unopened, used) = (link(&app).await, link(&app).await);
    let opened = open(&app, &used).await;
    let tenant = app.tenant();
    let (settings, _) = app.store().settings(&app.moment(), &tenant).await.unwrap().unwrap();
    let moment = app.moment();
    let cx = scim_endpoint::store::Cx {
        tenant: &tenant,
        settings: &settings,
        actor: "test",
        moment: &moment,
    };
    app.store().set_status(&cx, Status::Deleting, None).await.unwrap();
    assert_eq!((state(&app, &unopened).await, refused(&app, &unopened).await), (None, None));
    assert!(session(&app, opened.secret.reveal()).await.is_none());
    let what = ("late", LinkLife::default());
    let error = portal::issue_link(app.store(), &moment, (&tenant, "scimctl"), what).await;
    assert!(matches!(error.unwrap_err(), AdminError::BeingDeleted(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn scim_is_switched_on_when_the_sign_in_is_set_up() {
    let app = App::start().await;
    let (store, tenant) = (app.store(), TenantId::parse("initech").unwrap());
    assert!(tenants::prepare(store, &app.moment(), &tenant).await.unwrap());
    assert!(!tenants::prepare(store, &app.moment(), &tenant).await.unwrap());
    let by = (&tenant, "portal:l1");
    let show = async || tenants::show(store, &app.moment(), &tenant).await.unwrap();
    assert_eq!(
        (show().await.settings.status, show().await.saml.state),
        (Status::Disabled, SamlState::None)
    );
    let token =
        tokens::issue_as(store, &app.moment(), by, ("Entra", Life::days(365))).await.unwrap();
    app.call_as(token.secret.reveal(), "GET", "/Users", Value::Null).await.expect(403);

    let enable = async |first| portal::enable(store, &app.moment(), by, first).await;
    let error = enable(SamlFirst::Required).await.unwrap_err();
    assert!(error.to_string().contains("scimctl tenant saml initech"), "{error}");
    saml::describe(store, &app.moment(), by, &metadata(&app)).await.unwrap();
    enable(SamlFirst::Required).await.unwrap();
    enable(SamlFirst::Required).await.unwrap();
    app.call_as(token.secret.reveal(), "GET", "/Users", Value::Null).await.expect(200);
    portal::disable(store, &app.moment(), by).await.unwrap();
    app.call_as(token.secret.reveal(), "GET", "/Users", Value::Null).await.expect(403);

    saml::clear(store, &app.moment(), by).await.unwrap();
    enable(SamlFirst::Required).await.unwrap_err();
    enable(SamlFirst::NotRequired).await.unwrap();
    saml::external(store, &app.moment(), by).await.unwrap();
    enable(SamlFirst::Required).await.unwrap();
    // What the team has ended, the team takes up again.
    scim_endpoint::admin::release::release(store, &app.moment(), &tenant).await.unwrap();
    let error = enable(SamlFirst::NotRequired).await.unwrap_err();
    assert!(matches!(error, AdminError::Released(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_the_sign_in_goes_from_described_to_seen() {
    let app = App::start().await;
    let (store, tenant, read) = (app.store(), app.tenant(), metadata(&app));
    let by = (&tenant, "scimctl");
    let after = saml::describe(store, &app.moment(), by, &read).await.unwrap();
    assert_eq!((after.state, after.seen_at), (SamlState::Described, None));
    assert_eq!(after.entity_id.as_deref(), Some(read.entity_id.as_str()));
    assert_eq!(after.sso_url.as_deref(), Some(read.sso_url.as_str()));
    assert_eq!(after.certificate_ends, Some(read.certificate_ends));
    assert_eq!(after.certificates.len(), 2);
    let kept = async || tenants::show(store, &app.moment(), &tenant).await.unwrap().saml;
    assert_eq!(kept().await, after);

    let seen = saml::seen(store, &app.moment(), by).await.unwrap();
    assert_eq!(seen.state, SamlState::Seen);
    let before = journal(&app).await.len();
    app.clock().advance(DAY);
    assert_eq!(saml::seen(store, &app.moment(), by).await.unwrap(), seen, "the first one counts");
    let again = saml::describe(store, &app.moment(), by, &read).await.unwrap();
    assert_eq!(again.seen_at, seen.seen_at, "the same file changes nothing");
    assert_eq!(journal(&app).await.len(), before);

    // New certificates of the same directory keep it; another directory has to show itself.
    let renewed = Metadata { certificates: read.certificates[1..].to_vec(), ..read.clone() };
    let after = saml::describe(store, &app.moment(), by, &renewed).await.unwrap();
    assert_eq!((after.state, after.certificates.len()), (SamlState::Seen, 1));
    let moved = Metadata { sso_url: "https://login.microsoftonline.us/x".to_owned(), ..read };
    let after = saml::describe(store, &app.moment(), by, &moved).await.unwrap();
    assert_eq!((after.state, after.seen_at), (SamlState::Described, None));
    let after = saml::external(store, &app.moment(), by).await.unwrap();
    assert_eq!((after.state, after.entity_id), (SamlState::External, None));
    assert_eq!(saml::clear(store, &app.moment(), by).await.unwrap().state, SamlState::None);
    assert_eq!(kept().await.state, SamlState::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_is_in_the_journal() {
    let app = App::start().await;
    let (store, tenant) = (app.store(), app.tenant());
    let link = link(&app).await;
    let opened = open(&app, &link).await;
    let found = session(&app, opened.secret.reveal()).await.unwrap();
    let by = (found.tenant(), found.actor());
    saml::describe(store, &app.moment(), by, &metadata(&app)).await.unwrap();
    portal::disable(store, &app.moment(), by).await.unwrap();
    portal::enable(store, &app.moment(), by, SamlFirst::Required).await.unwrap();
    let token = tokens::issue_as(store, &app.moment(), by, ("Entra", Life::days(7))).await.unwrap();
    tokens::revoke_as(store, &app.moment(), by, &token.id).await.unwrap();
    portal::end(store, &app.moment(), &found).await.unwrap();
    portal::revoke_link(store, &app.moment(), (&tenant, "scimctl"), &link.id).await.unwrap();
    assert_eq!(status(&app).await, Status::Enabled);

    let portal = format!("portal:{}", link.id);
    let expected = [
        ("portal:link-issued", link.id.as_str(), "scimctl"),
        ("portal:link-opened", &link.id, &portal),
        ("portal:saml", "described", &portal),
        ("portal:disabled", "", &portal),
        ("portal:enabled", "", &portal),
        ("portal:token-issued", &token.id, &portal),
        ("portal:token-revoked", &token.id, &portal),
        ("portal:session-ended", &link.id, &portal),
        ("portal:link-revoked", &link.id, "scimctl"),
    ];
    let expected = expected
        .map(|(event, about, actor)| (event.to_owned(), about.to_owned(), actor.to_owned()));
    let told: std::collections::BTreeSet<_> = told(&app).await.into_iter().collect();
    assert_eq!(told, expected.clone().into_iter().collect());
    // Their versions are one row, whatever wrote them.
    let items = journal(&app).await;
    let items = items.values().filter(|item| string(item, "kind") == "Tenant");
    let mut versions: Vec<u64> =
        items.map(|item| u64::try_from(number(item, "version")).unwrap()).collect();
    versions.sort_unstable();
    let first = versions[0];
    assert_eq!(versions, (first..).take(expected.len()).collect::<Vec<_>>());
    let (settings, _) = store.settings(&app.moment(), &tenant).await.unwrap().unwrap();
    assert_eq!(versions.last(), Some(&settings.version), "each tells the version that it made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_has_the_settings_that_its_issue_has_made() {
    let app = App::start().await;
    let (store, tenant) = (app.store(), app.tenant());
    for _ in 0..2 {
        let digest = app.issue(&tenant).await.secret.digest();
        let grant = store.look_up(&app.moment(), &digest).await.unwrap().expect("its row");
        let (settings, _) = store.settings(&app.moment(), &tenant).await.unwrap().unwrap();
        assert_eq!((grant.tenant, grant.settings), (tenant.clone(), settings));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_ours_that_opens_nothing_is_noted_for_its_tenant() {
    let app = App::start().await;
    let (store, tenant) = (app.store(), app.tenant());
    let settings = Settings::default();
    let turned_away = async || {
        let moment = app.moment();
        let cx = scim_endpoint::store::Cx {
            tenant: &tenant,
            settings: &settings,
            actor: "test",
            moment: &moment,
        };
        store.turned_away(&cx).await.unwrap()
    };
    let call = async |text: &str| app.call_as(text, "GET", "/Users", Value::Null).await.expect(401);
    // A text that is no token of ours is nobody's.
    call("wrong").await;
    call(TokenSecret::mint(&app.moment()).reveal()).await;
    assert_eq!(turned_away().await, None);

    let issued = app.issue(&tenant).await;
    tokens::revoke(store, &app.moment(), &tenant, &issued.id).await.unwrap();
    call(issued.secret.reveal()).await;
    let first = turned_away().await.unwrap();
    assert_eq!((first.token.as_str(), first.why), (issued.id.as_str(), Why::Revoked));
    // A storm of them is not a storm of writes.
    app.clock().advance(Duration::from_secs(30));
    call(issued.secret.reveal()).await;
    assert_eq!(turned_away().await.unwrap().at, first.at);
    app.clock().advance(Duration::from_secs(31));
    call(issued.secret.reveal()).await;
    assert!(turned_away().await.unwrap().at > first.at);

    let issued = app.issue(&tenant).await;
    app.clock().advance(DAY * 7);
    call(issued.secret.reveal()).await;
    let last = turned_away().await.unwrap();
    assert_eq!((last.token, last.why), (issued.id.clone(), Why::Expired));
    let listed = tokens::list(store, &app.moment(), &tenant).await.unwrap();
    let found = listed.iter().find(|token| token.info.id == issued.id).unwrap();
    assert!(issued.secret.reveal().ends_with(&found.info.tail) && found.info.tail.len() == 2);

    // One that was let in less than a minute ago, too.
    let issued = app.issue(&tenant).await;
    app.call_as(issued.secret.reveal(), "GET", "/Users", Value::Null).await.expect(200);
    tokens::revoke(store, &app.moment(), &tenant, &issued.id).await.unwrap();
    app.clock().advance(Duration::from_secs(31));
    call(issued.secret.reveal()).await;
    assert_eq!(turned_away().await.unwrap().token, issued.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_token_is_safe_to_revoke_once_only_the_new_one_is_used() {
    let app = App::start().await;
    let (store, tenant) = (app.store(), TenantId::parse("initech").unwrap());
    tenants::ensure(store, &app.moment(), &tenant).await.unwrap();
    let issue = async |days| {
        tokens::issue(store, &app.moment(), &tenant, "Entra", Life::days(days)).await.unwrap()
    };
    let call = async |secret: &TokenSecret| {
        app.call_as(secret.reveal(), "GET", "/Users", Value::Null).await.expect(200);
    };
    let safe = async || -> Vec<bool> {
        let listed = tokens::list(store, &app.moment(), &tenant).await.unwrap();
        listed.iter().map(|token| token.safe_to_revoke).collect()
    };
    let old = issue(365).await;
    let wait = |minutes| app.clock().advance(Duration::from_mins(minutes));
    for _ in 0..3 {
        call(&old.secret).await;
        wait(40);
    }
    wait(60);
    assert_eq!(safe().await, [false], "there is no other");
    call(&old.secret).await;
    let new = issue(29).await;
    assert_eq!(safe().await, [false, false]);
    wait(40);
    call(&new.secret).await;
    wait(41);
    assert_eq!(safe().await, [false, false], "a test of the connection is no change over");
    call(&new.secret).await;
    assert_eq!(safe().await, [true, false]);
    // The identity provider has not changed over after all.
    for minutes in [40, 39] {
        wait(minutes);
        call(&old.secret).await;
        assert_eq!(safe().await, [false, false]);
    }
    wait(2);
    assert_eq!(safe().await, [false, true]);
    let listed = tokens::list(store, &app.moment(), &tenant).await.unwrap();
    let ends: Vec<Option<i64>> = listed.iter().map(|token| token.ends_within_days).collect();
    assert_eq!(ends, [None, Some(30)]);
    tokens::revoke(store, &app.moment(), &tenant, &new.id).await.unwrap();
    let listed = tokens::list(store, &app.moment(), &tenant).await.unwrap();
    assert_eq!((listed[1].state, listed[1].ends_within_days), (State::Revoked, None));
    assert_eq!(safe().await, [false, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_slow_rhythm_is_waited_for() {
    let app = App::start().await;
    let (store, tenant) = (app.store(), TenantId::parse("initech").unwrap());
    tenants::ensure(store, &app.moment(), &tenant).await.unwrap();
    let issue = async || {
        tokens::issue(store, &app.moment(), &tenant, "Okta", Life::days(365)).await.unwrap()
    };
    let call = async |secret: &TokenSecret| {
        app.call_as(secret.reveal(), "GET", "/Users", Value::Null).await.expect(200);
    };
    let is_safe =
        async || tokens::list(store, &app.moment(), &tenant).await.unwrap()[0].safe_to_revoke;
    let old = issue().await;
    for _ in 0..5 {
        call(&old.secret).await;
        app.clock().advance(Duration::from_hours(6));
    }
    // A test twice over, at six hours; the usual time goes by, and then the time after it.
    let new = issue().await;
    call(&new.secret).await;
    app.clock().advance(Duration::from_mins(30));
    call(&new.secret).await;
    app.clock().advance(Duration::from_mins(81));
    assert!(!is_safe().await, "it comes each six hours");
    app.clock().advance(Duration::from_hours(5));
    assert!(is_safe().await);
}

#[test]
fn a_link_leads_to_where_the_server_is_reached() {
    let server =
        Server::start(&["--tenant", "acme", "--public-url", "https://tunnel.example.test/"]);
    let link = server.run(&["portal", "link", "acme"]);
    let url = link["url"].as_str().unwrap();
    assert!(url.starts_with("https://tunnel.example.test/portal/s/"), "{url}");
    // The address that a stack's outputs have for the portal is taken, too.
    let portal = "https://scim.example.test/portal";
    let link = server.run(&["portal", "link", "acme", "--url", portal]);
    let url = link["url"].as_str().unwrap();
    assert!(url.starts_with("https://scim.example.test/portal/s/"), "{url}");
}

/// Whoever develops against it has the stack's parameters.
#[test]
fn serve_has_the_options_of_the_pages() {
    let read = |variables: &'static [(&str, &str)]| {
        Pages::from_lookup(None, |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(read(&[]).unwrap().saml_first, SamlFirst::Required);
    assert_eq!(read(&[("PORTAL_SAML", "off")]).unwrap().saml_first, SamlFirst::NotRequired);
    assert!(read(&[("PORTAL_SAML", "maybe")]).unwrap_err().contains("PORTAL_SAML"));
    assert!(read(&[("SAML_HOSTS", "id.example.test")]).is_ok());
    assert!(read(&[("SAML_HOSTS", "https://id.example.test")]).unwrap_err().contains("SAML_HOSTS"));
}

#[test]
fn the_commands_make_list_and_revoke_links() {
    let server = Server::start(&["--tenant", "acme"]);
    let origin = server.base_url().strip_suffix("/scim/v2").unwrap();
    let made = server.run(&["portal", "link", "acme", "--expires", "45m", "--label", "Ida"]);
    let url = made["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{origin}/portal/s/scimlink_")), "{url}");
    assert_eq!((&made["label"], &made["tenant_created"]), (&"Ida".into(), &false.into()));
    let elsewhere = server.text(&["portal", "link", "acme", "--url", "https://scim.example.com/"]);
    assert!(elsewhere.contains(" https://scim.example.com/portal/s/scimlink_"), "{elsewhere}");
    let id = made["link_id"].as_str().unwrap();
    server.run(&["portal", "revoke", "acme", id]);
    let listed = server.run(&["portal", "links", "acme"]);
    let states: Vec<&Value> =
        listed["links"].as_array().unwrap().iter().map(|l| &l["state"]).collect();
    assert_eq!(states, ["revoked", "open"]);
    assert!(!listed.to_string().contains("scimlink_"), "a link is shown again");
    let shown = server.text(&["tenant", "show", "acme"]);
    assert!(shown.contains("Sign-in (SAML)") && shown.contains(id), "{shown}");

    // A customer who is not there yet is there afterwards, switched off.
    let made = server.run(&["portal", "link", "initech"]);
    assert_eq!(made["tenant_created"], true);
    assert_eq!(server.run(&["tenant", "show", "initech"])["status"], "disabled");
    for (arguments, told) in [
        (vec!["portal", "links", "nobody"], "there is no tenant nobody"),
        (vec!["portal", "revoke", "acme", "x"], "scimctl portal links acme"),
        (vec!["portal", "link", "acme", "--expires", "31d"], "at most 30d"),
        (vec!["portal", "link", "acme", "--url", "example.com"], "an address such as https://"),
    ] {
        let text = server.refused(&arguments);
        assert!(text.contains(told), "{arguments:?}: {text}");
    }
    assert_eq!(server.run(&["check", "acme"])["whole"], true);
}

#[test]
fn the_commands_say_how_people_sign_in() {
    let server = Server::start(&["--tenant", "acme"]);
    let scratch = Scratch::new("saml");
    let (good, bad) = (scratch.file("good.xml"), scratch.file("bad.xml"));
    std::fs::write(&good, DOCUMENT).unwrap();
    std::fs::write(&bad, DOCUMENT.replace("https://login.microsoftonline.com", "https://id.test"))
        .unwrap();
    let state = || server.run(&["tenant", "show", "acme"])["saml"]["state"].clone();
    assert_eq!(state(), "none");
    server.run(&["tenant", "saml", "acme", "--metadata", &good]);
    assert_eq!(state(), "described");
    server.run(&["tenant", "saml-seen", "acme"]);
    assert_eq!(state(), "seen");
    let told = server.refused(&["tenant", "saml", "acme", "--metadata", &bad]);
    assert!(told.contains("people would sign in at id.test"), "{told}");
    assert_eq!(state(), "seen");
    server.run(&["tenant", "saml", "acme", "--metadata", &bad, "--allow-host", "id.test"]);
    assert_eq!(state(), "described");
    let text = server.text(&["tenant", "saml", "acme", "--external"]);
    assert!(text.contains("set up elsewhere"), "{text}");
    server.run(&["tenant", "saml", "acme", "--clear"]);
    assert_eq!(state(), "none");
    let told = server.refused(&["tenant", "saml", "acme"]);
    assert!(told.contains("--external"), "{told}");
    let told = server.refused(&["tenant", "saml", "acme", "--metadata", &scratch.file("none.xml")]);
    assert!(told.contains("cannot be read"), "{told}");
    assert_eq!(server.run(&["check", "acme"])["whole"], true);
}

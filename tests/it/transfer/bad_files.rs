//! Files that are not fit to be imported: a sentence each that says what to do, and nothing half-imported.

use scim_endpoint::limits::{BODY_BYTES_MAX, IDENTIFIER_BYTES_MAX};
use scim_endpoint::scim::catalog::Kind;
use scim_endpoint::scim::discovery::GroupNames;
use scim_endpoint::store::{Settings, TenantId};
use scim_endpoint::transfer::report::{Ending, Existing, Options};

use super::{USUAL, import_usual, import_with, total, try_import};
use crate::app::App;
use crate::whole::partition;

/// What was told has these sentences.
#[track_caller]
fn check(told: Result<(), String>, expected: &[&str]) {
    let told = told.expect_err("it is refused");
    let (told, rest) = told.rsplit_once("; ").expect("it has an end");
    assert_eq!(rest, "nothing was imported");
    for sentence in expected {
        assert!(told.contains(sentence), "{told}\n  has no: {sentence}");
    }
}

async fn refused(app: &App, file: impl AsRef<[u8]>, options: &Options) -> Result<(), String> {
    let before = partition(app).await;
    let done = try_import(app, &app.tenant(), file, options).await;
    assert_eq!(partition(app).await, before, "nothing is half-imported");
    done.map(|_| ()).map_err(|error| error.to_string())
}

const GROUPS: Options = Options { kind: Some(Kind::Group), ..USUAL };
const USERS: Options = Options { kind: Some(Kind::User), ..USUAL };

/// A file, how it is imported, and the beginning of each sentence that is told about it.
type Case<'a> = (&'a [u8], &'a Options, &'a [&'a str]);

async fn check_all(cases: &[Case<'_>]) {
    let app = App::start().await;
    for (file, options, expected) in cases {
        check(refused(&app, file, options).await, expected);
    }
    assert_eq!(total(&app, Kind::User).await, 0);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_refused() {
    check_all(&[
        (b"", &USUAL, &["the file is empty"]),
        (b"\n \n\n", &USUAL, &["the file is empty"]),
        (b"userName,active\n", &USUAL, &["the file has a header and no rows"]),
        (
            b"\xFF\xFEu\0s\0e\0r\0",
            &USUAL,
            &["the file is UTF-16; save it as \"CSV UTF-8\" (or as UTF-8) and import that"],
        ),
        (
            b"userName,displayName\na@ex.test,Ann\nj@ex.test,Jos\xE9\n",
            &USUAL,
            &["line 3: the file is not UTF-8, perhaps Latin-1 or Windows-1252; save it as \"CSV UTF-8\""],
        ),
        (
            b"userName,displayName\na@ex.test,\"Ann\nb@ex.test,Ben\n",
            &USUAL,
            &["line 2: a quote is opened here and never closed"],
        ),
        (
            b"[{\"userName\":\"a@ex.test\"}]",
            &USUAL,
            &["line 1: the file is one JSON array; write one object a line instead"],
        ),
        (
            b"{\n  \"userName\": \"a@ex.test\"\n}\n",
            &USUAL,
            &["line 1: an object begins here and goes on below; write each on one line"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_header_that_is_none_or_names_nothing_is_refused() {
    check_all(&[
        (
            b"ann@example.com,acc-1,true\nben@example.com,acc-2,true\n",
            &USUAL,
            &["line 1: the file has no header; its first line names the columns, such as userName,appId,"],
        ),
        (
            b"\nann@example.com\n",
            &USERS,
            &["line 2: the file has no header"],
        ),
        (
            b"appId,active\nacc-1,true\n",
            &USUAL,
            &["line 1: the header has no column userName, so these are no people, and not displayName and members"],
        ),
        (
            b"appId,active\nacc-1,true\n",
            &USERS,
            &["line 1: the header has no column userName; every row needs one"],
        ),
        (
            b"appId,externalId\nacc-1,x\n",
            &GROUPS,
            &["line 1: the header has no column displayName; every row needs one"],
        ),
        (
            b"userName,email,shoe size,id\nann@example.com,a@b.c,39,7\n",
            &USUAL,
            &[
                "line 1: column email: the schemas have no such attribute; perhaps emails",
                "column shoe size: the schemas have no such attribute",
                "column id: an import cannot set it; take the column out or rename it (the app's own id is appId)",
            ],
        ),
        (
            b"userName,emails.work,EMAILS[type eq \"work\"].value\nann@example.com,a@b.c,a@b.c\n",
            &USUAL,
            &["line 1: column EMAILS[type eq \"work\"].value: it is there twice"],
        ),
        (
            b"userName,emails.work,\"emails[type eq \"\"work\"\"].value\"\nann@example.com,a@b.c,a@b.c\n",
            &USUAL,
            &["it is there twice"],
        ),
        (
            b"userName;active\nann@example.com;true\n",
            &USUAL,
            &["line 1: the columns seem to be separated by semicolons; save the file with commas"],
        ),
        (b"userName\tactive\na@ex.test\ttrue\n", &USUAL, &["separated by tabs"]),
    ])
    .await;
}

#[tokio::test]
async fn who_is_in_a_file_twice_is_told() {
    check_all(&[
        (
            b"userName,appId\nann@example.com,acc-1\nben@example.com,acc-2\nANN@example.com,acc-3\ndan@example.com,acc-2\n",
            &USUAL,
            &[
                "line 4: userName \"ANN@example.com\" is in line 2, too; a file has each person once",
                "line 5: appId \"acc-2\" is in line 3, too; a file has each person once",
            ],
        ),
        (
            b"displayName,members\nTeam,\nTEAM,\n",
            &USUAL,
            &["line 3: displayName \"TEAM\" is in line 2, too; a file has each group once"],
        ),
        (
            br#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","resource":{"userName":"a@ex.test"}}
{"id":"01890a5d-ac96-774b-bcce-b302099a8057","resource":{"userName":"b@ex.test"}}"#,
            &USUAL,
            &["line 2: id \"01890a5d-ac96-774b-bcce-b302099a8057\" is in line 1, too"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_export_that_is_cut_off_or_of_another_version_is_refused() {
    check_all(&[
        (
            br#"{"export":{"tenant":"acme","format":2}}"#,
            &USUAL,
            &["the export's format is 2, and this version reads 1; use the version of scimctl that wrote it"],
        ),
        (
            br#"{"export":{"tenant":"acme","format":1}}
{"resource":{"userName":"a@ex.test"}}"#,
            &USUAL,
            &["the export is cut off: its last line with the counts is missing; export again, or add --partial"],
        ),
        (
            br#"{"export":{"tenant":"acme","format":1}}
{"resource":{"userName":"a@ex.test"}}
{"end":{"users":2,"groups":0,"memberships":0}}"#,
            &USUAL,
            &["the export's last line counts 2 people and 0 groups, and there are 1 people and 0 groups; take the whole export"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn many_faults_are_told_up_to_a_bound() {
    let app = App::start().await;
    let file = format!("userName\n{}", "a@ex.test\n".repeat(1_000));
    let told = refused(&app, file, &USUAL).await.unwrap_err();
    assert!(told.matches("is in line 2, too").count() == 20, "{told}");
    assert!(told.ends_with("and perhaps others; nothing was imported"), "{told}");
}

#[tokio::test]
async fn single_bad_rows_are_told_and_the_others_imported() {
    let app = App::start().await;
    let long = "x".repeat(IDENTIFIER_BYTES_MAX * 2);
    let file = format!(
        "userName,appId,active,externalId\n\
         good@ex.test,acc-1,TRUE,\n\
         ,acc-2,true,\n\
         few@ex.test,acc-3\n\
         many@ex.test,acc-4,true,,\n\
         odd@ex.test,acc-5,perhaps,\n\
         {long}@ex.test,acc-6,true,\n\
         long@ex.test,{long},true,\n\
         ,,,\n\
         \n\
         last@ex.test,acc-7,no,oid\n"
    );
    let imported = import_usual(&app, &file).await;
    let told = imported.told();
    let expected = [
        "2 created",
        "3 invalid  userName is required and must not be empty",
        "4 invalid  it has 2 cells, and the header names 4 columns; is there a comma",
        "5 invalid  it has 5 cells, and the header names 4 columns; is there a comma",
        "6 invalid  active must be true or false; the strings",
        "7 invalid  userName is too long: at most 900 bytes are allowed",
        "8 invalid  appId must be a text of at most about 900 bytes",
        "11 created",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
    assert!(!imported.report.is_clean());
    assert_eq!(total(&app, Kind::User).await, 2);

    let unnamed = "userName,\na@ex.test,\nb@ex.test,x\n";
    let told = import_usual(&app, unnamed).await.told();
    assert_eq!(told, ["2 created", "3 invalid  column 2 has a value and no heading"]);
}

#[tokio::test]
async fn single_bad_lines_of_json_are_told_and_the_others_imported() {
    let app = App::start().await;
    let long = "x".repeat(BODY_BYTES_MAX);
    let file = format!(
        r#"{{"userName":"good@ex.test"}}
not json
[1]
{{"displayName":"Ann","emails":["a@ex.test"]}}
{{"kind":"Robot","resource":{{"userName":"r@ex.test"}}}}
{{"resource":{{"userName":"a@ex.test"}},"apId":"acc-1"}}
{{"resource":7}}
{{"id":"7","resource":{{"userName":"a@ex.test"}}}}
{{"appId":true,"resource":{{"userName":"a@ex.test"}}}}
{{"kind":"User","resource":{{"userName":"a@ex.test"}},"members":[{{"id":"7"}}]}}
{{"displayName":"Team","members":[{{"nick":"a"}}]}}
{{"userName":"{long}"}}
{{"resource":{{"userName":"a\"b@ex.test","shoeSize":39,"password":"secret"}}}}
"#
    );
    let imported = import_usual(&app, &file).await;
    let told = imported.told();
    let expected = [
        "1 created",
        "2 invalid  it is no JSON (column 2); each line is one JSON object",
        "3 invalid  it is an array, not a JSON object",
        "4 invalid  it is not clear whether it is a person or a group; add \"kind\": \"User\"",
        "5 invalid  kind must be User or Group",
        "6 invalid  there is no apId beside resource; a line has kind, appId, resource, id,",
        "7 invalid  resource must be an object, not a number",
        "8 invalid  id is not one that this directory gives out; the app's own id is appId",
        "9 invalid  appId must be a string or a whole number",
        "10 invalid  a person has no members; kind must be Group for that",
        "11 invalid  a member is {\"userName\": …}, {\"appId\": …}, {\"id\": …} or {\"group\": …}",
        "12 invalid  it is longer than 524288 bytes",
        "13 created",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
    let warnings = imported.report.survey.warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("line 13: the attribute \"shoeSize\" is not kept"));
    assert!(warnings[1].starts_with("line 13: the attribute \"password\" is not kept"));
}

#[tokio::test]
async fn what_is_only_odd_is_a_warning() {
    let app = App::start().await;
    let file = "userName,externalId\na@ex.test,oid\nb@ex.test,oid\n";
    let imported = import_usual(&app, file).await;
    assert_eq!(imported.told(), ["2 created", "3 created"]);
    let warnings = imported.report.survey.warnings;
    assert!(
        warnings[0].starts_with("line 3: externalId \"oid\" is in line 2, too"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_byte_order_mark_and_any_line_ends_are_taken() {
    let app = App::start().await;
    let file = "\u{FEFF}USERNAME , appid,displayName\r\n a@ex.test ,acc-1,\"Ann\r\nLee\"\r\nb@ex.test,,Ben";
    let imported = import_usual(&app, file).await;
    assert_eq!(imported.told(), ["2 created", "4 created"]);
    assert_eq!(super::app_id_of(&app, "a@ex.test").await.as_deref(), Some("acc-1"));
    assert_eq!(super::app_id_of(&app, "b@ex.test").await, None);
}

#[tokio::test]
async fn a_part_of_an_export_is_taken_when_asked_for() {
    let app = App::start().await;
    let file = r#"{"export":{"tenant":"acme","format":1}}
{"resource":{"userName":"a@ex.test"}}"#;
    let partial = Options { ending: Ending::MayBeMissing, ..USUAL };
    assert_eq!(import_with(&app, file, &partial).await.told(), ["2 created"]);
}

#[tokio::test]
async fn a_tenant_of_the_old_format_takes_no_account_ids() {
    let app = App::start().await;
    let tenant = TenantId::parse("old").unwrap();
    let settings = Settings { resource_format: 1, ..Settings::default() };
    app.create_tenant(&tenant, &settings).await;
    let file = "userName,appId\na@ex.test,acc-1\nb@ex.test,acc-2\n";
    let Err(error) = try_import(&app, &tenant, file, &USUAL).await else { panic!("it is taken") };
    let error = error.to_string();
    let expected =
        "line 2: this tenant's items cannot hold an appId yet; run `scimctl migrate old` first";
    assert!(error.starts_with(expected), "{error}");
    assert_eq!(error.matches("migrate").count(), 1);
    let without = try_import(&app, &tenant, "userName\na@ex.test\n", &USUAL).await.unwrap();
    assert_eq!(without.told(), ["2 created"]);
}

#[tokio::test]
async fn an_unknown_tenant_is_told() {
    let app = App::start().await;
    let nobody = TenantId::parse("nobody").unwrap();
    let done = try_import(&app, &nobody, "userName\na@ex.test\n", &USUAL).await;
    assert_eq!(done.err().unwrap().to_string(), "there is no tenant nobody");
}

#[tokio::test]
async fn groups_that_share_a_name_are_told_apart_by_id() {
    let app = App::start().await;
    let tenant = TenantId::parse("free").unwrap();
    let settings = Settings { group_names: GroupNames::Free, ..Settings::default() };
    app.create_tenant(&tenant, &settings).await;
    let twice = "displayName,members\nTeam,\nteam,\n";
    assert!(try_import(&app, &tenant, twice, &USUAL).await.is_err());
    let file = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","resource":{"displayName":"Team"}}
{"id":"01890a5d-ac96-774b-bcce-b302099a8058","resource":{"displayName":"Team"}}"#;
    let made = try_import(&app, &tenant, file, &USUAL).await.unwrap();
    assert_eq!(made.told(), ["1 created", "2 created"]);
    let again = try_import(&app, &tenant, file, &USUAL).await.unwrap();
    assert_eq!(again.told(), ["1 unchanged", "2 unchanged"]);
    let which = "displayName,members,externalId\nteam,a@ex.test,x\n";
    let updating = Options { existing: Existing::Updated, ..USUAL };
    let told = try_import(&app, &tenant, which, &updating).await.unwrap().told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("2 conflict  it fits the group \"Team\" (id 01890a5d-"),
        "{told:?}"
    );
}

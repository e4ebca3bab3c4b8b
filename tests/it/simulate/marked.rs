//! A tenant that is marked as one to be rehearsed in is taken although it is not empty, and says so to nobody else.

use scim_endpoint::admin::tenants;
use scim_endpoint::simulate::{Embedded, Plan, Rehearsal, Silent, Size, directory};
use scim_endpoint::system::Moments;

use crate::app::App;

const SIZE: Size = Size { users: 3, groups: 1, everyone_has_mail: true };

#[tokio::test]
async fn a_rehearsal_takes_a_marked_tenant_as_it_is() {
    let moments = Moments::new().unwrap();
    let embedded = Embedded::start(moments.clone(), None).await.unwrap();
    let mark = async |is_rehearsal| {
        let (store, tenant) = (embedded.store(), embedded.tenant());
        let moment = moments.unnamed();
        let marked = tenants::set_rehearsal(store, &moment, tenant, is_rehearsal);
        marked.await.unwrap();
    };
    let rehearsal = |seed| {
        let plan = Plan { cycles: 1, seed, ..Plan::default() };
        let endpoint = embedded.endpoint().unwrap();
        Rehearsal::new(endpoint, plan, directory(SIZE, seed), moments.clone()).unwrap()
    };
    let mut first = rehearsal(1);
    first.connect(&mut Silent).await.unwrap();
    first.play(&mut Silent).await;
    let refused = rehearsal(2).connect(&mut Silent).await.unwrap_err().to_string();
    assert!(refused.contains("the tenant is not empty (users: 3, groups: 1)"), "{refused}");
    assert!(refused.contains("scimctl tenant set NAME --rehearsal true"), "{refused}");
    mark(true).await;
    let mut second = rehearsal(2);
    second.connect(&mut Silent).await.unwrap();
    second.play(&mut Silent).await;
    let report = second.report().unwrap();
    assert!(report.is_good(), "{:?}", report.findings());
    let left = second.clean_up(&mut Silent).await.unwrap();
    assert_eq!((left.deleted, left.left), (4, 0), "what was there before stays");
    mark(false).await;
    assert!(rehearsal(3).connect(&mut Silent).await.is_err());
    let checked = embedded.check().await.unwrap();
    assert_eq!((checked.users, checked.groups, checked.is_whole()), (3, 1, true));
}

#[tokio::test]
async fn only_whoever_is_known_is_told_of_the_mark() {
    let app = App::start().await;
    let (moment, acme) = (app.moment(), app.tenant());
    tenants::set_rehearsal(app.store(), &moment, &acme, true).await.unwrap();
    let mark = async |token: &str, target: &str| {
        let header = ("authorization".to_owned(), format!("Bearer {token}"));
        let answer = app.send("GET", target, &[header], b"").await;
        (answer.status, answer.header("scim-rehearsal").map(ToOwned::to_owned))
    };
    let (acmes, globexs) = (app.token(), app.other_token());
    let told = Some("true".to_owned());
    assert_eq!(mark(&acmes, "/Users").await, (200, told.clone()));
    assert_eq!(mark(&acmes, "/Users/nobody").await, (404, told.clone()));
    assert_eq!(mark(&acmes, "/ServiceProviderConfig").await, (200, told));
    assert_eq!(mark(&globexs, "/Users").await, (200, None));
    assert_eq!(mark("scim_wrong", "/Users").await, (401, None));
}

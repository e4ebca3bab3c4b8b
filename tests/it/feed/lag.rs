//! Acknowledging: once, and the first note stays; and that of items alone.

use std::time::Duration;

use scim_endpoint::feed::lag::took;
use scim_endpoint::moment::Timestamp;
use scim_endpoint::store::feed::Acknowledgement;

use super::{journal_of, told};
use crate::proxy::{Conflicts, Proxy, Step};
use crate::races::{delete, user};
use crate::whole::string;

#[tokio::test]
async fn an_item_is_acknowledged_once_and_the_first_note_stays() {
    let (app, proxy) = Proxy::app(Conflicts::None).await;
    let ida = user(&app, "ida@ex.test").await;
    delete(&app, &format!("/Users/{ida}")).await.expect(204);
    let end = told(&app).await.remove(1).change;
    let acknowledge = async |by: &str, at| {
        app.store().acknowledge(&app.moment(), &app.tenant(), at, by).await.unwrap()
    };
    let first = app.moment().now();
    // Its answer is lost, and the SDK asks again.
    proxy.script("UpdateItem", [Step::LoseAnswer]);
    acknowledge("shop", end.at).await;
    app.clock().advance(Duration::from_hours(1));
    assert_eq!(acknowledge("somebody else", end.at).await, Acknowledgement::Before);
    let item = &journal_of(&app, &app.tenant()).await[&end.at];
    assert_eq!(string(item, "acknowledgedBy"), "shop");
    let when = Timestamp::parse(&string(item, "acknowledged")).unwrap();
    assert!(first <= when && when < first.plus_seconds(60), "{first} {when}");
    // There is nothing to acknowledge, and nothing comes of it.
    let nowhere = app.moment().mint_uuid();
    assert_eq!(acknowledge("shop", nowhere).await, Acknowledgement::Nothing);
    let items = journal_of(&app, &app.tenant()).await;
    assert_eq!(items.len(), 2);
    let noted = told(&app).await.remove(1).change;
    assert_eq!(took(&noted), Some(when.since(noted.time().unwrap())));
    assert_eq!(noted.acknowledged_by(), Some("shop"));
}

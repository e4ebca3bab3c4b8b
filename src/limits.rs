//! Every bound in the program, with its reason and its source.
//!
//! A number that limits an input, a page, a loop or a retry stands here and nowhere else, so that one file
//! answers "how much of that does it take?". docs/LIMITS.md is made of these.

use std::time::Duration;

/// Largest request body in bytes. A PATCH of 1,000 members with `$ref` and `display` is about 250 kB; an item holds
/// 400 KB; Lambda itself takes 6 MB. Larger bodies are answered 413.
pub const BODY_BYTES_MAX: usize = 512 * 1024;

/// Longest filter in bytes. API Gateway's request line and headers are limited to 10,240 bytes together.
pub const FILTER_BYTES_MAX: usize = 8 * 1024;

/// Deepest nesting of parentheses, `not` and value paths in a filter.
pub const FILTER_DEPTH_MAX: usize = 32;

/// Most comparisons in one filter. Entra sends at most two.
pub const FILTER_TERMS_MAX: usize = 100;

/// Most characters of an attribute path that an error repeats: enough for a URN, too few to fill a log with.
pub const PATH_SHOWN_MAX: usize = 120;

/// Most characters of a PATCH operation's `op` that an error repeats: enough to see a typing error, too few for most of
/// what belongs elsewhere.
pub const OP_SHOWN_MAX: usize = 16;

/// Longest query string in bytes, all parameters together.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;

/// Longest request path in bytes.
pub const PATH_BYTES_MAX: usize = 2 * 1024;

/// Most operations in one PATCH. Entra's default mapping sends about 20.
pub const PATCH_OPERATIONS_MAX: usize = 1_000;

/// Most operations in one bulk request, advertised as `bulk.maxOperations`: one takes some 20 to 50 ms, and together they
/// have [`BULK_TIME_MAX`]. `bulk.maxPayloadSize` is [`BODY_BYTES_MAX`].
pub const BULK_OPERATIONS_MAX: usize = 200;

/// After this, a bulk request begins no operation: one can take [`RETRY_DEADLINE`], and the function has 30 s.
pub const BULK_TIME_MAX: Duration = Duration::from_secs(15);

/// Most memberships changed by one request. Beyond it: 400 `tooMany`, split the request.
pub const MEMBERS_CHANGED_MAX: usize = 1_000;

/// Most elements of one multi-valued attribute of a user, so that an item stays far below 400 KB.
pub const VALUES_MAX: usize = 200;

/// Longest identifier (userName, externalId, a group's displayName, a match value) in bytes once folded and escaped.
/// A DynamoDB sort key holds 1,024 bytes; the prefix and a resource id take up to 80 of them.
pub const IDENTIFIER_BYTES_MAX: usize = 900;

/// Longest sort key in bytes (DynamoDB's limit).
pub const KEY_BYTES_MAX: usize = 1_024;

/// Longest externalId in bytes: the sort key of an index holds 1,024 bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 1_024;

/// Longest string value anywhere in a resource, in bytes. A photo as a data URL does not fit; a link does.
pub const STRING_BYTES_MAX: usize = 64 * 1024;

/// Largest decimal exponent of a number in a resource, either way: DynamoDB keeps numbers from 1e-130 to 1e126.
pub const DECIMAL_EXPONENT_MAX: i32 = 125;

/// Largest item in bytes by our own count; DynamoDB refuses items above 400 KB.
pub const ITEM_BYTES_MAX: usize = 350_000;

/// Match items (an e-mail address each) per user; more are refused with 400.
pub const MATCH_VALUES_MAX: usize = 40;

/// Attributes by whose values a tenant's users are found. Each of a user's values is an item, of which there may be
/// [`MATCH_VALUES_MAX`].
pub const MATCH_ATTRIBUTES_MAX: usize = 8;

/// E-mail domains that a tenant may allow: each of its tokens' rows has a copy of them.
pub const DOMAINS_MAX: usize = 50;

/// Longest of these domains in bytes (RFC 1035 §2.3.4).
pub const DOMAIN_BYTES_MAX: usize = 253;

/// Most attribute names in `attributes` or `excludedAttributes`.
pub const PROJECTION_PATHS_MAX: usize = 100;

/// Resources on a page when the client does not say, and at most. Advertised as `filter.maxResults`.
pub const PAGE_DEFAULT: usize = 100;
/// See [`PAGE_DEFAULT`].
pub const PAGE_MAX: usize = 200;

/// Deepest `startIndex` that a list reads to. Each row before it is read; deeper is 400 `tooMany`.
pub const START_INDEX_MAX: usize = 50_000;

/// How long a cursor of a list is good for. It holds a position and nothing is kept for it, so it could be for ever; what
/// came and went in between would then be a surprise.
pub const CURSOR_LIFE: Duration = Duration::from_hours(1);

/// Most resources that a filter without a key reads before it gives up with 400 `tooMany`.
pub const SCANNED_MAX: usize = 10_000;

/// Most resources that a list is sorted with. Each page of it reads them all; beyond it 400 `tooMany`.
pub const SORTED_MAX: usize = 5_000;

/// Most members that one answer carries as it is, about 190 bytes each of the 6 MB that Lambda returns; beyond it 400
/// `tooMany` (ask with `excludedAttributes=members`, or for pages).
pub const MEMBERS_READ_MAX: usize = 30_000;

/// Most members that one answer carries to a client that takes gzip, about 40 bytes each of the 6 MB, base64 included. What
/// limits it is the memory and the time that a function of 256 MB needs to read and write them.
pub const MEMBERS_COMPRESSED_MAX: usize = 100_000;

/// Most members of a group that are counted for a page of them: about 25 queries for the first page.
pub const MEMBERS_PAGED_MAX: usize = 200_000;

/// Ends of pages of groups that one process remembers, about 100 bytes each.
pub const PLACES_KEPT: usize = 256;

/// Most groups above a group that are looked through for one answer, or before a group comes into it, a query each. Where
/// groups are nested, one is in a handful.
pub const NESTED_GROUPS_MAX: usize = 1_000;

/// Most levels of groups above a group that are looked through: each waits for the one below, some 10 ms.
pub const NESTING_DEPTH_MAX: usize = 32;

/// Groups above which is looked at the same time.
pub const NESTING_IN_FLIGHT: usize = 8;

/// Bytes of an answer from which on it is compressed for who takes gzip. What Entra asks for is far smaller, and costs no
/// time for it; a page of 200 people is about as large.
pub const COMPRESSED_FROM_BYTES: usize = 256 * 1024;

/// Most pairs of group and member that a filter looks up: 200 batches of 100 keys.
pub const PAIRS_LOOKED_UP_MAX: usize = 20_000;

/// Most resources whose memberships a filter reads whole: a query each.
pub const WHOLE_LOOKED_UP_MAX: usize = 500;

/// Actions in one DynamoDB transaction (API_TransactWriteItems).
pub const TRANSACTION_ACTIONS_MAX: usize = 100;

/// Members added or removed in one transaction: three actions each, and the group, the journal and names beside them.
pub const MEMBERS_PER_TRANSACTION: usize = 30;

/// Keys in one BatchGetItem (API_BatchGetItem).
pub const BATCH_GET_MAX: usize = 100;

/// How long conflicts and throttling are retried before the answer is 503 with `Retry-After`.
pub const RETRY_DEADLINE: Duration = Duration::from_secs(10);

/// First and longest pause between two attempts; the actual pause is random below it (full jitter).
pub const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(10);
/// See [`RETRY_PAUSE_FIRST`].
pub const RETRY_PAUSE_MAX: Duration = Duration::from_millis(500);

/// How often a read starts again because a rename came between its two steps.
pub const RESOLVE_ATTEMPTS_MAX: usize = 8;

/// `Retry-After` of a 503, in seconds.
pub const RETRY_AFTER_SECONDS: u64 = 5;

/// Shards of each counter. Two transactions on one shard at once make one of them retry.
pub const COUNTER_SHARDS: u32 = 16;

/// Live tokens a tenant may have: a change of its settings touches all their rows in one transaction.
pub const TOKENS_MAX: usize = 40;

/// Tokens of a tenant, those that are dead and still kept included, from which on the portal issues no more: it can clear
/// none away, and a change of the settings reads them all.
pub const TOKEN_ROWS_PORTAL_MAX: usize = 200;

/// Dead tokens that the portal shows, the newest ones.
pub const DEAD_TOKENS_SHOWN: usize = 20;

/// Longest label of a token, in characters: it stands in a table's column.
pub const TOKEN_LABEL_CHARS_MAX: usize = 64;

/// Life of a token when nobody says otherwise, in days.
pub const TOKEN_LIFE_DAYS: i64 = 365;

/// Longest life that a token can be given, in days.
pub const TOKEN_LIFE_DAYS_MAX: i64 = 3_650;

/// Days for which revoked and expired tokens' rows stay, so that the answer can say so.
pub const TOKEN_ROW_KEPT_DAYS: i64 = 90;

/// Entries in the cache of validated tokens.
pub const TOKEN_CACHE_MAX: usize = 1_000;

/// Longest that a validated token may be cached, in seconds: revoking and disabling take effect within it.
pub const TOKEN_CACHE_SECONDS_MAX: u64 = 30;

/// Longest time limit that the template lets the function have: an HTTP API waits 30 s for it. What was let in by then is
/// over.
pub const FUNCTION_TIME_LIMIT: Duration = Duration::from_secs(30);

/// Tenants whose rate is remembered by one process.
pub const LIMITER_TENANTS_MAX: usize = 10_000;

/// Lowest per-tenant rate that may be configured, in requests per second. Entra's gallery asks for 25.
pub const TENANT_RATE_MIN: u32 = 50;

/// Days for which the journal keeps an item (DynamoDB TTL), unless configured otherwise: a year, and a month to audit it.
pub const JOURNAL_KEPT_DAYS: i64 = 400;

/// Fewest days for which the journal may be configured to keep an item. Identity providers retry for weeks, and an app
/// that was down for a vacation must still find what it has missed.
pub const JOURNAL_KEPT_DAYS_MIN: i64 = 30;

/// Most days for which the journal may be configured to keep an item. It holds names: ten years is nobody's need.
pub const JOURNAL_KEPT_DAYS_MAX: i64 = 3_650;

/// Bounded steps that a request itself does of a sweep that it began; the scheduled job does the rest.
pub const SWEEP_STEPS_INLINE: usize = 5;

/// Pause between two steps of the scheduled job's sweeps, so that live traffic is not starved.
pub const SWEEP_PAUSE: Duration = Duration::from_millis(20);

/// How old a work item of an unfinished group creation must be before its memberships are swept.
pub const WORK_ABANDONED: Duration = Duration::from_mins(2);

/// How far readers of the journal stay behind now: an attempt of a transaction ends within 5 s of the time in its item's
/// key, and the clocks of two functions differ by less than what is left. So nothing can appear behind a reader.
pub const FEED_BEHIND: Duration = Duration::from_secs(15);

/// How wrong the clock of an operator's machine may be, by DynamoDB's: with an attempt's 5 s that is within what readers
/// stay behind now, and what is left is for the functions' clocks.
pub const CLOCK_ERROR_MAX: Duration = Duration::from_secs(5);

/// Pause between two looks of `scimctl changes --follow`: short beside the time by which it stays behind now.
pub const FEED_PAUSE: Duration = Duration::from_secs(2);

/// Items of the journal in one read; DynamoDB stops at 1 MB, about 2,000 of them.
pub const FEED_PAGE: usize = 1_000;

/// Positions that a reader of the journal remembers to tell gaps by, about 30 bytes each. With more, it forgets the oldest.
pub const FEED_POSITIONS_MAX: usize = 1_000_000;

/// Most rows of a file that is imported: what tells duplicates apart is held in memory.
pub const IMPORT_ROWS_MAX: usize = 1_000_000;

/// Rows of an import that are written at the same time.
pub const IMPORT_IN_FLIGHT: usize = 8;

/// Rows of an import between two looks at the tenant's settings.
pub const IMPORT_ROWS_PER_STEP: usize = 100;

/// How often an import or an export tries a step again, and how much longer each pause is than the one before. A step
/// itself tries until [`RETRY_DEADLINE`].
pub const IMPORT_ATTEMPTS_MAX: u32 = 8;
/// See [`IMPORT_ATTEMPTS_MAX`].
pub const IMPORT_PAUSE: Duration = Duration::from_millis(500);

/// How long a stretch of time is of which the identity provider's requests are counted: short beside the 20 to 40 minutes
/// between two cycles of Entra's.
pub const TRAFFIC_SLOT: Duration = Duration::from_mins(10);

/// Days for which these counts are kept (DynamoDB TTL): a month, and some to look back from it.
pub const TRAFFIC_KEPT_DAYS: i64 = 40;

/// First and longest pause between two notes of the counts of one token by one process. A small directory's cycle is over
/// within seconds, and what a process has not written when it ends is lost.
pub const TRAFFIC_PAUSE_FIRST: Duration = Duration::from_secs(5);
/// See [`TRAFFIC_PAUSE_FIRST`].
pub const TRAFFIC_PAUSE_MAX: Duration = Duration::from_mins(1);

/// Requests behind the first note of the counts that make for a second one before its time; twice as many for the next.
pub const TRAFFIC_BURST_FIRST: u64 = 16;

/// Stretches of time whose counts wait for their note in one process, for each token: one, and the one before.
pub const TRAFFIC_WAITING_MAX: usize = 3;

/// Items of the journal that one page of the provisioning log looks through; DynamoDB stops at 1 MB, about 2,000 of them.
pub const LOG_ITEMS_PER_PAGE: usize = 1_000;

/// For how long an identity provider may be silent before that is worth a word, unless its own rhythm is slower: Entra calls
/// every 20 to 40 minutes.
pub const SILENCE: Duration = Duration::from_hours(6);

/// Over how long a stretch requests and their refusals are compared.
pub const HEALTH_WINDOW: Duration = Duration::from_hours(24);

/// Days of which the counts are read to recognise cycles and their rhythm.
pub const HEALTH_DAYS: i64 = 7;

/// Items of the journal that are read for the writes of the last day, and for the reasons of refusals.
pub const HEALTH_ITEMS_MAX: usize = 2_000;

/// People whose externalIds are looked at: the first ones that came.
pub const EXTERNAL_IDS_READ: usize = 50;

/// The share of failures, in percent, above which Entra quarantines, and how many have to have failed for that.
pub const QUARANTINE_PERCENT: u64 = 40;
/// See [`QUARANTINE_PERCENT`].
pub const QUARANTINE_FAILURES: u64 = 5_000;
/// Failures above which Entra quarantines whatever their share.
pub const QUARANTINE_FAILURES_ANY: u64 = 40_000;

/// Items of the journal that the question why somebody is not there looks through at a time.
pub const WHY_ITEMS_MAX: usize = 5_000;

/// Changes of a person that are followed back from the last one, each a read.
pub const WHY_CHANGES_MAX: usize = 20;

/// People that one name may mean, groups of one that are named, and rows of each sort that an answer has.
pub const WHY_PEOPLE_MAX: usize = 5;
/// See [`WHY_PEOPLE_MAX`].
pub const WHY_GROUPS_MAX: usize = 100;
/// See [`WHY_PEOPLE_MAX`].
pub const WHY_ROWS_MAX: usize = 50;
/// Largest federation metadata document in bytes. Entra's is about 50 kB.
pub const SAML_METADATA_BYTES_MAX: usize = 1024 * 1024;

/// Most nodes of such a document; Entra's has some hundreds. What is below them is memory.
pub const SAML_NODES_MAX: usize = 20_000;

/// Most attributes of such a document, counted by their equals signs. Their reader takes the square of an element's.
pub const SAML_ATTRIBUTES_MAX: usize = 5_000;

/// Most namespace declarations of such a document. Their reader takes up to the third power; AD FS repeats one on each of
/// its claims, some hundred times.
pub const SAML_NAMESPACES_MAX: usize = 1_000;

/// Most signing certificates that are read of a document; directories have one or two, and four while they change them.
pub const SAML_CERTIFICATES_MAX: usize = 20;

/// Longest entityID or address in it, in bytes. SAML allows 1,024 characters for an entityID.
pub const SAML_TEXT_BYTES_MAX: usize = 2 * 1024;

/// Days for which a signing certificate has to be good still, so that nobody sets up what ends next week.
pub const SAML_CERTIFICATE_DAYS_MIN: i64 = 30;

/// Length of a window of the brake on mass changes when nobody says otherwise, and at most, in minutes.
pub const BRAKE_WINDOW_MINUTES: u64 = 60;
/// See [`BRAKE_WINDOW_MINUTES`].
pub const BRAKE_WINDOW_MINUTES_MAX: u64 = 1_440;

/// People who pass the brake in each window whatever is held, when nobody says otherwise, and at most.
pub const BRAKE_BUDGET: u64 = 5;
/// See [`BRAKE_BUDGET`].
pub const BRAKE_BUDGET_MAX: u64 = 100;

/// Held changes that one page of a release settles, a transaction each.
pub const BRAKE_STEPS_PER_PAGE: usize = 50;

/// Days after which somebody is told again of a condition that has not gone.
pub const WATCH_AGAIN_DAYS: u64 = 7;

/// How long ago somebody has to have been told of a condition that has gone and come back: what comes and goes is not told
/// each time.
pub const WATCH_BACK_MIN: Duration = Duration::from_hours(6);

/// How long a notice that somebody has begun to tell is left alone: longer than telling takes.
pub const WATCH_CLAIM: Duration = Duration::from_mins(15);

/// How long one run looks at tenants: the function's time limit is 15 minutes.
pub const WATCH_RUN_MAX: Duration = Duration::from_mins(12);

/// Tenants that one run looks at. Each run begins with another one.
pub const WATCH_TENANTS_MAX: usize = 20_000;

/// Notices in one message; SNS takes 256 kB.
pub const WATCH_NOTICES_PER_MESSAGE: usize = 40;

/// Days before a token's end from which somebody is told, and before a signing certificate's.
pub const WATCH_TOKEN_DAYS: i64 = 30;
/// See [`WATCH_TOKEN_DAYS`].
pub const WATCH_CERTIFICATE_DAYS: i64 = 30;

/// Life of a setup link when nobody says otherwise, in days.
pub const LINK_LIFE_DAYS: i64 = 7;

/// Longest life that a setup link can be given, in days: it opens a customer's settings, and lies in a mailbox.
pub const LINK_LIFE_DAYS_MAX: i64 = 30;

/// Days for which a setup link that was opened is kept, to say so: a backend may have one made for each visit.
pub const LINK_USED_KEPT_DAYS: i64 = 7;

/// Setup links of a tenant that may be open, or have a session, at the same time.
pub const LINKS_MAX: usize = 20;

/// Life of the session that a setup link is exchanged for, in hours: a working day.
pub const SESSION_LIFE_HOURS: i64 = 8;

/// Largest form of the portal in bytes: a metadata document, and what is around it.
pub const FORM_BYTES_MAX: usize = 1_088 * 1024;

/// Most fields of such a form, or of its query; the largest has ten.
pub const FORM_FIELDS_MAX: usize = 20;

/// Rows of one page of the portal's provisioning log.
pub const LOG_ROWS_PER_PAGE: usize = 50;

/// Cycles that the portal's health page shows, the newest ones.
pub const CYCLES_SHOWN: usize = 20;

/// Pause in seconds after which the portal's page that waits for the identity provider's calls is loaded again.
pub const WAITING_PAUSE_SECONDS: u32 = 5;

/// Schema files of a deployment's own.
pub const SCHEMA_FILES_MAX: usize = 100;

/// Largest schema file in bytes.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// Attributes of a schema of a deployment's own, and sub-attributes of one of them.
pub const SCHEMA_ATTRIBUTES_MAX: usize = 100;

/// Schemas that a tenant may have switched on: their names are copied to its tokens' rows.
pub const TENANT_SCHEMAS_MAX: usize = 20;

/// Sets of switched-on schemas that a process keeps ready; others are put together for each call.
pub const SCHEMA_SETS_KEPT: usize = 64;

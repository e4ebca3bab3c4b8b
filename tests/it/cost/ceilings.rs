//! The ceilings: what an operation may take at most.

use super::table::{Row, row};

/// The large group costs what the group of one does.
#[track_caller]
fn same(small: &Row, large: &Row) {
    let told = |row: &Row| (row.kinds(), row.read().to_string(), row.write().to_string());
    assert_eq!(told(small), told(large), "{} and {}", small.operation, large.operation);
}

#[test]
fn a_match_on_user_name_is_one_call_and_one_read_unit() {
    for operation in ["match on userName, hit", "match on userName, nobody"] {
        let row = row(operation);
        assert_eq!((row.calls(), row.count("GetItem")), (1, 1), "{operation}");
        assert!(row.read() <= 1.0 && row.write() <= 0.0, "{operation}: {}", row.read());
    }
}

#[test]
fn a_get_by_id_is_two_calls() {
    assert!(row("GET user by id").calls() <= 2);
}

#[test]
fn a_post_is_one_transaction_and_no_read() {
    for operation in ["POST user", "POST group"] {
        let row = row(operation);
        assert_eq!((row.calls(), row.count("TransactWriteItems")), (1, 1), "{}", row.kinds());
    }
}

#[test]
fn a_patch_is_three_calls_and_writes_nothing_when_nothing_changes() {
    for operation in
        ["PATCH one attribute", "PATCH disable", "PATCH rename", "PATCH letter-case rename", "PUT"]
    {
        assert!(row(operation).calls() <= 3, "{operation}");
        assert_eq!(row(operation).count("TransactWriteItems"), 1, "{operation}");
    }
    for operation in ["PATCH that changes nothing", "PUT that changes nothing"] {
        let row = row(operation);
        assert!(row.calls() <= 2 && row.write() <= 0.0, "{operation}: {}", row.kinds());
    }
}

#[test]
fn one_member_is_one_transaction() {
    for operation in ["add 1 member, group of 1", "remove 1 member, group of 1"] {
        let row = row(operation);
        assert_eq!((row.calls(), row.count("TransactWriteItems")), (2, 1), "{}", row.kinds());
    }
}

#[test]
fn a_page_by_cursor_costs_the_same_wherever_it_is() {
    same(row("list by cursor, first page of 100"), row("list by cursor, page of 100 behind 1,900"));
}

#[test]
fn nothing_about_members_is_proportional_to_the_group() {
    for count in ["1 member", "30 members", "1,000 members"] {
        for op in ["add", "remove"] {
            same(
                row(&format!("{op} {count}, group of 1")),
                row(&format!("{op} {count}, large group")),
            );
        }
    }
}

#[test]
fn many_members_cost_in_proportion_to_their_number() {
    for op in ["add", "remove"] {
        let of = |count: &str| row(&format!("{op} {count}, large group"));
        let (one, many) = (of("1 member"), of("1,000 members"));
        // Thirty in a transaction; who is a member and who exists is read before, a hundred in a batch.
        assert_eq!(many.count("TransactWriteItems"), 1_000_usize.div_ceil(30));
        assert!(many.write() <= 1_000.0 * one.write(), "{op}: {}", many.write());
        assert!(many.calls() <= 1 + 34 + 2 * 10, "{op}: {}", many.kinds());
    }
}

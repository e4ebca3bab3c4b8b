//! What a stack costs a month: pure arithmetic over what each operation takes and what AWS asks for it.
//!
//! [`figures`] has what an operation takes, which a test measures; [`prices`] has the price list, with its date;
//! [`estimate`] multiplies them with what an identity provider does. `docs/COST.md` shows all three, and `scimctl cost`
//! the last for the reader's own numbers.

pub mod estimate;
pub mod figures;
pub mod prices;

//! AWS's prices, us-east-1, in dollars, without free tier.

/// When copies of the price lists had these prices. The lists themselves are what counts.
pub const AS_OF: &str = "November 2026";

/// One price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// What it is for.
    pub what: &'static str,
    /// The unit, for people.
    pub unit: &'static str,
    /// Dollars for the unit.
    pub dollars: f64,
    /// How many are in the unit.
    pub per: f64,
    /// Where it is published.
    pub source: &'static str,
}

const MILLION: f64 = 1e6;
const GATEWAY: &str = "https://aws.amazon.com/api-gateway/pricing/";
const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const DYNAMODB: &str = "https://aws.amazon.com/dynamodb/pricing/on-demand/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";

/// A request of the HTTP API.
pub const REQUEST: Price = Price {
    what: "API Gateway, HTTP API",
    unit: "million requests",
    dollars: 1.0,
    per: MILLION,
    source: GATEWAY,
};
/// An invocation of the function.
pub const INVOCATION: Price = Price {
    what: "Lambda, requests",
    unit: "million requests",
    dollars: 0.2,
    per: MILLION,
    source: LAMBDA,
};
/// The function's time and memory.
pub const GB_SECOND: Price = Price {
    what: "Lambda, arm64",
    unit: "GB-second",
    dollars: 0.000_013_333_4,
    per: 1.0,
    source: LAMBDA,
};
/// A read unit.
pub const READ_UNIT: Price = Price {
    what: "DynamoDB on demand, reads",
    unit: "million read units",
    dollars: 0.125,
    per: MILLION,
    source: DYNAMODB,
};
/// A write unit.
pub const WRITE_UNIT: Price = Price {
    what: "DynamoDB on demand, writes",
    unit: "million write units",
    dollars: 0.625,
    per: MILLION,
    source: DYNAMODB,
};
/// What lies in the tables.
pub const STORAGE: Price = Price {
    what: "DynamoDB, storage",
    unit: "GB-month",
    dollars: 0.25,
    per: 1e9,
    source: DYNAMODB,
};
/// Point-in-time recovery of the same.
pub const RECOVERY: Price = Price {
    what: "DynamoDB, point-in-time recovery",
    unit: "GB-month",
    dollars: 0.2,
    per: 1e9,
    source: DYNAMODB,
};
/// Lines of the two logs.
pub const LOGS: Price = Price {
    what: "CloudWatch, log lines taken in",
    unit: "GB",
    dollars: 0.5,
    per: 1e9,
    source: CLOUDWATCH,
};
/// A metric that an alarm looks at.
pub const ALARM: Price = Price {
    what: "CloudWatch, alarms",
    unit: "metric that an alarm looks at",
    dollars: 0.1,
    per: 1.0,
    source: CLOUDWATCH,
};
/// A metric of one's own.
pub const METRIC: Price = Price {
    what: "CloudWatch, metrics",
    unit: "metric of one's own",
    dollars: 0.3,
    per: 1.0,
    source: CLOUDWATCH,
};

/// All of them.
pub const ALL: [Price; 10] =
    [REQUEST, INVOCATION, GB_SECOND, READ_UNIT, WRITE_UNIT, STORAGE, RECOVERY, LOGS, ALARM, METRIC];

impl Price {
    /// What so many cost.
    pub fn of(&self, amount: f64) -> f64 {
        amount / self.per * self.dollars
    }
}

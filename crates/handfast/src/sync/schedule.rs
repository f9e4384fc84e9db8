//! How often we ask, and how long things live. All such numbers are here.

use std::time::Duration;

use handfast_keys::Timestamp;

/// How often a watching device asks for news, where a router cannot tell by itself.
pub const FOREGROUND: Duration = Duration::from_secs(15);

/// How long a router that can wait is asked to wait for news.
pub const LONG_POLL: Duration = Duration::from_secs(25);

/// How often a watching device looks for edits that another process has made in its store, if the
/// system doesn't tell of them.
pub const OWN_EDITS: Duration = Duration::from_secs(1);

/// How long a published record is valid. Any device can publish it again in that time without
/// a key, so a feed outlives months in a drawer, and a clock that is months behind.
pub const RECORD_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The beginning of 2026: a clock that shows less is wrong.
pub const NOT_BEFORE: Timestamp = Timestamp(1_767_225_600_000);

/// How long after that the records of a device with such a clock are valid.
pub const LOST_LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 3_600);

/// When less than this of a record's life is left, it is signed anew.
pub const RENEW_BELOW: Duration = Duration::from_secs(182 * 24 * 3_600);

/// How long a cache may keep a record.
pub const RECORD_TTL: Duration = Duration::from_secs(60);

/// A block that nobody has listed for this long is given up: devices may be behind by that much.
pub const UNPIN_AFTER: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How often is looked for such blocks.
pub const UNLISTED_EVERY: Duration = Duration::from_secs(3_600);

/// How many blocks are given up after a round, at most.
pub const UNPINS_AT_ONCE: usize = 64;

/// How many of them at a time.
pub const PARALLEL_UNPINS: usize = 4;

/// How long all routers together may take to answer.
pub const RESOLVE_DEADLINE: Duration = Duration::from_secs(40);

/// How long the others may take once one router has answered with a record.
pub const GRACE: Duration = Duration::from_secs(2);

/// How long once one has answered that it has none.
pub const LONG_GRACE: Duration = Duration::from_secs(15);

/// How long it is tried to leave word at a provider that is not used any more.
pub const TELL_FORMER: Duration = Duration::from_secs(90 * 24 * 3_600);

/// How long one such attempt may take.
pub const FORMER_DEADLINE: Duration = Duration::from_secs(20);

/// How often a device looks whether its own name still leads where it should.
pub const CHECK_OWN_NAME: Duration = Duration::from_secs(3_600);

/// Blocks that are fetched at a time.
pub const PARALLEL_FETCHES: usize = 8;

/// Segments that are fetched while one is applied.
pub const SEGMENTS_AHEAD: usize = 3;

/// Segments that are held verified, which takes several times the memory: the one that is applied,
/// and the next.
pub const VERIFIED: usize = 2;

/// How long a router may take to answer when a provider is tested. A DHT may take longer to find out
/// that it does not know a name.
pub const TEST_DEADLINE: Duration = Duration::from_secs(20);

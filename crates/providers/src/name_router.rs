//! Where names lead.

use std::time::Duration;

use async_trait::async_trait;
use handfast_ipfs::{Cid, Name, Record, RecordError};
use handfast_keys::Timestamp;

use crate::ProviderError;

/// Something that takes signed IPNS records and answers with the record of a name: a delegated
/// router, a host, a connected peer.
///
/// A router is not trusted: it may lose records, and bring back old ones. Its caller remembers the
/// highest record it has accepted. [`conformance::name_router`] tells whether an implementation
/// keeps its promises.
///
/// [`conformance::name_router`]: crate::conformance::name_router
#[async_trait]
pub trait NameRouter: Send + Sync {
    /// Publishes a record; doing it twice is no harm. A router that holds a newer one may answer
    /// [`Outdated`](crate::ErrorKind::Outdated).
    async fn publish(&self, record: &Record) -> Result<(), ProviderError>;

    /// Asks for the record of a name. What is returned has been verified for the name.
    async fn resolve(&self, name: &Name, query: &Resolve) -> Result<Resolved, ProviderError>;

    /// Whether it takes records; one that does not only resolves what others have published.
    fn publishes(&self) -> bool {
        true
    }

    /// The longest [`Resolve::wait`] that this router honours; `None` while it is not known to
    /// honour any. A caller that relies on waiting to pace itself must look here after each
    /// answer.
    fn longest_wait(&self) -> Option<Duration>;

    /// What and where it is, for people; without secrets.
    fn describe(&self) -> String;
}

/// How to ask for a record.
#[derive(Clone, Debug, Default)]
pub struct Resolve {
    /// The time, to refuse expired records by; `None` accepts them.
    pub now: Option<Timestamp>,
    /// What the caller has already: if the router holds just that, it answers
    /// [`Resolved::Unchanged`] in a few bytes.
    pub known: Option<Validator>,
    /// If there is nothing that the caller does not know, let the router wait this long for it
    /// to come. Routers without such a thing answer at once.
    pub wait: Option<Duration>,
}

impl Resolve {
    /// Asks for the latest record that is valid now.
    pub fn at(now: Timestamp) -> Self {
        Self { now: Some(now), ..Self::default() }
    }

    /// Asks for what differs from `known`.
    pub fn unless(mut self, known: Validator) -> Self {
        self.known = Some(known);
        self
    }

    /// Asks the router to wait for news.
    pub fn waiting(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }
}

/// What a router knows about a name.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// The record it holds, verified, and what to present at the next call. It may well be older
    /// than one that the caller has seen.
    Record(Record, Validator),
    /// It holds what the caller knows.
    Unchanged,
    /// It holds nothing, or nothing that is still valid. No news, not an error.
    Missing,
}

impl Resolved {
    /// Makes the answer to a query out of the bytes that a router gave for a name, and the entity
    /// tag that it gave with them. Bytes that are no record of the name are an error, an expired
    /// record is none at all.
    pub fn verify(
        name: &Name,
        query: &Resolve,
        bytes: &[u8],
        tag: Option<&str>,
    ) -> Result<Self, RecordError> {
        if query.known.as_ref().is_some_and(|known| known.matches(bytes)) {
            return Ok(Self::Unchanged);
        }
        match Record::parse(name, bytes, query.now) {
            Ok(record) => {
                let validator = Validator { tag: tag.map(str::to_owned), ..Validator::of(&record) };
                Ok(Self::Record(record, validator))
            }
            Err(RecordError::Expired(_)) => Ok(Self::Missing),
            Err(error) => Err(error),
        }
    }
}

/// Stands for a record that the caller has, in a question for another one.
///
/// [`Validator::of`] is always right, so it need not be stored; the one that came with a record
/// also holds the entity tag (RFC 9110, 8.8.3) that the router made up for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    record: Cid,
    tag: Option<String>,
}

impl Validator {
    /// The validator of a record: the hash of its bytes.
    pub fn of(record: &Record) -> Self {
        Self { record: Cid::of(record.as_bytes()), tag: None }
    }

    /// Whether these are the bytes that it stands for.
    pub fn matches(&self, record: &[u8]) -> bool {
        self.record == Cid::of(record)
    }

    /// The value of an `If-None-Match` header. A Handfast host tags a record with its hash, others
    /// with what they like: so both are offered.
    pub fn if_none_match(&self) -> String {
        let own = format!("\"{}\"", self.record);
        match &self.tag {
            Some(tag) if *tag != own => format!("{tag}, {own}"),
            _ => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use handfast_ipfs::{Draft, EMPTY_PATH};
    use handfast_keys::IpnsSecret;

    use super::*;

    fn record(key: &IpnsSecret, eol: u64) -> Record {
        Draft::new(EMPTY_PATH, 1, Timestamp(eol)).sign(key).unwrap()
    }

    #[test]
    fn answers_are_verified_and_compared() {
        let key = IpnsSecret::from_seed([7; 32]);
        let record = record(&key, 1000);
        let name = record.name();
        let verify = |query: &Resolve, bytes: &[u8]| Resolved::verify(name, query, bytes, None);

        let query = Resolve::at(Timestamp(999));
        let answer = verify(&query, record.as_bytes()).unwrap();
        assert!(matches!(answer, Resolved::Record(got, _) if got == record));
        assert!(verify(&query, &record.as_bytes()[1..]).is_err());
        let known = query.unless(Validator::of(&record));
        assert!(matches!(verify(&known, record.as_bytes()), Ok(Resolved::Unchanged)));
        let late = Resolve::at(Timestamp(1000));
        assert!(matches!(verify(&late, record.as_bytes()), Ok(Resolved::Missing)));
        let timeless = Resolve::default();
        assert!(matches!(verify(&timeless, record.as_bytes()), Ok(Resolved::Record(..))));
        let other = Name::of(IpnsSecret::from_seed([8; 32]).public());
        assert!(Resolved::verify(&other, &timeless, record.as_bytes(), None).is_err());
    }

    #[test]
    fn both_tags_are_offered() {
        let record = record(&IpnsSecret::from_seed([7; 32]), 1000);
        let own = format!("\"{}\"", Cid::of(record.as_bytes()));
        let offered = |tag| {
            let query = Resolve::default();
            match Resolved::verify(record.name(), &query, record.as_bytes(), tag) {
                Ok(Resolved::Record(_, validator)) => validator.if_none_match(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(offered(None), own);
        assert_eq!(offered(Some(&own)), own);
        assert_eq!(offered(Some("W/\"x\"")), format!("W/\"x\", {own}"));
        assert_eq!(Validator::of(&record).if_none_match(), own);
    }
}

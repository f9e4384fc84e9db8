//! Who may store blocks here.
//!
//! A token belongs to an account, and quotas and pins to the account. Only hashes of tokens are
//! kept in memory, so that neither a log nor a comparison can give one away.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use axum::http::HeaderValue;
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

/// The shortest token, in characters. Shorter ones can be guessed.
const MIN_TOKEN: usize = 16;
const MAX_NAME: usize = 32;

/// The name of an account: also the name of the file that its pins are in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AccountName(String);

impl AccountName {
    /// Accepts lower-case letters, digits, `-` and `_`, at most 32 of them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let valid = (1..=MAX_NAME).contains(&text.len()) && text.chars().all(fits);
        valid.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token that cannot be used. Whoever chose it must choose another; it is not repeated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Too short to be safe.
    #[error("a token needs at least {MIN_TOKEN} characters: choose a longer, random one")]
    TooShort,
    /// Characters that an HTTP header cannot carry, or a colon.
    #[error("a token consists of printable ASCII characters without spaces and colons")]
    Characters,
    /// An account's name that is none.
    #[error("an account's name is 1 to {MAX_NAME} of the characters a-z, 0-9, - and _")]
    Name,
}

/// The accepted tokens.
#[derive(Default)]
pub(crate) struct Tokens {
    accounts: HashMap<[u8; 32], AccountName>,
}

impl Tokens {
    /// Accepts a token: `token`, or `account:token`. A token without a name is an account of its
    /// own, called by the beginning of its hash.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), TokenError> {
        let (name, token) = match text.split_once(':') {
            Some((name, token)) => (Some(name), token),
            None => (None, text),
        };
        if !token.chars().all(|c| c.is_ascii_graphic() && c != ':') {
            return Err(TokenError::Characters);
        }
        if token.len() < MIN_TOKEN {
            return Err(TokenError::TooShort);
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let name = match name {
            Some(name) => AccountName::parse(name).ok_or(TokenError::Name)?,
            None => {
                let hex: String = HEXLOWER.encode(&hash).chars().take(16).collect();
                AccountName(format!("token-{hex}"))
            }
        };
        self.accounts.insert(hash, name);
        Ok(())
    }

    /// The accounts that there are tokens for.
    pub(crate) fn accounts(&self) -> BTreeSet<AccountName> {
        self.accounts.values().cloned().collect()
    }

    /// The account that an `Authorization` header opens.
    ///
    /// `Bearer token` is the usual form. `Basic` with the token as password is what programs send
    /// for `account:token`, so it is accepted with any user name.
    pub(crate) fn authorize(&self, header: &HeaderValue) -> Option<&AccountName> {
        let (scheme, payload) = header.to_str().ok()?.split_once(' ')?;
        let text = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => payload.trim().to_owned(),
            "basic" => String::from_utf8(BASE64.decode(payload.trim().as_bytes()).ok()?).ok()?,
            _ => return None,
        };
        let token = text.rsplit_once(':').map_or(text.as_str(), |(_, token)| token);
        // Found by its hash: how long this takes says nothing about the token.
        self.accounts.get(&<[u8; 32]>::from(Sha256::digest(token)))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.accounts.values()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[test]
    fn finds_the_account_of_a_header() {
        let mut tokens = Tokens::default();
        tokens.add(&format!("anna:{TOKEN}")).unwrap();
        tokens.add("fedcba9876543210").unwrap();
        let account = |header: String| {
            let header = HeaderValue::from_str(&header).unwrap();
            tokens.authorize(&header).map(ToString::to_string)
        };
        let basic = |text: String| format!("Basic {}", BASE64.encode(text.as_bytes()));
        let anna = Some("anna".to_owned());
        assert_eq!(account(format!("Bearer {TOKEN}")), anna);
        assert_eq!(account(format!("bearer {TOKEN}")), anna);
        assert_eq!(account(format!("Bearer anna:{TOKEN}")), anna);
        assert_eq!(account(basic(format!("anna:{TOKEN}"))), anna);
        assert_eq!(account(basic(format!("whoever:{TOKEN}"))), anna);
        assert_eq!(
            account("Bearer fedcba9876543210".into()),
            Some("token-3465f6e6975baa86".into())
        );
        for wrong in ["Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Basic !", TOKEN, "Digest x"]
        {
            assert_eq!(account(wrong.into()), None, "{wrong}");
        }
        assert_eq!(format!("{:?}", Tokens::default()), "{}");
    }

    #[test]
    fn refuses_what_is_no_token() {
        let add = |text: &str| Tokens::default().add(text);
        assert_eq!(add("short"), Err(TokenError::TooShort));
        assert_eq!(add(""), Err(TokenError::TooShort));
        assert_eq!(add("Anna:0123456789abcdef"), Err(TokenError::Name));
        assert_eq!(add("../x:0123456789abcdef"), Err(TokenError::Name));
        assert_eq!(add(":0123456789abcdef"), Err(TokenError::Name));
        assert_eq!(add("anna:0123456789:abcdef"), Err(TokenError::Characters));
        assert_eq!(add("0123456789 abcdef"), Err(TokenError::Characters));
    }
}

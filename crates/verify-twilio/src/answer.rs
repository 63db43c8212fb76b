//! What an HTTP answer of Twilio comes to, without anybody being called: for tests.
//!
//! It is judged by the code that judges real ones.

use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde::de::DeserializeOwned;
use verify_core::port::{Compared, Concluded, Dispatched, InquireRequest, Inquired};

use crate::client::Attempts;
use crate::provider::{compared, concluded, dispatched, judged};
use crate::transport::{CallError, Reply};
use crate::wire::AttemptPage;

/// An answer as it came, with the headers that are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// `Date`.
    pub date: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// As the answer to a start.
    pub fn dispatched(&self) -> Dispatched {
        dispatched(self.read())
    }

    /// As the answer to a check, of this verification where its id is known.
    pub fn compared(&self, asked: Option<&str>) -> Compared {
        compared(self.read(), asked)
    }

    /// As the answer to a cancel.
    pub fn concluded(&self) -> Concluded {
        concluded(self.read())
    }

    /// As the only page of attempts.
    pub fn inquired(&self, request: &InquireRequest) -> Inquired {
        let page = self.reply().and_then(|reply| {
            let page: AttemptPage = reply.read()?;
            Ok((page, reply.date))
        });
        match page {
            Ok((page, asked_at)) if page.meta.next_page_url.is_none() => {
                let attempts = page.attempts;
                judged(&Attempts { attempts, asked_at }, request)
            }
            Ok(_) | Err(_) => Inquired::Unknown,
        }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        self.reply()?.read()
    }

    fn reply(&self) -> Result<Reply, CallError> {
        let header = |name: HeaderName, text: Option<&str>| Some((name, HeaderValue::from_str(text?).ok()?));
        let headers: HeaderMap = header(RETRY_AFTER, self.retry_after)
            .into_iter()
            .chain(header(DATE, self.date))
            .collect();
        Reply::of(self.status, &headers, self.body.to_vec())
    }
}

//! All that a store holds, moved to another: rows in their kept form, so that it does not matter which kinds of stores they are.
//!
//! Versions, sequences and the epoch come along: whoever serves from the copy goes on where the other ended. What only a running
//! process needs stays behind: leases, the numbers of batches, and for how long a record was put off.

use async_trait::async_trait;
use verify_core::keys::Print;
use verify_core::store::{ClaimKey, ClaimKind, Origin, StoreFault, kept};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::written::{LaneRow, PutClaim, PutRow, put_row};

/// Rows that are read and written at a time.
const PAGE: usize = 1_000;

/// The kinds of rows of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// States of limits and lockouts.
    Counters,
    /// Records.
    Records,
    /// Claims.
    Claims,
    /// Events that were not acknowledged. Their key is their place: eight bytes, most significant first.
    Events,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Counters, Self::Records, Self::Claims, Self::Events];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::Records => "records",
            Self::Claims => "claims",
            Self::Events => "events",
        }
    }
}

/// A row in its kept form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The bytes of its key inside the service.
    pub key: Vec<u8>,
    /// Its value ([`kept`]).
    pub bytes: Vec<u8>,
}

impl Entry {
    /// When a counter may be forgotten.
    ///
    /// # Errors
    /// [`StoreFault::Corrupt`] when it is none.
    pub fn counter_ends(&self) -> Result<Timestamp, StoreFault> {
        kept::read_counter(&self.bytes).map(|(_, ends)| ends)
    }

    /// A record as it is written, put off or not.
    ///
    /// # Errors
    /// [`StoreFault::Corrupt`] when it is none.
    pub fn row(&self) -> Result<PutRow, StoreFault> {
        kept::read_row(&self.bytes).map(|row| put_row(&row))
    }

    /// A claim as it is written, of whatever kind.
    ///
    /// # Errors
    /// [`StoreFault::Corrupt`] when it is none.
    pub fn claim(&self) -> Result<PutClaim, StoreFault> {
        // The key says nothing of the value; a later program may have kinds that this one has no name for.
        let any = ClaimKey {
            kind: ClaimKind::Send,
            print: Print::from_bytes([0; 16]),
        };
        let claim = kept::read_claim(any, &self.bytes)?;
        Ok(PutClaim {
            bytes: self.bytes.clone(),
            expires_at: claim.expires_at,
        })
    }
}

/// A store that is read whole. Nobody may write to it meanwhile.
#[async_trait]
pub trait Source: Send + Sync {
    /// Where what it holds comes from. `None`: nothing ever began there.
    ///
    /// # Errors
    /// It cannot be read.
    async fn origin(&self) -> Result<Option<Origin>, StoreFault>;

    /// The lanes of all services, in the order of their names.
    ///
    /// # Errors
    /// It cannot be read.
    async fn lanes(&self) -> Result<Vec<(ServiceId, LaneRow)>, StoreFault>;

    /// A service's rows behind this key, in the order of their keys, at most `most`. Behind no bytes: from the first on.
    ///
    /// # Errors
    /// It cannot be read.
    async fn entries(
        &self,
        service: &ServiceId,
        table: Table,
        after: &[u8],
        most: usize,
    ) -> Result<Vec<Entry>, StoreFault>;
}

/// A store that is filled whole, in one transaction: when it ends early, nothing of it is there.
#[async_trait]
pub trait Target: Source {
    /// Begins the transaction.
    ///
    /// # Errors
    /// It cannot be written.
    async fn begin(&self) -> Result<(), StoreFault>;

    /// A service's lane, before its rows.
    ///
    /// # Errors
    /// It cannot be written.
    async fn put_lane(&self, service: &ServiceId, lane: LaneRow) -> Result<(), StoreFault>;

    /// Rows of a service.
    ///
    /// # Errors
    /// It cannot be written, or a row is not in its format.
    async fn put(&self, service: &ServiceId, table: Table, entries: Vec<Entry>) -> Result<(), StoreFault>;

    /// Takes over where all of it comes from, and commits.
    ///
    /// # Errors
    /// It cannot be written.
    async fn end(&self, origin: Origin) -> Result<(), StoreFault>;
}

/// What a store holds, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Services.
    pub services: u64,
    /// Rows by kind, in the order of [`Table::ALL`].
    pub rows: [u64; 4],
}

/// Why a store is not copied, or a copy is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// Reading.
    #[error("reading: {0}")]
    Reading(StoreFault),
    /// Writing.
    #[error("writing: {0}")]
    Writing(StoreFault),
    /// Nothing ever began where it is to come from.
    #[error("nothing was ever kept there")]
    NothingThere,
    /// Something is where it is to go.
    #[error("the store to fill holds something already; name an empty one")]
    NotEmpty,
    /// Read back, the two are not alike.
    #[error("read back, {what} are not the same")]
    Differ {
        /// What is not.
        what: String,
    },
}

/// Fills a store with all that another holds. It is not read back: [`compare`] does that.
///
/// # Errors
/// [`CopyError`]; nothing was filled then.
pub async fn copy(from: &dyn Source, to: &dyn Target) -> Result<(), CopyError> {
    let origin = from.origin().await.map_err(CopyError::Reading)?;
    let origin = origin.ok_or(CopyError::NothingThere)?;
    if !to.lanes().await.map_err(CopyError::Reading)?.is_empty() {
        return Err(CopyError::NotEmpty);
    }
    to.begin().await.map_err(CopyError::Writing)?;
    for (service, lane) in from.lanes().await.map_err(CopyError::Reading)? {
        to.put_lane(&service, lane).await.map_err(CopyError::Writing)?;
        for table in Table::ALL {
            let mut pages = Pages::of(from, &service, table);
            while let Some(page) = pages.next().await? {
                to.put(&service, table, page).await.map_err(CopyError::Writing)?;
            }
        }
    }
    to.end(origin).await.map_err(CopyError::Writing)
}

/// Reads two stores whole, and says what they hold if that is the same.
///
/// # Errors
/// [`CopyError::Differ`] when it is not.
pub async fn compare(one: &dyn Source, other: &dyn Source) -> Result<Held, CopyError> {
    let differ = |what: String| CopyError::Differ { what };
    let of = |origin: Option<Origin>| origin.map(|origin| (origin.epoch, origin.made, origin.accepted));
    let epochs = (one.origin().await, other.origin().await);
    if of(epochs.0.map_err(CopyError::Reading)?) != of(epochs.1.map_err(CopyError::Reading)?) {
        return Err(differ("the epochs".to_owned()));
    }
    let lanes = one.lanes().await.map_err(CopyError::Reading)?;
    if lanes != other.lanes().await.map_err(CopyError::Reading)? {
        return Err(differ("versions and sequences".to_owned()));
    }
    let mut held = Held {
        services: lanes.len() as u64,
        ..Held::default()
    };
    for (service, _) in &lanes {
        for (table, rows) in Table::ALL.into_iter().zip(&mut held.rows) {
            let mut pages = (Pages::of(one, service, table), Pages::of(other, service, table));
            loop {
                let (page, same) = (pages.0.next().await?, pages.1.next().await?);
                if page != same {
                    return Err(differ(format!("the {} of {service}", table.as_str())));
                }
                let Some(page) = page else { break };
                *rows += page.len() as u64;
            }
        }
    }
    Ok(held)
}

/// A service's rows, page by page.
struct Pages<'a> {
    from: &'a dyn Source,
    service: &'a ServiceId,
    table: Table,
    after: Vec<u8>,
}

impl<'a> Pages<'a> {
    fn of(from: &'a dyn Source, service: &'a ServiceId, table: Table) -> Self {
        Self {
            from,
            service,
            table,
            after: Vec::new(),
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<Entry>>, CopyError> {
        let page = self.from.entries(self.service, self.table, &self.after, PAGE);
        let page = page.await.map_err(CopyError::Reading)?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after.clone_from(&last.key);
        Ok(Some(page))
    }
}

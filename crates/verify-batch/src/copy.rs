//! All that a store holds, moved to another: rows in their kept form, so that it does not matter which kinds of stores they are.
//!
//! Versions, sequences and the epoch come along: whoever serves from the copy goes on where the other ended. What only a running
//! process needs stays behind: leases, the numbers of batches, and for how long a record was put off. So may what is outlived.

use std::collections::VecDeque;

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

    /// Whether a store may have dropped it by now.
    fn is_outlived(&self, table: Table, now: Timestamp) -> Result<bool, StoreFault> {
        let ends = match table {
            Table::Counters => Some(self.counter_ends()?),
            Table::Records => self.row()?.expires_at,
            Table::Claims => Some(self.claim()?.expires_at),
            Table::Events => None,
        };
        Ok(ends.is_some_and(|ends| ends <= now))
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

/// A store that is filled whole, in one transaction or as good as in one: when it ends early, nothing of it is there, or nothing that
/// anybody serves from.
#[async_trait]
pub trait Target: Source {
    /// Whether nothing is there that was not left by a copy which ended early.
    ///
    /// # Errors
    /// It cannot be read.
    async fn is_empty(&self) -> Result<bool, StoreFault> {
        Ok(self.lanes().await?.is_empty())
    }

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
    if !to.is_empty().await.map_err(CopyError::Reading)? {
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

/// Reads two stores whole, and says what they hold if that is the same; what one of them dropped meanwhile because it is outlived is in
/// neither.
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
    let mut now = Timestamp::ZERO;
    for (service, _) in &lanes {
        for (table, rows) in Table::ALL.into_iter().zip(&mut held.rows) {
            let mut pair = [one, other].map(|from| Rows::of(Pages::of(from, service, table)));
            let alike = alike(&mut pair, &mut now).await?;
            *rows += alike.ok_or_else(|| differ(format!("the {} of {service}", table.as_str())))?;
        }
    }
    Ok(held)
}

/// How many rows two tables have in common. `None`: one has a row that the other has not, or has otherwise, and that is not outlived at
/// `now`, which goes on as needed.
async fn alike(pair: &mut [Rows<'_>; 2], now: &mut Timestamp) -> Result<Option<u64>, CopyError> {
    let mut rows = 0;
    loop {
        let [one, other] = &mut *pair;
        one.fill().await?;
        other.fill().await?;
        let (left, right) = (one.page.front(), other.page.front());
        let lone = match (left, right) {
            (None, None) => return Ok(Some(rows)),
            (Some(left), Some(right)) if left == right => {
                rows += 1;
                one.page.pop_front();
                other.page.pop_front();
                continue;
            }
            (Some(left), Some(right)) if left.key == right.key => return Ok(None),
            (Some(left), Some(right)) if left.key < right.key => &mut *one,
            (Some(_), None) => &mut *one,
            (None | Some(_), Some(_)) => &mut *other,
        };
        let Some(row) = lone.page.pop_front() else {
            return Ok(None);
        };
        let table = lone.pages.table;
        let is_outlived = |now| row.is_outlived(table, now).map_err(CopyError::Reading);
        if !is_outlived(*now)? {
            for from in [one.pages.from, other.pages.from] {
                let origin = from.origin().await.map_err(CopyError::Reading)?;
                *now = origin.map_or(*now, |origin| origin.clock.max(*now));
            }
            if !is_outlived(*now)? {
                return Ok(None);
            }
        }
    }
}

/// A service's rows, one by one.
struct Rows<'a> {
    pages: Pages<'a>,
    page: VecDeque<Entry>,
}

impl<'a> Rows<'a> {
    fn of(pages: Pages<'a>) -> Self {
        Self {
            pages,
            page: VecDeque::new(),
        }
    }

    /// Has the next one there, if there is one.
    async fn fill(&mut self) -> Result<(), CopyError> {
        if self.page.is_empty() {
            self.page.extend(self.pages.next().await?.unwrap_or_default());
        }
        Ok(())
    }
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

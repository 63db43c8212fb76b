//! Statements that are kept prepared, on connections that surely lead to one process of the server.
//!
//! Planning is half of what a small transaction costs the server. But behind a pool that hands out connections by transaction a
//! statement that was prepared is in some process of the server, and the next transaction in another, where the same name may be
//! somebody else's statement. So a connection says a random word when it begins, and prepares only where the server has heard
//! it, which its first transaction sees: PgBouncer refuses such words, or drops them. And each transaction looks whether it is
//! where its statements were prepared, for pools that hand such words on, and ends as if it had never been where it is not.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use deadpool_postgres::{ClientWrapper, StatementCache};
use futures_util::future::try_join_all;
use futures_util::{FutureExt as _, try_join};
use parking_lot::Mutex;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, SimpleQueryMessage, Statement};

use crate::connect::Lines;
use crate::errors::is_about_a_statement;
use crate::statements::Statements;
use crate::transaction::Params;

/// The server's setting with the word that the connection began with.
pub(crate) const WORD: &str = "verify.direct";

/// A random word.
pub(crate) fn word() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Where a transaction is: the server's process, and what it heard on this connection.
#[derive(Debug)]
pub(crate) struct Here {
    process: String,
    mark: Option<String>,
    word: Option<String>,
}

impl Here {
    /// As its beginning says.
    pub(crate) fn read(said: &[SimpleQueryMessage]) -> Option<Self> {
        let row = said.iter().find_map(|said| {
            if let SimpleQueryMessage::Row(row) = said {
                Some(row)
            } else {
                None
            }
        })?;
        let [process, mark, word] = [0, 1, 2].map(|column| row.get(column).map(str::to_owned));
        Some(Self {
            process: process?,
            mark,
            word,
        })
    }
}

/// What a connection prepared, and where.
#[derive(Debug)]
pub(crate) struct Prepared {
    process: String,
    mark: String,
    statements: HashMap<String, Statement>,
}

impl Prepared {
    /// Whether this is where they were prepared.
    pub(crate) fn is_here(&self, here: &Here) -> bool {
        here.process == self.process && here.mark.as_ref() == Some(&self.mark)
    }
}

/// What is known of a connection.
#[derive(Debug, Clone)]
enum Known {
    /// It leads to the server itself.
    Direct,
    Prepared(Arc<Prepared>),
    /// Something is between, or it cannot be done.
    Never,
}

/// What the connections of a pool prepared.
#[derive(Debug)]
pub(crate) struct PreparedOn {
    /// What ours begin with. `None`: they are somebody else's.
    word: Option<String>,
    /// Something between was seen that hands their words on.
    given_up: AtomicBool,
    marks: AtomicU64,
    /// By connection, which has no other place for what belongs to it.
    of: Mutex<Vec<(Weak<StatementCache>, Known)>>,
}

impl PreparedOn {
    pub(crate) fn connections_with(word: Option<String>) -> Self {
        Self {
            word,
            given_up: AtomicBool::new(false),
            marks: AtomicU64::new(0),
            of: Mutex::default(),
        }
    }

    /// What is prepared on a connection. Nothing in its first transaction, in which it is seen whether it is direct; before its
    /// second one it is prepared, in a trip.
    pub(crate) async fn of(
        &self,
        client: &ClientWrapper,
        sql: &Statements,
    ) -> Result<Option<Arc<Prepared>>, Error> {
        let known = self.known(client);
        match known.filter(|_| !self.given_up.load(Ordering::Relaxed)) {
            Some(Known::Prepared(prepared)) => Ok(Some(prepared)),
            Some(Known::Direct) => {
                let word = self.word.as_deref().unwrap_or_default();
                let mark = format!("{word}-{}", self.marks.fetch_add(1, Ordering::Relaxed));
                let prepared = match prepare(client, sql, mark).await {
                    Ok(prepared) => Arc::new(prepared),
                    // It ended with its transaction, and would not succeed later.
                    Err(error) if is_about_a_statement(&error) => {
                        self.remember(client, Known::Never);
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                };
                self.remember(client, Known::Prepared(Arc::clone(&prepared)));
                Ok(Some(prepared))
            }
            Some(Known::Never) | None => Ok(None),
        }
    }

    /// Takes in where a connection is on which nothing is prepared: whether the server heard its word.
    pub(crate) fn saw(&self, client: &ClientWrapper, here: &Here) {
        if self.word.is_some() && self.known(client).is_none() {
            let is_direct = here.word == self.word;
            self.remember(client, if is_direct { Known::Direct } else { Known::Never });
        }
    }

    /// From now on nothing that was prepared is used, on none of them.
    pub(crate) fn give_up(&self) {
        if !self.given_up.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "verify::store",
                "a transaction was not where its statements had been prepared, as behind a pool: nothing is prepared any more"
            );
        }
    }

    fn known(&self, client: &ClientWrapper) -> Option<Known> {
        let of = self.of.lock();
        let cache = Arc::as_ptr(&client.statement_cache);
        let known = of
            .iter()
            .find(|(of, _)| of.as_ptr() == cache && of.strong_count() > 0);
        known.map(|(_, known)| known.clone())
    }

    fn remember(&self, client: &ClientWrapper, known: Known) {
        let mut of = self.of.lock();
        let cache = &client.statement_cache;
        of.retain(|(of, _)| of.strong_count() > 0 && of.as_ptr() != Arc::as_ptr(cache));
        of.push((Arc::downgrade(cache), known));
    }
}

/// All in one transaction, which is in one process.
async fn prepare(client: &Client, sql: &Statements, mark: String) -> Result<Prepared, Error> {
    let preparing = sql.of_every_batch().into_iter().map(|sql| {
        let prepared = client.prepare(sql);
        prepared.map(move |prepared| prepared.map(|prepared| (sql.clone(), prepared)))
    });
    let marked = format!("SELECT pg_backend_pid()::text, set_config('verify.prepared', '{mark}', false)");
    let ((), statements, rows, ()) = try_join!(
        client.batch_execute("BEGIN"),
        try_join_all(preparing),
        client.query_typed(&marked, &[]),
        client.batch_execute("COMMIT"),
    )?;
    Ok(Prepared {
        process: rows.first().map(|row| row.get(0)).unwrap_or_default(),
        mark,
        statements: statements.into_iter().collect(),
    })
}

/// A connection, with what is prepared on it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) client: &'a ClientWrapper,
    pub(crate) lines: &'a Lines,
    pub(crate) prepared: Option<&'a Prepared>,
}

impl Asked<'_> {
    fn prepared(&self, sql: &str) -> Option<&Statement> {
        self.prepared.and_then(|prepared| prepared.statements.get(sql))
    }

    pub(crate) async fn query(&self, sql: &str, params: &Params<'_>) -> Result<Vec<Row>, Error> {
        match self.prepared(sql) {
            Some(statement) => self.client.query(statement, &values(params)).await,
            None => self.client.query_typed(sql, params).await,
        }
    }

    pub(crate) async fn execute(&self, sql: &str, params: &Params<'_>) -> Result<u64, Error> {
        match self.prepared(sql) {
            Some(statement) => self.client.execute(statement, &values(params)).await,
            None => self.client.execute_typed(sql, params).await,
        }
    }
}

fn values<'a>(params: &Params<'a>) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|(value, _): &(_, Type)| *value).collect()
}

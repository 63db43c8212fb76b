//! Accounts, sessions and payments, in the memory of one process.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::header::COOKIE;
use axum::http::request::Parts;
use parking_lot::Mutex;

/// All accounts. Clones share everything.
#[derive(Clone, Default)]
pub struct Accounts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Account ids by number, in canonical form.
    by_number: HashMap<String, String>,
    /// Account ids by session.
    sessions: HashMap<String, String>,
    /// What was paid: account, amount, payee.
    paid: Vec<(String, String, String)>,
}

impl Accounts {
    /// The account of a number.
    pub fn of_number(&self, number: &str) -> Option<String> {
        self.0.lock().by_number.get(number).cloned()
    }

    /// The number of an account.
    pub fn number_of(&self, account: &str) -> Option<String> {
        let state = self.0.lock();
        let mut numbers = state.by_number.iter();
        numbers
            .find(|(_, id)| *id == account)
            .map(|(number, _)| number.clone())
    }

    /// The account of a number, a new one where there is none.
    pub fn open(&self, number: &str) -> String {
        let mut state = self.0.lock();
        let next = format!("account-{}", state.by_number.len() + 1);
        state.by_number.entry(number.to_owned()).or_insert(next).clone()
    }

    /// From now on this account has this number, if no other has it.
    pub fn change_number(&self, account: &str, number: &str) -> bool {
        let mut state = self.0.lock();
        if state.by_number.contains_key(number) {
            return false;
        }
        state.by_number.retain(|_, id| id != account);
        state.by_number.insert(number.to_owned(), account.to_owned());
        true
    }

    /// A session for an account, as the value of a `Set-Cookie` header.
    pub fn sign_in(&self, account: String) -> String {
        let session = format!("{:032x}", rand::random::<u128>());
        self.0.lock().sessions.insert(session.clone(), account);
        format!("session={session}; HttpOnly; Secure; SameSite=Lax; Path=/")
    }

    /// The account whose session a request shows.
    pub fn signed_in(&self, parts: &Parts) -> Option<String> {
        let cookies = parts.headers.get(COOKIE)?.to_str().ok()?;
        let session = cookies
            .split("; ")
            .find_map(|pair| pair.strip_prefix("session="))?;
        self.0.lock().sessions.get(session).cloned()
    }

    /// Pays, and says how many payments there are now.
    pub fn pay(&self, account: String, amount: String, payee: String) -> usize {
        let mut state = self.0.lock();
        state.paid.push((account, amount, payee));
        state.paid.len()
    }
}

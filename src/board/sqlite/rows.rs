//! The statements, and what is in their rows.
//!
//! Each function is one statement, but for the lists.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Result, Row as SqlRow, named_params, params};

use crate::board::lease::{Lease, Now};
use crate::board::rules::{self, Content, Standing};
use crate::board::values::{
    Append, ClaimRequest, Entry, Item, NewPosting, Owner, Posting, PostingId, Query, Request,
};
use crate::flow::state::State;

/// A posting, without its body and its requests.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: PostingId,
    pub(super) flow: String,
    pub(super) posted_at: Timestamp,
    pub(super) changed_at: Timestamp,
    pub(super) standing: Standing,
}

impl Row {
    pub(super) fn into_posting(self, body: Option<Arc<[u8]>>, requests: Vec<(u64, Request)>) -> Posting {
        let Standing { number, priority, state, term, owner, not_before, only_host, .. } = self.standing;
        let Row { id, flow, posted_at, changed_at, .. } = self;
        Posting {
            number,
            id,
            flow,
            body,
            priority,
            posted_at,
            changed_at,
            state,
            term,
            owner,
            not_before,
            only_host,
            requests,
        }
    }
}

/// A time of day as it is stored. What is not in the years 1678 to 2262 is taken for the nearest that is.
fn stored(time: Timestamp) -> i64 {
    let nanos = time.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn time(row: &SqlRow<'_>, column: &str) -> Result<Timestamp> {
    Ok(optional_time(row, column)?.unwrap_or(Timestamp::UNIX_EPOCH))
}

fn optional_time(row: &SqlRow<'_>, column: &str) -> Result<Option<Timestamp>> {
    let nanos: Option<i64> = row.get(column)?;
    let time = nanos.map(|nanos| Timestamp::from_nanosecond(nanos.into()));
    time.transpose().map_err(unreadable)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

fn unknown_name<T>(found: Option<T>) -> Result<T> {
    found.ok_or_else(|| unreadable(FromSqlError::InvalidType))
}

/// The place of an entry or a request among all.
fn slot(posting: u64, number: u64) -> i64 {
    ((posting << 32) | number.min(u32::MAX.into())).cast_signed()
}

fn number_of(slot: i64) -> u64 {
    slot.cast_unsigned() & u64::from(u32::MAX)
}

fn row(sql: &SqlRow<'_>) -> Result<Row> {
    let conductor: Option<String> = sql.get("conductor")?;
    let owner = conductor.map(|conductor| -> Result<Owner> {
        let boot: String = sql.get("lease_boot")?;
        let until: u64 = sql.get("lease_until")?;
        let lease = Lease { boot: boot.into(), until: Duration::from_nanos(until) };
        Ok(Owner { conductor, host: sql.get("host")?, lease })
    });
    let state: String = sql.get("state")?;
    let id: String = sql.get("id")?;
    Ok(Row {
        id: PostingId::new(id).map_err(unreadable)?,
        flow: sql.get("flow")?,
        posted_at: time(sql, "posted_at")?,
        changed_at: time(sql, "changed_at")?,
        standing: Standing {
            number: sql.get("number")?,
            priority: sql.get("priority")?,
            state: unknown_name(State::from_name(&state))?,
            term: sql.get("term")?,
            owner: owner.transpose()?,
            was_taken_away: sql.get("was_taken_away")?,
            position: sql.get("position")?,
            entries: sql.get("entries")?,
            not_before: optional_time(sql, "not_before")?,
            only_host: sql.get("only_host")?,
            requested: sql.get("requested")?,
            answered: sql.get("answered")?,
        },
    })
}

pub(super) fn find(db: &Connection, id: &PostingId) -> Result<Option<Row>> {
    db.prepare_cached("SELECT * FROM posting WHERE id = ?1")?.query_row([id.as_str()], row).optional()
}

pub(super) fn number(db: &Connection, id: &PostingId) -> Result<Option<u64>> {
    let mut found = db.prepare_cached("SELECT number FROM posting WHERE id = ?1")?;
    found.query_row([id.as_str()], |row| row.get(0)).optional()
}

/// What was posted under an id.
pub(super) struct Stored {
    flow: String,
    body: Vec<u8>,
    priority: i32,
    not_before: Option<Timestamp>,
}

impl Stored {
    pub(super) fn content(&self) -> Content<'_> {
        let Stored { flow, body, priority, not_before } = self;
        Content { flow, body, priority: *priority, not_before: *not_before }
    }
}

pub(super) fn content(db: &Connection, id: &PostingId) -> Result<Option<Stored>> {
    let sql =
        "SELECT flow, body, priority, posted_not_before FROM posting JOIN body USING (number) WHERE id = ?1";
    let stored = |row: &SqlRow<'_>| {
        Ok(Stored {
            flow: row.get("flow")?,
            body: row.get("body")?,
            priority: row.get("priority")?,
            not_before: optional_time(row, "posted_not_before")?,
        })
    };
    db.prepare_cached(sql)?.query_row([id.as_str()], stored).optional()
}

pub(super) fn insert(db: &Connection, now: &Now, posting: &NewPosting) -> Result<()> {
    let not_before = posting.not_before.map(stored);
    let at = stored(now.wall);
    let values = params![posting.id.as_str(), posting.flow, posting.priority, not_before, at];
    db.prepare_cached(
        "INSERT INTO posting (id, flow, priority, posted_not_before, not_before, posted_at, changed_at, state, is_open, \
         term, position, entries, was_taken_away, requested, answered) \
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?5, 'posted', 1, 0, 0, 0, 0, 0, 0)",
    )?
    .execute(values)?;
    db.prepare_cached("INSERT INTO body VALUES (?1, ?2)")?
        .execute(params![db.last_insert_rowid(), &posting.body[..]])?;
    Ok(())
}

pub(super) fn body(db: &Connection, number: u64) -> Result<Arc<[u8]>> {
    let body: Vec<u8> = db
        .prepare_cached("SELECT body FROM body WHERE number = ?1")?
        .query_row([number], |row| row.get(0))?;
    Ok(body.into())
}

/// Writes what may have changed of a posting.
pub(super) fn update(db: &Connection, row: &Row) -> Result<()> {
    let standing = &row.standing;
    let owner = standing.owner.as_ref();
    db.prepare_cached(
        "UPDATE posting SET changed_at = :changed_at, state = :state, is_open = :is_open, term = :term, \
         position = :position, entries = :entries, conductor = :conductor, host = :host, lease_boot = :lease_boot, \
         lease_until = :lease_until, was_taken_away = :was_taken_away, not_before = :not_before, only_host = :only_host, \
         requested = :requested, answered = :answered WHERE number = :number",
    )?
    .execute(named_params! {
        ":changed_at": stored(row.changed_at),
        ":state": standing.state.name(),
        ":is_open": standing.state.is_open(),
        ":term": standing.term,
        ":position": standing.position,
        ":entries": standing.entries,
        ":conductor": owner.map(|owner| &owner.conductor),
        ":host": owner.map(|owner| &owner.host),
        ":lease_boot": owner.map(|owner| &*owner.lease.boot),
        ":lease_until": owner.map(|owner| nanos(owner.lease.until)),
        ":was_taken_away": standing.was_taken_away,
        ":not_before": standing.not_before.map(stored),
        ":only_host": standing.only_host,
        ":requested": standing.requested,
        ":answered": standing.answered,
        ":number": standing.number,
    })?;
    Ok(())
}

pub(super) fn set_lease(db: &Connection, number: u64, lease: &Lease) -> Result<()> {
    db.prepare_cached("UPDATE posting SET lease_boot = ?2, lease_until = ?3 WHERE number = ?1")?
        .execute(params![number, &*lease.boot, nanos(lease.until)])?;
    Ok(())
}

/// Calls `take` with each posting that may be claimable, in the order of claims, until it has had enough.
fn in_order_of_claims(
    db: &Connection,
    now: &Now,
    host: &str,
    mut take: impl FnMut(Row) -> Result<bool>,
) -> Result<()> {
    // As `Standing::is_claimable` has it, which decides: this only saves reading rows.
    let mut expired: Vec<Row> = db
        .prepare_cached(
            "SELECT * FROM posting WHERE conductor IS NOT NULL \
             AND (lease_boot < ?1 OR lease_boot > ?1 OR (lease_boot = ?1 AND lease_until <= ?2))",
        )?
        .query_map(params![&*now.boot, nanos(now.since_boot)], row)?
        .collect::<Result<_>>()?;
    expired.sort_by_key(|row| row.standing.rank());
    let mut expired = expired.into_iter().peekable();
    let mut statement = db.prepare_cached(
        "SELECT * FROM posting WHERE is_open AND conductor IS NULL AND (not_before IS NULL OR not_before <= ?1) \
         AND (only_host IS NULL OR only_host = ?2) ORDER BY priority DESC, number",
    )?;
    let mut rows = statement.query(params![stored(now.wall), host])?;
    while let Some(waiting) = rows.next()? {
        let waiting = row(waiting)?;
        while let Some(first) = expired.next_if(|row| row.standing.rank() < waiting.standing.rank()) {
            if !take(first)? {
                return Ok(());
            }
        }
        if !take(waiting)? {
            return Ok(());
        }
    }
    for row in expired {
        if !take(row)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The posting that is claimed next.
pub(super) fn next(db: &Connection, now: &Now, request: &ClaimRequest) -> Result<Option<Row>> {
    let fits =
        |row: &Row| rules::is_wanted(request, &row.id) && row.standing.is_claimable(now, &request.host);
    if let Some(only) = &request.only {
        return Ok(find(db, only)?.filter(fits));
    }
    let mut found = None;
    in_order_of_claims(db, now, &request.host, |row| {
        if fits(&row) {
            found = Some(row);
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

/// The postings that a query asks for.
pub(super) fn list(db: &Connection, query: &Query) -> Result<Vec<Posting>> {
    let fits = |row: &Row| {
        row.standing.number > query.after
            && query.ids.as_ref().is_none_or(|ids| ids.contains(&row.id))
            && query.states.as_ref().is_none_or(|states| states.contains(&row.standing.state))
            && query.claimable.as_ref().is_none_or(|(now, host)| row.standing.is_claimable(now, host))
    };
    let limit = query.limit.unwrap_or(usize::MAX);
    let mut found: Vec<Row> = Vec::new();
    let mut take = |row: Row| {
        if found.len() < limit && fits(&row) {
            found.push(row);
        }
        Ok(found.len() < limit)
    };
    match (&query.ids, &query.claimable) {
        (None, Some((now, host))) => in_order_of_claims(db, now, host, take)?,
        (None, None) => in_order_of_age(db, query, take)?,
        (Some(ids), _) => {
            let mut rows = Vec::with_capacity(ids.len());
            for id in ids {
                rows.extend(find(db, id)?);
            }
            match query.claimable {
                Some(_) => rows.sort_by_key(|row| row.standing.rank()),
                None => rows.sort_by_key(|row| row.standing.number),
            }
            rows.dedup_by_key(|row| row.standing.number);
            for row in rows {
                take(row)?;
            }
        }
    }
    let mut postings = Vec::with_capacity(found.len());
    for row in found {
        let body = if query.with_body { Some(body(db, row.standing.number)?) } else { None };
        let requests = open_requests(db, &row.standing)?;
        postings.push(row.into_posting(body, requests));
    }
    Ok(postings)
}

fn in_order_of_age(db: &Connection, query: &Query, mut take: impl FnMut(Row) -> Result<bool>) -> Result<()> {
    // What is open has indexes, and what has ended is most of a board.
    let only_open = query.states.as_ref().is_some_and(|states| states.iter().all(|state| state.is_open()));
    let mut statement = db.prepare_cached(match only_open {
        true => {
            "SELECT * FROM posting WHERE is_open AND conductor IS NULL AND number > ?1 \
             UNION ALL SELECT * FROM posting WHERE conductor IS NOT NULL AND number > ?1 ORDER BY number"
        }
        false => "SELECT * FROM posting WHERE number > ?1 ORDER BY number",
    })?;
    let mut rows = statement.query([query.after])?;
    while let Some(next) = rows.next()? {
        if !take(row(next)?)? {
            break;
        }
    }
    Ok(())
}

pub(super) fn closed_before(db: &Connection, time: Timestamp) -> Result<Vec<u64>> {
    db.prepare_cached("SELECT number FROM posting WHERE NOT is_open AND changed_at < ?1")?
        .query_map([stored(time)], |row| row.get(0))?
        .collect()
}

pub(super) fn remove(db: &Connection, number: u64) -> Result<()> {
    let (first, last) = (slot(number, 0), slot(number, u64::MAX));
    db.prepare_cached("DELETE FROM entry WHERE slot BETWEEN ?1 AND ?2")?.execute([first, last])?;
    db.prepare_cached("DELETE FROM request WHERE slot BETWEEN ?1 AND ?2")?.execute([first, last])?;
    db.prepare_cached("DELETE FROM body WHERE number = ?1")?.execute([number])?;
    db.prepare_cached("DELETE FROM posting WHERE number = ?1")?.execute([number])?;
    Ok(())
}

pub(super) fn insert_entry(db: &Connection, posting: u64, entry: &Entry) -> Result<()> {
    let (step, fact) = match &entry.item {
        Item::Step(step) => (Some(serde_json::to_string(step).map_err(unreadable)?), None),
        Item::Fact(fact) => (None, Some(fact)),
    };
    let slot = slot(posting, entry.number);
    db.prepare_cached("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        slot,
        entry.term,
        entry.position,
        stored(entry.at),
        step,
        fact
    ])?;
    Ok(())
}

fn entry(row: &SqlRow<'_>) -> Result<Entry> {
    let step: Option<String> = row.get("step")?;
    let item = match step {
        Some(step) => Item::Step(serde_json::from_str(&step).map_err(unreadable)?),
        None => Item::Fact(row.get("fact")?),
    };
    Ok(Entry {
        number: number_of(row.get("slot")?),
        term: row.get("term")?,
        position: row.get("position")?,
        at: time(row, "at")?,
        item,
    })
}

pub(super) fn entries(db: &Connection, posting: u64, after: u64, limit: Option<usize>) -> Result<Vec<Entry>> {
    let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1));
    db.prepare_cached("SELECT * FROM entry WHERE slot > ?1 AND slot <= ?2 ORDER BY slot LIMIT ?3")?
        .query_map(params![slot(posting, after), slot(posting, u64::MAX), limit], entry)?
        .collect()
}

/// The entries that stand where an append would have put its own.
pub(super) fn appended_at(db: &Connection, posting: u64, append: &Append<'_>) -> Result<Vec<Entry>> {
    let (first, last) = (slot(posting, 0), slot(posting, u64::MAX));
    let end = append.position + append.items.len() as u64;
    db.prepare_cached(
        "SELECT * FROM entry WHERE slot BETWEEN ?1 AND ?2 AND term = ?3 AND position >= ?4 AND position < ?5 ORDER BY slot",
    )?
    .query_map(params![first, last, append.term, append.position, end], entry)?
    .collect()
}

pub(super) fn delete_facts(db: &Connection, posting: u64) -> Result<()> {
    db.prepare_cached("DELETE FROM entry WHERE slot BETWEEN ?1 AND ?2 AND fact IS NOT NULL")?
        .execute([slot(posting, 0), slot(posting, u64::MAX)])?;
    Ok(())
}

pub(super) fn insert_request(
    db: &Connection,
    standing: &Standing,
    now: &Now,
    request: Request,
) -> Result<()> {
    let slot = slot(standing.number, standing.requested);
    db.prepare_cached("INSERT INTO request VALUES (?1, ?2, ?3)")?.execute(params![
        slot,
        stored(now.wall),
        request.name()
    ])?;
    Ok(())
}

/// The requests that nobody has dealt with.
pub(super) fn open_requests(db: &Connection, standing: &Standing) -> Result<Vec<(u64, Request)>> {
    if standing.requested == standing.answered {
        return Ok(Vec::new());
    }
    let (first, last) = (slot(standing.number, standing.answered), slot(standing.number, u64::MAX));
    let request = |row: &SqlRow<'_>| -> Result<(u64, Request)> {
        let name: String = row.get("request")?;
        Ok((number_of(row.get("slot")?), unknown_name(Request::from_name(&name))?))
    };
    db.prepare_cached("SELECT * FROM request WHERE slot > ?1 AND slot <= ?2 ORDER BY slot")?
        .query_map([first, last], request)?
        .collect()
}

pub(super) fn key(db: &Connection, key: &str) -> Result<Option<Vec<u8>>> {
    let mut found = db.prepare_cached("SELECT value FROM key WHERE key = ?1")?;
    found.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn set_key(db: &Connection, key: &str, value: Option<&[u8]>) -> Result<()> {
    match value {
        Some(value) => db.prepare_cached("REPLACE INTO key VALUES (?1, ?2)")?.execute(params![key, value])?,
        None => db.prepare_cached("DELETE FROM key WHERE key = ?1")?.execute([key])?,
    };
    Ok(())
}

//! What a batch of decisions brings about.

use std::borrow::Cow;
use std::collections::BTreeMap;

use guard_app::ports::{ExecutionBrief, Intake, StorageError};
use guard_domain::RuleId;
use guard_policy::{Effect, Verdict};
use uuid::Uuid;

use super::{Batch, Entry};
use crate::database::{Cell, Insert, Query, Session, insert};
use crate::ledger::windows::write_matches;
use crate::row::{micros, stored_value, text};

static INSERT_KEYS: Insert = insert!(
    "event_keys (tenant, source, key, body_sha256, event_id, created_at)",
    "(?, ?, ?, ?, ?, ?)",
    "$1::text[], $2::text[], $3::text[], $4::bytea[], $5::uuid[], $6::bigint[]",
    "ON CONFLICT (tenant, source, key) DO UPDATE SET body_sha256 = excluded.body_sha256, event_id = excluded.event_id,
         created_at = excluded.created_at"
);

macro_rules! executions {
    () => {
        "rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity, severity_rank, state,
         cooldown_value, params, next_attempt_at, deadline, executed_at, finished_at, message, traceparent)"
    };
}

macro_rules! cooldowns {
    () => {
        "cooldowns (tenant, rule_id, value, claimed_by, until)"
    };
}

/// The later claim stays.
macro_rules! or_claim {
    () => {
        "ON CONFLICT (tenant, rule_id, value) DO UPDATE SET claimed_by = excluded.claimed_by, until = excluded.until"
    };
}

static INSERT_EXECUTIONS: Insert = insert!(
    executions!(),
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "",
    ""
);

static CLAIM_COOLDOWNS: Insert = insert!(cooldowns!(), "(?, ?, ?, ?, ?)", "", or_claim!());

/// Both as parts of a statement of PostgreSQL that writes nothing if there is no `link`. Their parameters begin with `$14`.
macro_rules! insert_effects {
    () => {
        concat!(
            "execution AS (
         INSERT INTO ",
            executions!(),
            "
         SELECT x.* FROM link, UNNEST($14::text[], $15::uuid[], $16::uuid[], $17::text[], $18::bigint[], $19::text[],
             $20::text[], $21::bigint[], $22::text[], $23::text[], $24::text[], $25::bigint[], $26::bigint[], $27::bigint[],
             $28::bigint[], $29::text[], $30::text[]) x
     ), cooldown AS (
         INSERT INTO ",
            cooldowns!(),
            "
         SELECT c.* FROM link, UNNEST($31::text[], $32::text[], $33::text[], $34::uuid[], $35::bigint[]) c ",
            or_claim!(),
            "
     ), "
        )
    };
}
pub(super) use {cooldowns, executions, insert_effects, or_claim};

/// The kinds of an execution's cells.
const EXECUTION: [Cell<'_>; 17] = {
    const T: Cell<'_> = Cell::TEXT;
    const I: Cell<'_> = Cell::ID;
    const N: Cell<'_> = Cell::NUMBER;
    [T, I, I, T, N, T, T, N, T, T, T, N, N, N, N, T, T]
};

/// The kinds of a cooldown's cells.
const COOLDOWN: [Cell<'_>; 5] = [Cell::TEXT, Cell::TEXT, Cell::TEXT, Cell::ID, Cell::NUMBER];

/// What one event adds to `rule_executions`.
struct NewExecution<'b> {
    intake: &'b Intake,
    brief: &'b ExecutionBrief,
    params: &'b str,
    /// Why it is not to be delivered, if it is not.
    dry_run: Option<&'b str>,
    rule_id: &'b RuleId,
    rule_version: u32,
    cooldown_value: Cow<'b, str>,
}

impl<'b> NewExecution<'b> {
    fn of(entry: &'b Entry<'_>) -> Option<Self> {
        let Verdict {
            decision,
            effect: Effect::Playbook {
                params, dry_run, ..
            },
            claim,
            ..
        } = &entry.verdict
        else {
            return None;
        };
        let value = claim.as_ref().map(|claim| stored_value(&claim.value));
        Some(Self {
            intake: entry.intake,
            brief: entry.execution.as_ref()?,
            params,
            dry_run: dry_run.then_some(decision.message.as_str()),
            rule_id: decision.rule_id.as_ref()?,
            rule_version: decision.rule_version?,
            cooldown_value: value.unwrap_or_default(),
        })
    }

    fn cells(&self, now: i64, deadline: i64) -> [Cell<'_>; 17] {
        let (intake, severity) = (self.intake, self.intake.event.severity());
        [
            intake.tenant.as_str().into(),
            self.brief.id.as_uuid().into(),
            intake.event_id.as_uuid().into(),
            self.rule_id.as_str().into(),
            i64::from(self.rule_version).into(),
            self.brief.playbook.as_str().into(),
            severity.as_str().into(),
            i64::from(severity.rank()).into(),
            self.brief.state.as_str().into(),
            self.cooldown_value.as_ref().into(),
            self.params.into(),
            now.into(),
            deadline.into(),
            now.into(),
            Cell::Number(self.dry_run.map(|_| now)),
            Cell::Text(self.dry_run),
            Cell::Text(intake.origin.traceparent.as_deref()),
        ]
    }
}

/// The executions of a batch, and the cooldowns that it claims.
pub(super) struct Effects<'b> {
    executions: Vec<NewExecution<'b>>,
    /// Who claims each value of a tenant's rule, and until when. Of two values that are stored as one, the later claim stays.
    cooldowns: BTreeMap<(&'b str, &'b str, Cow<'b, str>), (Uuid, i64)>,
    now: i64,
    deadline: i64,
}

impl Effects<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.executions.is_empty() && self.cooldowns.is_empty()
    }

    /// Writes them to SQLite.
    pub(super) async fn write(&self, session: &mut Session) -> Result<(), StorageError> {
        session
            .insert(&INSERT_EXECUTIONS, &self.execution_cells())
            .await?;
        session
            .insert(&CLAIM_COOLDOWNS, &self.cooldown_cells())
            .await
    }

    /// Binds them to a statement that has [`insert_effects!`].
    pub(super) fn bind<'s>(&self, query: Query<'s>) -> Query<'s> {
        query
            .bind_columns(&EXECUTION, &self.execution_cells())
            .bind_columns(&COOLDOWN, &self.cooldown_cells())
    }

    fn execution_cells(&self) -> Vec<[Cell<'_>; 17]> {
        let executions = self.executions.iter();
        executions
            .map(|execution| execution.cells(self.now, self.deadline))
            .collect()
    }

    fn cooldown_cells(&self) -> Vec<[Cell<'_>; 5]> {
        let mut rows = Vec::with_capacity(self.cooldowns.len());
        for ((tenant, rule, value), (claimed_by, until)) in &self.cooldowns {
            rows.push([
                (*tenant).into(),
                (*rule).into(),
                value.as_ref().into(),
                (*claimed_by).into(),
                (*until).into(),
            ]);
        }
        rows
    }
}

impl Batch<'_> {
    pub(super) fn effects(&self) -> Effects<'_> {
        let mut cooldowns = BTreeMap::new();
        for entry in &self.entries {
            let Some(claim) = &entry.verdict.claim else {
                continue;
            };
            let Some(until) = claim.until else { continue };
            let claimed_by = match &entry.execution {
                Some(execution) => execution.id.as_uuid(),
                None => entry.intake.event_id.as_uuid(),
            };
            let key = (
                entry.intake.tenant.as_str(),
                claim.rule_id.as_str(),
                stored_value(&claim.value),
            );
            cooldowns.insert(key, (claimed_by, micros(until)));
        }
        Effects {
            executions: self.entries.iter().filter_map(NewExecution::of).collect(),
            cooldowns,
            now: micros(self.now),
            deadline: micros(self.now + self.terms.execution_deadline),
        }
    }

    /// Writes what the record has no part of: a statement for each table, in one order.
    pub(in crate::ledger) async fn write_besides(
        &self,
        session: &mut Session,
    ) -> Result<(), StorageError> {
        self.write_keys(session).await?;
        let windows = self.entries.iter().flat_map(|entry| {
            let windows = entry.verdict.windows.iter();
            windows.map(|window| (entry.intake, window))
        });
        write_matches(session, &windows.collect::<Vec<_>>()).await?;
        for entry in &self.entries {
            if let Some(escalation) = &entry.escalation {
                let tenant = &entry.intake.tenant;
                self.store.raise(session, tenant, escalation).await?;
            }
        }
        Ok(())
    }

    async fn write_keys(&self, session: &mut Session) -> Result<(), StorageError> {
        let keys: Vec<_> = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry.intake, entry.intake.key.as_ref()?)))
            .map(|(intake, key)| (intake, key, text(&key.key)))
            .collect();
        let rows: Vec<_> = keys
            .iter()
            .map(|(intake, key, stored)| {
                [
                    intake.tenant.as_str().into(),
                    intake.event.source().as_str().into(),
                    stored.as_ref().into(),
                    key.body_sha256.as_slice().into(),
                    intake.event_id.as_uuid().into(),
                    micros(self.now).into(),
                ]
            })
            .collect();
        session.insert(&INSERT_KEYS, &rows).await
    }
}

//! The head of this process's chain, and what is not known of it.

use chrono::{DateTime, TimeDelta, Utc};
use guard_app::ports::{Clock, Random, StorageError, random_tail};
use guard_audit::{GENESIS, link_hash};
use guard_domain::id;
use uuid::Uuid;

use crate::database::Session;
use crate::planted_fault::{PlantedFault::SkippedAuditLink, SKIPPED_EVERY, is_planted};
use crate::row::micros;

/// A chain that has been silent for longer does not go on: retention, which keeps two days at least, may let go of all of it.
const SILENCE: TimeDelta = TimeDelta::days(1);

/// The chain that this process writes.
#[derive(Debug)]
pub(crate) struct Chain {
    id: Uuid,
    head: Head,
    /// When it was last asked for a place.
    used: DateTime<Utc>,
    /// The next link has been written, and its commit has not ended as far as is known.
    under_way: bool,
    /// Places whose links may have been committed or not.
    unheard: Vec<Place>,
}

/// The last link of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    link: i64,
    hash: [u8; 32],
}

impl Head {
    /// Before the first link.
    const NONE: Self = Self {
        link: 0,
        hash: GENESIS,
    };
}

/// Where a link goes. Of all transactions that write a link for one place only one can be committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) chain: Uuid,
    pub(crate) link: i64,
    pub(super) previous: [u8; 32],
}

impl Place {
    /// What the head becomes when the link is committed.
    pub(super) fn head(&self, hash: [u8; 32]) -> Head {
        Head {
            link: self.link,
            hash,
        }
    }
}

impl Chain {
    /// A new chain.
    pub(crate) fn begin(clock: &dyn Clock, random: &dyn Random) -> Self {
        Self {
            id: new_id(clock, random),
            head: Head::NONE,
            used: clock.now(),
            under_way: false,
            unheard: Vec::new(),
        }
    }

    /// Which chain it is.
    pub(crate) const fn id(&self) -> Uuid {
        self.id
    }

    /// The place of the next link. If it is not known whether the one before was committed, or that was long ago, it is the
    /// first of a new chain.
    pub(super) fn next(&mut self, clock: &dyn Clock, random: &dyn Random) -> Place {
        let now = clock.now();
        if self.under_way {
            self.unheard.push(self.place());
        }
        if self.under_way || now - self.used > SILENCE {
            self.id = new_id(clock, random);
            self.head = Head::NONE;
        }
        self.used = now;
        self.under_way = true;
        self.place()
    }

    const fn place(&self) -> Place {
        Place {
            chain: self.id,
            link: self.head.link + 1,
            previous: self.head.hash,
        }
    }

    /// The link has been committed.
    pub(crate) fn advance(&mut self, head: Head) {
        self.head = head;
        self.head.link += i64::from(is_planted(SkippedAuditLink) && head.link % SKIPPED_EVERY == 0);
        self.under_way = false;
    }

    /// The link has not been committed, and will not be.
    pub(crate) fn stay(&mut self) {
        self.under_way = false;
    }

    /// Takes the places of links of which nothing was heard, as far as they are free, with links that stand for nothing: what
    /// has not been committed until then never will be. The places are forgotten by [`Chain::settled`].
    pub(crate) async fn settle(
        &mut self,
        session: &mut Session,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<(), StorageError> {
        if self.under_way {
            self.next(clock, random);
            self.under_way = false;
        }
        for place in &self.unheard {
            // Whoever is committing a link there is waited for.
            session
                .query(
                    "INSERT INTO audit_links (chain, link, previous, hash, records, created_at)
                     VALUES ($1, $2, $3, $4, 0, $5) ON CONFLICT (chain, link) DO NOTHING",
                )
                .bind(place.chain)
                .bind(place.link)
                .bind(place.previous.as_slice())
                .bind(link_hash(&place.previous, &[]).as_slice())
                .bind(micros(clock.now()))
                .execute()
                .await?;
        }
        Ok(())
    }

    /// What [`Chain::settle`] did is durable.
    pub(crate) fn settled(&mut self) {
        self.unheard.clear();
    }
}

fn new_id(clock: &dyn Clock, random: &dyn Random) -> Uuid {
    id::v7(clock.now(), random_tail(random))
}

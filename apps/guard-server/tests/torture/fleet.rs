//! The instances together, and what is done to them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use super::balancer::Balancer;
use super::instance::Instance;
use super::place::{LEASE, Place};
use super::plan::Act;
use super::run::micros_now;
use super::stand_in::StandIn;

/// How long deliveries are made to pile up before an instance is frozen.
const PILE_UP: Duration = Duration::from_millis(700);
/// How long a delivery takes at most.
const CALL: Duration = Duration::from_secs(1);
/// How often it is tried to meet an instance while it delivers something and the database tells what.
const FREEZE_TRIES: usize = 6;
/// How long a balancer takes to see that an instance is frozen.
const NOTICE: Duration = Duration::from_millis(700);
/// How much longer than a lease it takes until somebody else has claimed, at most.
const TAKE_OVER: Duration = Duration::from_secs(5);
/// How long others get to take over the rest, which is less than the stand-in holds a delivery.
const REST: Duration = Duration::from_millis(150);
/// Where Debian keeps the library that makes a process see another wall clock.
const FAKETIME: &str = "faketime/libfaketimeMT.so.1";

/// What has been done.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) kills: AtomicU64,
    pub(crate) stops: AtomicU64,
    pub(crate) breaks: AtomicU64,
    pub(crate) freezes: AtomicU64,
    pub(crate) takeovers: AtomicU64,
    pub(crate) jumps: AtomicU64,
}

struct Member {
    instance: Instance,
    /// Frozen, or on the way to it: left alone by everything else.
    frozen: AtomicBool,
    /// Whether a start is under way, which ends only when the instance is up.
    starting: AtomicBool,
    place: usize,
}

pub(crate) struct Fleet {
    members: Vec<Arc<Member>>,
    place: Arc<Place>,
    balancer: Arc<Balancer>,
    n8n: Arc<StandIn>,
    pub(crate) done: Arc<Done>,
    /// What goes on by itself: starts and freezes.
    under_way: JoinSet<Result<(), String>>,
    /// Breaking and mending the database are one act.
    database: Arc<tokio::sync::Mutex<()>>,
}

impl Fleet {
    /// Instances that are not started yet. Of several, the last has a wall clock of its own.
    pub(crate) fn new(
        count: usize,
        place: Arc<Place>,
        balancer: Arc<Balancer>,
        n8n: Arc<StandIn>,
        fault: Option<&'static str>,
    ) -> Result<Self, String> {
        let mut members = Vec::new();
        for number in 0..count {
            let mut environment = place.environment();
            environment.push(("N8N_BASE_URL", format!("http://{}", n8n.address())));
            let public = format!("http://{}", balancer.address());
            environment.push(("NEURAL_GUARD__SERVER__PUBLIC_URL", public));
            if let Some(fault) = fault {
                environment.push((guard_store::PLANTED_FAULT, fault.to_owned()));
            }
            if count > 1 && number == count - 1 {
                environment.extend(own_clock(&place.path("clock"))?);
            }
            let name = format!("guard-{number}");
            members.push(Arc::new(Member {
                instance: Instance::new(name, environment, place.path("")),
                frozen: AtomicBool::new(false),
                starting: AtomicBool::new(false),
                place: number,
            }));
        }
        Ok(Self {
            members,
            place,
            balancer,
            n8n,
            done: Arc::default(),
            under_way: JoinSet::new(),
            database: Arc::default(),
        })
    }

    /// Starts every instance that is not up, and waits until all are.
    pub(crate) async fn start_all(&mut self) -> Result<(), String> {
        for member in self.members.clone() {
            self.start(&member, Duration::ZERO);
        }
        self.settle().await
    }

    /// Waits for everything that is under way.
    pub(crate) async fn settle(&mut self) -> Result<(), String> {
        while let Some(ended) = self.under_way.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        Ok(())
    }

    /// What has gone wrong beside.
    pub(crate) fn trouble(&mut self) -> Result<(), String> {
        while let Some(ended) = self.under_way.try_join_next() {
            ended.map_err(|error| error.to_string())??;
        }
        Ok(())
    }

    pub(crate) fn act(&mut self, act: Act) -> Result<(), String> {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match act {
            Act::Kill { instance, away } => {
                let Some(member) = self.at_hand(instance) else {
                    return Ok(());
                };
                member.instance.signal("KILL");
                count(&self.done.kills);
                self.balancer.set(member.place, None);
                self.start(&member, away);
            }
            Act::Stop { instance, away } => {
                let Some(member) = self.at_hand(instance) else {
                    return Ok(());
                };
                member.instance.signal("TERM");
                count(&self.done.stops);
                self.balancer.set(member.place, None);
                self.start(&member, away);
            }
            Act::BreakDatabase { away } => {
                count(&self.done.breaks);
                let (place, turn) = (self.place.clone(), self.database.clone());
                self.under_way.spawn(async move {
                    let _turn = turn.lock().await;
                    place.break_database().await?;
                    sleep(away).await;
                    place.mend_database().await
                });
            }
            Act::Jump { offset } => {
                count(&self.done.jumps);
                set_clock(&self.place.path("clock"), offset)?;
            }
            Act::Freeze { instance } => {
                if let Some(member) = self.at_hand(instance) {
                    member.frozen.store(true, Ordering::Relaxed);
                    let freezing = Freezing {
                        member,
                        place: self.place.clone(),
                        balancer: self.balancer.clone(),
                        n8n: self.n8n.clone(),
                        done: self.done.clone(),
                    };
                    self.under_way.spawn(freezing.run());
                }
            }
        }
        Ok(())
    }

    /// An instance, or the next one if it is frozen.
    fn at_hand(&self, instance: usize) -> Option<Arc<Member>> {
        let count = self.members.len();
        let candidates = (0..count).map(|step| &self.members[(instance + step) % count]);
        let mut awake = candidates.filter(|member| !member.frozen.load(Ordering::Relaxed));
        awake.next().cloned()
    }

    fn start(&mut self, member: &Arc<Member>, away: Duration) {
        if member.starting.swap(true, Ordering::Relaxed) {
            return;
        }
        let (member, balancer) = (member.clone(), self.balancer.clone());
        self.under_way.spawn(async move {
            sleep(away).await;
            let starting = member.clone();
            let address = spawn_blocking(move || starting.instance.start()).await;
            member.starting.store(false, Ordering::Relaxed);
            balancer.set(
                member.place,
                Some(address.map_err(|error| error.to_string())??),
            );
            Ok(())
        });
    }

    /// Stops every instance in an orderly way.
    pub(crate) async fn stop_all(&mut self) -> Result<(), String> {
        self.settle().await?;
        for member in &self.members {
            member.instance.signal("TERM");
        }
        let members = self.members.clone();
        let waiting = move || members.iter().for_each(|member| member.instance.wait());
        spawn_blocking(waiting)
            .await
            .map_err(|error| error.to_string())
    }
}

/// An instance that is frozen.
struct Freezing {
    member: Arc<Member>,
    place: Arc<Place>,
    balancer: Arc<Balancer>,
    n8n: Arc<StandIn>,
    done: Arc<Done>,
}

impl Freezing {
    /// Stops an instance in the midst of deliveries until another has claimed one of them, and lets it go on at that moment.
    async fn run(self) -> Result<(), String> {
        for _ in 0..FREEZE_TRIES {
            if self.freeze_amid_deliveries().await {
                self.done.freezes.fetch_add(1, Ordering::Relaxed);
                sleep(NOTICE).await;
                self.balancer.hide(self.member.place);
                let taken = tokio::time::timeout(LEASE + TAKE_OVER, self.n8n.redelivered()).await;
                if taken.is_ok() {
                    self.done.takeovers.fetch_add(1, Ordering::Relaxed);
                    sleep(REST).await;
                }
                self.balancer.show(self.member.place);
                self.thaw();
                break;
            }
            self.thaw();
        }
        self.member.frozen.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn thaw(&self) {
        self.member.instance.signal("CONT");
    }

    /// Stops the instance; whether it was delivering something.
    async fn freeze_amid_deliveries(&self) -> bool {
        self.n8n.set_sluggish(true);
        sleep(PILE_UP).await;
        self.member.instance.signal("STOP");
        let claims = match self.place.reader().await {
            Ok(mut reader) => reader.claims().await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let own: Vec<_> = claims
            .into_iter()
            .filter(|claim| claim.owner.as_ref() == Some(&self.member.instance.name))
            // Older ones were left by the process before.
            .filter(|claim| claim.lease_end > micros_now() + (LEASE - CALL).as_micros() as i64)
            .map(|claim| (claim.execution, claim.attempt))
            .collect();
        let delivers = !own.is_empty();
        self.n8n.hold(own);
        self.n8n.set_sluggish(false);
        delivers
    }
}

/// What gives a process a wall clock of its own; its monotonic clock stays.
fn own_clock(file: &Path) -> Result<Vec<(&'static str, String)>, String> {
    let folders = std::fs::read_dir("/usr/lib").map_err(|error| format!("`/usr/lib`: {error}"))?;
    let libraries = folders.flatten().map(|folder| folder.path().join(FAKETIME));
    let library = libraries.into_iter().find(|library| library.exists()).ok_or(
        "libfaketime is not installed, with which a clock is made to jump: on Debian `apt-get install libfaketime`",
    )?;
    set_clock(file, "+0")?;
    Ok(vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ])
}

/// In one step, so that nobody reads half of it.
fn set_clock(file: &Path, offset: &str) -> Result<(), String> {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, offset)
        .and_then(|()| std::fs::rename(&fresh, file))
        .map_err(|error| format!("`{}` cannot be written: {error}", file.display()))
}

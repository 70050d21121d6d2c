//! Starting and stopping.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use guard_app::ports::{Actor, PublishMode};
use guard_http::{ServeSettings, Tls, interface, metrics_interface, serve as serve_http};
use guard_store::Store;
use secrecy::ExposeSecret;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::certificate::ServedCertificate;
use crate::config::Settings;
use crate::logging;
use crate::wiring::{Guard, Surroundings, build, make_data_folder};

/// How long requests under way may take when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs the server until it is told to stop.
///
/// # Errors
/// What keeps it from starting.
pub fn serve(settings: Settings) -> anyhow::Result<ExitCode> {
    logging::start(&settings.log_filter);
    if let Some(fault) = guard_store::planted_fault().map_err(anyhow::Error::msg)? {
        tracing::error!(
            fault = fault.as_str(),
            "a fault is planted: for tests of the tests only"
        );
    }
    // Connections have threads of their own. In a flood a thousand of them are ready at a time, and a commit or a delivery would
    // wait for all of them at each of its steps.
    let (connections, engine) = (runtime("http")?, runtime("engine")?);
    engine.block_on(run(settings, connections.handle()))
}

fn runtime(name: &str) -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name(name)
        .enable_all()
        .build()
}

async fn run(settings: Settings, connections: &Handle) -> anyhow::Result<ExitCode> {
    // Of PostgreSQL several instances may work at once.
    let _lock = make_data_folder(&settings)?.map(Store::lock).transpose()?;
    let listener = bind(settings.listen, connections)?;
    let address = listener.local_addr()?;
    let mut guard = build(&settings, address, Surroundings::default()).await?;
    // Nobody could come in later if it were lost with what fails below.
    if let Some(key) = &guard.generated_key {
        println!("admin key, shown this once: {}", key.expose_secret());
    }
    guard
        .load_rules(&settings, PublishMode::NeverSeen, &Actor::system("start"))
        .await?;
    if settings.dry_run {
        tracing::warn!("dry run: decisions are recorded, and nothing is called");
    }
    let mut signals = Signals::new()?;
    let certificate = ServedCertificate::load(&settings)?;
    let tls = certificate
        .as_ref()
        .map(|certificate| certificate.tls.clone());
    let mut servers = start_servers(&settings, &guard, listener, tls, connections)?;
    let mut background = guard.start_background(&settings);
    if let Some(certificate) = &certificate {
        background.spawn(certificate.clone().follow(guard.stops.background.clone()));
    }
    println!("listening on {}://{address}", settings.scheme());
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.reload.recv() => {
                if let Some(certificate) = &certificate {
                    certificate.reload().await;
                }
                reload(&settings, &guard).await;
            }
            Some(_) = servers.join_next() => anyhow::bail!("the HTTP server broke off"),
            Some(_) = background.join_next() => anyhow::bail!("a task in the background broke off"),
            () = guard.committer_ended() => anyhow::bail!("the committer broke off"),
        }
    }
    tokio::spawn(async move {
        signals.stop().await;
        tracing::warn!("a second signal: leaving at once");
        std::process::exit(1);
    });
    stop(&settings, guard, &mut servers, &mut background).await;
    Ok(ExitCode::SUCCESS)
}

/// How many connections may wait to be accepted; the system may allow fewer. Where none may wait, a sender who comes back with all its
/// connections at once is kept waiting for a second, until it knocks again.
const BACKLOG: u32 = 4096;

fn bind(address: std::net::SocketAddr, connections: &Handle) -> anyhow::Result<TcpListener> {
    // A socket belongs to the runtime in which it is made.
    let _entered = connections.enter();
    let listen = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().with_context(|| {
        format!(
            "cannot listen on {address}; is another server there? `server.listen` names the address"
        )
    })
}

fn start_servers(
    settings: &Settings,
    guard: &Guard,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    connections: &Handle,
) -> anyhow::Result<JoinSet<()>> {
    let bounds = ServeSettings {
        max_connections: settings.connections.max_connections,
        max_connections_per_address: settings.connections.max_connections_per_address,
        header_timeout: settings.connections.header_timeout,
        idle_timeout: settings.connections.idle_timeout,
        write_timeout: settings.connections.write_timeout,
        tls: None,
        drain: DRAIN,
        leaving: guard.stops.leaving.clone(),
    };
    let mut servers = JoinSet::new();
    if let Some(address) = settings.metrics_listen {
        let metrics = bind(address, connections)?;
        let interface = metrics_interface(guard.api.clone());
        tracing::info!("metrics on http://{}/metrics", metrics.local_addr()?);
        let serve = serve_http(
            metrics,
            interface,
            bounds.clone(),
            guard.stops.requests.clone(),
        );
        servers.spawn_on(serve, connections);
    }
    let interface = interface(guard.api.clone());
    let bounds = ServeSettings { tls, ..bounds };
    let serve = serve_http(listener, interface, bounds, guard.stops.requests.clone());
    servers.spawn_on(serve, connections);
    Ok(servers)
}

/// Publishes what differs; what is wrong changes nothing.
async fn reload(settings: &Settings, guard: &Guard) {
    tracing::info!("reading the rules again");
    let actor = Actor::system("reload");
    if let Err(error) = guard
        .load_rules(settings, PublishMode::Differs, &actor)
        .await
    {
        tracing::error!("the rules stay as they are:\n{error:#}");
    }
}

/// Not ready, wait for the balancer while connections end after their next answer, stop accepting, answer who waits, commit what waits, stop claiming, let deliveries
/// end.
async fn stop(
    settings: &Settings,
    mut guard: Guard,
    servers: &mut JoinSet<()>,
    background: &mut JoinSet<()>,
) {
    tracing::info!("stopping");
    guard.health.begin_stop();
    guard.stops.leaving.cancel();
    tokio::time::sleep(settings.stop_delay).await;
    guard.stops.requests.cancel();
    while servers.join_next().await.is_some() {}
    guard.drain().await;
    guard.stops.background.cancel();
    while background.join_next().await.is_some() {}
    guard.close().await;
    tracing::info!("stopped");
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

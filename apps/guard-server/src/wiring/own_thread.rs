//! Threads for what keeps its thread busy.

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Runs a task on a thread of its own, where nobody else has to wait for it. What is given ends when the task ends, or breaks off.
pub(super) fn on_its_own_thread(
    name: &str,
    task: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<impl Future<Output = ()> + Send> {
    let runtime = Handle::current();
    // Nothing is sent: it is dropped.
    let (end, ended) = oneshot::channel::<()>();
    let run = move || {
        runtime.block_on(task);
        drop(end);
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)?;
    Ok(async move { drop(ended.await) })
}

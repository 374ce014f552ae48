//! The live tasks of a process, each with its name, its age and where it was spawned. They can be listed at any time, and waited for
//! at the end.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// A live task.
#[derive(Debug, Clone, Copy)]
pub struct TaskInfo {
    /// What it does.
    pub name: &'static str,
    /// When it was spawned.
    pub since: Instant,
    /// Where it was spawned.
    pub place: &'static Location<'static>,
}

/// A list of live tasks. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    alive: Arc<Mutex<Alive>>,
}

#[derive(Debug, Default)]
struct Alive {
    next: u64,
    tasks: BTreeMap<u64, TaskInfo>,
}

/// Work on a thread of its own; a future of its result.
#[derive(Debug)]
pub struct Blocking<T>(oneshot::Receiver<Result<T, BlockingError>>);

impl<T: Send + 'static> Blocking<T> {
    /// Starts work that may block on a thread of its own. It does not use the runtime's threads, because if the system refuses one,
    /// tokio waits forever or panics.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn start(name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (runtime, (sender, result)) = (Handle::current(), oneshot::channel());
        let work = move || {
            let _entered = runtime.enter();
            let done = catch_unwind(AssertUnwindSafe(work)).map_err(|panic| BlockingError::panicked(&*panic));
            // The future may have been dropped.
            let _received = sender.send(done);
        };
        let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(work) else { return Self(result) };
        let (sender, result) = oneshot::channel();
        // The receiver exists.
        let _sent = sender.send(Err(BlockingError::NoThread(error)));
        Self(result)
    }
}

/// Why work on a thread of its own has no result.
#[derive(Debug, thiserror::Error)]
pub enum BlockingError {
    /// The system refused to start a thread.
    #[error("cannot start a thread: {0}")]
    NoThread(io::Error),
    /// It panicked, with this message.
    #[error("it panicked: {0}")]
    Panicked(String),
}

impl BlockingError {
    fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Self::Panicked(text.unwrap_or_default())
    }
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, BlockingError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Even a panic sends a result.
        let sent = |sent: Result<_, _>| {
            sent.unwrap_or_else(|closed: RecvError| Err(BlockingError::Panicked(closed.to_string())))
        };
        Pin::new(&mut self.get_mut().0).poll(context).map(sent)
    }
}

/// Waits until the current runtime has at most so many tasks. It asks again and again: not all of them have a handle to await.
pub async fn at_most(count: usize) {
    let metrics = Handle::current().metrics();
    while metrics.num_alive_tasks() > count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How long [`left`] waits.
const MAX_PURGE: Duration = Duration::from_secs(1);

/// How many tasks a runtime has left once its work is done. Those of a purge, which anyone may ask for at any time, end in a moment: it
/// waits for them, a second at most.
#[must_use]
pub fn left(runtime: &Runtime) -> usize {
    // What is left is counted.
    let _in_time = runtime.block_on(async { tokio::time::timeout(MAX_PURGE, at_most(0)).await });
    runtime.metrics().num_alive_tasks()
}

/// Removes its task from the list when dropped.
#[derive(Debug)]
struct Entry {
    number: u64,
    alive: Arc<Mutex<Alive>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.alive).tasks.remove(&self.number);
    }
}

fn lock(alive: &Mutex<Alive>) -> std::sync::MutexGuard<'_, Alive> {
    alive.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tasks {
    /// Spawns a task.
    #[track_caller]
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        tokio::spawn(self.track(name, task))
    }

    /// Starts work that may block; see [`Blocking::start`].
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Blocking<T> {
        let (entry, alive) = (self.entry(name), self.tracker.token());
        Blocking::start(name, move || {
            let _until_the_end = (entry, alive);
            work()
        })
    }

    /// Lists a future until it ends, for tasks that are spawned elsewhere.
    #[track_caller]
    pub fn track<T, F: Future<Output = T>>(&self, name: &'static str, task: F) -> impl Future<Output = T> + use<T, F> {
        let entry = self.entry(name);
        self.tracker.track_future(async move {
            let _entry = entry;
            task.await
        })
    }

    /// The live tasks, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<TaskInfo> {
        lock(&self.alive).tasks.values().copied().collect()
    }

    /// Whether no task is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Waits until no task is alive.
    pub async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    #[track_caller]
    fn entry(&self, name: &'static str) -> Entry {
        let info = TaskInfo { name, since: Instant::now(), place: Location::caller() };
        let mut alive = lock(&self.alive);
        let number = alive.next;
        alive.next += 1;
        alive.tasks.insert(number, info);
        Entry { number, alive: Arc::clone(&self.alive) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_runtime_has_left_is_what_does_not_end_in_a_moment() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(left(&runtime), 0);
        let (end, ended) = oneshot::channel::<()>();
        runtime.spawn(async move { ended.await.is_ok() });
        // It ends while `left` waits, as does a task of a purge.
        runtime.spawn(async move { end.send(()).is_ok() });
        assert_eq!(left(&runtime), 0);
        runtime.spawn(std::future::pending::<()>());
        assert_eq!(left(&runtime), 1);
    }

    #[tokio::test]
    async fn a_task_is_listed_with_its_name_and_place_until_it_ends() {
        let tasks = Tasks::default();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let task = tasks.spawn("waiting", async { gone.await.is_ok() });
        let (first, line) = (tasks.list()[0], line!() - 1);
        assert_eq!((first.name, first.place.file(), first.place.line()), ("waiting", file!(), line));
        assert!(!tasks.is_empty());
        go.send(()).unwrap();
        assert!(task.await.unwrap());
        tasks.ended().await;
        assert!(tasks.list().is_empty() && tasks.is_empty());
    }

    #[tokio::test]
    async fn a_panicked_or_aborted_task_is_removed() {
        let tasks = Tasks::default();
        let panics = tasks.spawn_blocking("panics", || panic!("on purpose"));
        assert_eq!(panics.await.unwrap_err().to_string(), "it panicked: on purpose");
        let hangs = tasks.spawn("hangs", std::future::pending::<()>());
        assert_eq!(tasks.list().iter().map(|it| it.name).collect::<Vec<_>>(), ["hangs"]);
        hangs.abort();
        assert!(hangs.await.is_err());
        tasks.ended().await;
        assert!(tasks.list().is_empty());
    }
}

//! The tasks of a process, by name: what is alive can be asked at any time, and waited for at the end.
//!
//! The older program lost track of what it had started. Here a task is spawned on this one list, which knows its name,
//! its age and the place it was started from until it is gone.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// A task that is alive.
#[derive(Debug, Clone, Copy)]
pub struct TaskInfo {
    /// What it does.
    pub name: &'static str,
    /// When it was started.
    pub since: Instant,
    /// Where in the source.
    pub place: &'static Location<'static>,
}

/// Every task that was started and has not ended. Clones share one list.
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

/// Takes its task off the list when the task is over, however that came.
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
    /// Starts a task.
    #[track_caller]
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        tokio::spawn(self.track(name, task))
    }

    /// Starts work that may block, on a thread for such work.
    #[track_caller]
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let entry = self.entry(name);
        self.tracker.spawn_blocking(move || {
            let _entry = entry;
            work()
        })
    }

    /// A future that is on the list until it is over: for tasks that something else spawns and joins.
    #[track_caller]
    pub fn track<T, F: Future<Output = T>>(&self, name: &'static str, task: F) -> impl Future<Output = T> + use<T, F> {
        let entry = self.entry(name);
        self.tracker.track_future(async move {
            let _entry = entry;
            task.await
        })
    }

    /// What is alive, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<TaskInfo> {
        lock(&self.alive).tasks.values().copied().collect()
    }

    /// Whether nothing is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Waits until nothing is alive.
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

    #[tokio::test]
    async fn a_task_is_listed_with_its_name_and_place_until_it_is_over() {
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
    async fn one_that_panics_or_is_aborted_is_over_too() {
        let tasks = Tasks::default();
        let panics = tasks.spawn_blocking("panics", || panic!("on purpose"));
        assert!(panics.await.is_err());
        let hangs = tasks.spawn("hangs", std::future::pending::<()>());
        assert_eq!(tasks.list().iter().map(|it| it.name).collect::<Vec<_>>(), ["hangs"]);
        hangs.abort();
        assert!(hangs.await.is_err());
        tasks.ended().await;
        assert!(tasks.list().is_empty());
    }
}

//! The workers that an agent runs for its coordinator: child processes, which die with it.

use super::guard::{Allowance, Load};
use super::words::Share;
use crate::clock::Nanos;
use crate::cluster::cores;
use crate::cluster::link::{FromWorker, Link, LinkError, ToWorker};
use crate::plan::MOST_WORKERS;
use crate::units::show_nanos;
use futures_util::future::select_all;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long a worker may take to read an order: one that doesn't would keep the agent from all the others.
const READING: Duration = Duration::from_secs(3);

/// The workers of one trial, by their numbers in the whole run.
#[derive(Default)]
pub(super) struct Hands {
    workers: BTreeMap<u32, Link>,
    share: Share,
    load: Load,
}

impl Hands {
    /// A new trial begins; whoever is left of the one before is ended.
    pub(super) fn begin(&mut self, share: Share) {
        *self = Hands { share, ..Hands::default() };
    }

    /// Ends everyone.
    pub(super) fn end(&mut self) {
        *self = Hands::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    pub(super) fn sessions(&self) -> u64 {
        self.load.sessions
    }

    /// Passes an order on, starting its worker if it begins with this one. `Err`: that worker can't go on, and why.
    pub(super) async fn tell(
        &mut self,
        program: &Path,
        worker: u32,
        order: ToWorker,
        allowance: &Allowance,
        now: Nanos,
    ) -> Result<(), String> {
        let order = match order {
            ToWorker::Prepare(mut slice) => {
                if slice.worker != worker || !self.share.workers.contains(&worker) {
                    return Err(format!("it has no worker {worker} in this trial"));
                }
                self.load = allowance.check(&slice, self.load)?;
                slice.core = self.core(worker);
                self.start(program, worker)?;
                ToWorker::Prepare(slice)
            }
            ToWorker::Calibrate { length, .. } => {
                self.start(program, worker)?;
                ToWorker::Calibrate { length, core: cores::workers(1, 1).into_iter().next().flatten() }
            }
            ToWorker::Start { at } => {
                if now >= at {
                    self.release(worker);
                    let late = show_nanos((now - at) as f64);
                    return Err(format!("the order to start came {late} after the instant that it named"));
                }
                ToWorker::Start { at }
            }
            ToWorker::Stop => ToWorker::Stop,
        };
        let Some(link) = self.workers.get_mut(&worker) else { return Ok(()) };
        match tokio::time::timeout(READING, link.tell(order)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.bury(worker, error).await),
            Err(_) => {
                self.release(worker);
                Err("the worker process reads nothing".to_owned())
            }
        }
    }

    fn start(&mut self, program: &Path, worker: u32) -> Result<(), String> {
        if self.workers.len() >= MOST_WORKERS as usize {
            return Err(format!("more than {MOST_WORKERS} workers are no plan"));
        }
        let link = Link::start(program).map_err(|error| error.to_string())?;
        self.workers.insert(worker, link);
        Ok(())
    }

    /// Agents of one machine take turns over its cores together.
    fn core(&self, worker: u32) -> Option<usize> {
        let (workers, targets) = self.share.on_machine;
        let workers = workers.clamp(1, MOST_WORKERS);
        let turn = self.share.seat.saturating_add(worker.saturating_sub(self.share.workers.start));
        cores::workers(workers, targets).get((turn % workers) as usize).copied().flatten()
    }

    /// The next that any of them says, or that it is gone; forever, if there is none. Safe to cancel.
    pub(super) async fn hear(&mut self) -> (u32, Result<FromWorker, LinkError>) {
        let listening = self.workers.iter_mut().map(|(worker, link)| Box::pin(async { (*worker, link.next().await) }));
        let listening: Vec<_> = listening.collect();
        match listening.is_empty() {
            true => std::future::pending().await,
            false => select_all(listening).await.0,
        }
    }

    /// Lets go of a worker that has said its last.
    pub(super) fn release(&mut self, worker: u32) {
        self.workers.remove(&worker);
    }

    /// Lets go of a worker that is gone; how it ended.
    pub(super) async fn bury(&mut self, worker: u32, error: LinkError) -> String {
        match self.workers.remove(&worker) {
            Some(mut link) => link.last_words(error).await.to_string(),
            None => error.to_string(),
        }
    }
}

//! Events that the target originates by the schedule, on the topics that live on it.

use super::Push;
use super::outbox::Message;
use super::place::PlaceName;
use super::server::Core;
use crate::clock::{Alarm, now};
use crate::wire::{Composer, Kind, Tag};
use std::io;
use std::rc::Rc;

/// Originates every event of `push` on its topic, when it is due; other targets' topics are theirs.
pub async fn originate(core: Rc<Core>, push: Push) -> io::Result<()> {
    if push.topics == 0 {
        return Ok(());
    }
    let alarm = Alarm::new()?;
    let composer = Composer::new(push.payload.clone(), push.seed);
    let mut turns = push.schedule.turns(push.topics, |topic| push.part.has(topic));
    let topics: Vec<PlaceName> = (0..push.topics).map(|n| PlaceName::Topic(n.to_string())).collect();
    let mut payload = Vec::new();
    for (id, offset) in (0..).zip(push.schedule.arrivals()) {
        let Some(topic) = turns.next_sender().filter(|topic| push.part.has(*topic)) else { continue };
        let due = push.start.saturating_add(offset);
        if now() < due {
            alarm.sleep_until(due).await?;
        } else {
            // Behind the schedule: others must run as well.
            tokio::task::yield_now().await;
        }
        if (push.measure.0..push.measure.1).contains(&offset) {
            core.counts.event(now().saturating_sub(due));
        }
        composer.compose(&Tag { kind: Kind::Event, run: push.run, id, due }, &mut payload);
        core.hub.originate(&topics[topic as usize], &Message::new(composer.format(), &payload));
    }
    Ok(())
}

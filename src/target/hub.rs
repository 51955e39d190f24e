//! The fan-out that all faces share: places, who is in them, and what goes to whom.

use super::counts::Counts;
use super::log::{Entry, Log};
use super::oracle::{Actor, Handing};
use super::outbox::Message;
use super::place::PlaceName;
use std::cell::{Cell, Ref, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Length of a log at which it is first looked at for messages that nobody can ask for any more.
const TRIM_FROM: usize = 256;

/// Where a member's copies go.
pub trait Receiver {
    /// Takes a copy on its way; never blocks.
    fn deliver(self: Rc<Self>, message: &Message);

    /// For a member that reads the place's log: the position of the oldest message it may still ask for.
    fn reads_from(&self) -> Option<u64> {
        None
    }
}

/// All places of a target.
pub struct Hub {
    counts: Rc<Counts>,
    echo_self: bool,
    oracle: Option<Rc<Actor>>,
    shared: RefCell<HashMap<PlaceName, Rc<Place>>>,
    joined: Cell<u64>,
}

/// One place and its members.
struct Place {
    /// Members may publish.
    open: bool,
    /// A publisher receives its own messages.
    echo_self: bool,
    members: RefCell<Vec<(u64, Rc<dyn Receiver>)>>,
    log: RefCell<Log>,
    readers: Cell<usize>,
    trim_at: Cell<usize>,
    /// How many have joined so far.
    joined: Cell<u64>,
}

/// A seat in a place; dropping it leaves.
pub struct Member {
    id: u64,
    order: u64,
    name: PlaceName,
    place: Rc<Place>,
    hub: Rc<Hub>,
}

impl Hub {
    /// `echo_self`: whether members of a room receive their own messages.
    pub fn new(counts: &Rc<Counts>, echo_self: bool, oracle: Option<Rc<Actor>>) -> Rc<Hub> {
        Rc::new(Hub { counts: counts.clone(), echo_self, oracle, shared: RefCell::default(), joined: Cell::new(0) })
    }

    pub fn join(self: &Rc<Self>, name: PlaceName, receiver: Rc<dyn Receiver>) -> Member {
        let id = self.joined.get();
        self.joined.set(id + 1);
        let place = match name {
            PlaceName::Echo => Rc::new(Place::new(true, true)),
            PlaceName::Hello(_) => Rc::new(Place::new(false, true)),
            PlaceName::Room(_) => self.shared_place(&name, true),
            PlaceName::Topic(_) => self.shared_place(&name, false),
        };
        place.readers.set(place.readers.get() + usize::from(receiver.reads_from().is_some()));
        place.members.borrow_mut().push((id, receiver));
        let order = place.joined.replace(place.joined.get() + 1);
        Member { id, order, name, place, hub: self.clone() }
    }

    fn shared_place(&self, name: &PlaceName, open: bool) -> Rc<Place> {
        let mut shared = self.shared.borrow_mut();
        shared.entry(name.clone()).or_insert_with(|| Rc::new(Place::new(open, self.echo_self))).clone()
    }

    /// Sends an event that the target itself originates.
    pub fn originate(&self, topic: &PlaceName, message: &Message) {
        let place = self.shared.borrow().get(topic).cloned();
        if let Some(place) = place {
            self.spread(&place, None, message);
        }
    }

    /// Fans a message out that has just arrived: at once, unless the oracle has it otherwise.
    fn spread(&self, place: &Rc<Place>, from: Option<u64>, message: &Message) {
        let Some(oracle) = &self.oracle else { return place.fan_out(from, message, &self.counts) };
        let (place, held) = (place.clone(), message.clone());
        let (acting, counts) = (oracle.clone(), self.counts.clone());
        oracle.hold(message, &self.counts, move || place.fan_out_by(&acting, from, &held, &counts));
    }
}

impl Place {
    fn new(open: bool, echo_self: bool) -> Place {
        Place {
            open,
            echo_self,
            members: RefCell::default(),
            log: RefCell::default(),
            readers: Cell::new(0),
            trim_at: Cell::new(TRIM_FROM),
            joined: Cell::new(0),
        }
    }

    fn fan_out(&self, from: Option<u64>, message: &Message, counts: &Counts) {
        self.keep(from, message, counts);
        for (id, receiver) in self.members.borrow().iter() {
            if self.echo_self || from != Some(*id) {
                receiver.clone().deliver(message);
            }
        }
    }

    /// The same, with each copy handed over as `oracle` says.
    fn fan_out_by(self: &Rc<Self>, oracle: &Rc<Actor>, from: Option<u64>, message: &Message, counts: &Rc<Counts>) {
        self.keep(from, message, counts);
        for (id, receiver) in self.members.borrow().iter().filter(|(id, _)| self.echo_self || from != Some(*id)) {
            let handing = oracle.next_copy();
            if handing == Handing::Now {
                receiver.clone().deliver(message);
                continue;
            }
            if receiver.reads_from().is_some() {
                self.log.borrow_mut().withhold(*id);
            }
            if let Handing::Later(delay) = handing {
                let (place, id, late, counts) = (self.clone(), *id, message.clone(), counts.clone());
                let (dropped, hand_over) = (counts.clone(), move || place.hand_over(id, &late, &counts));
                dropped.dropped.add(u64::from(!oracle.delay_copy(delay, message, hand_over)));
            }
        }
    }

    /// Gives one member its copy; false if it has left.
    fn hand_over(&self, member: u64, message: &Message, counts: &Counts) -> bool {
        let members = self.members.borrow();
        let Some((_, receiver)) = members.iter().find(|(id, _)| *id == member) else { return false };
        if receiver.reads_from().is_some() {
            counts.dropped.add(self.log.borrow_mut().append_for(member, message));
        }
        receiver.clone().deliver(message);
        true
    }

    fn keep(&self, from: Option<u64>, message: &Message, counts: &Counts) {
        let mut log = self.log.borrow_mut();
        if self.readers.get() == 0 {
            return log.pass();
        }
        counts.dropped.add(log.append(from, message));
        // Looking for the slowest reader each time would cost as much as the fan-out itself.
        if log.len() >= self.trim_at.get() {
            if let Some(oldest) = self.members.borrow().iter().filter_map(|(_, r)| r.reads_from()).min() {
                log.trim(oldest);
            }
            self.trim_at.set(TRIM_FROM.max(2 * log.len()));
        }
    }
}

impl Member {
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many had joined the place before.
    pub fn order(&self) -> u64 {
        self.order
    }

    /// Whether this member may publish at all.
    pub fn may_publish(&self) -> bool {
        self.place.open
    }

    /// Sends a message to everyone in the place; where members may not publish, it is counted and let go.
    pub fn publish(&self, message: &Message) {
        self.hub.counts.received.add(1);
        if self.place.open {
            self.hub.spread(&self.place, Some(self.id), message);
        }
    }

    /// Puts a message into the place on the target's behalf.
    pub fn greet(&self, message: &Message) {
        self.place.fan_out(None, message, &self.hub.counts);
    }

    /// What this place still keeps for its readers.
    pub fn log(&self) -> Ref<'_, Log> {
        self.place.log.borrow()
    }

    /// Whether the member is to receive this message of the log.
    pub fn hears(&self, entry: &Entry) -> bool {
        let is_meant = entry.only.is_none_or(|only| only == self.id) && !entry.withheld.contains(&self.id);
        is_meant && (self.place.echo_self || entry.from != Some(self.id))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut members = self.place.members.borrow_mut();
        if let Some(at) = members.iter().position(|(id, _)| *id == self.id) {
            let (_, receiver) = members.swap_remove(at);
            let readers = self.place.readers.get() - usize::from(receiver.reads_from().is_some());
            self.place.readers.set(readers);
            if readers == 0 {
                self.place.log.borrow_mut().trim(u64::MAX);
            }
        }
        if members.is_empty() {
            self.hub.shared.borrow_mut().remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Format;

    #[derive(Default)]
    struct Ear {
        heard: RefCell<Vec<Message>>,
        reads: bool,
    }

    impl Receiver for Ear {
        fn deliver(self: Rc<Self>, message: &Message) {
            self.heard.borrow_mut().push(message.clone());
        }
        fn reads_from(&self) -> Option<u64> {
            self.reads.then_some(0)
        }
    }

    fn text(text: &str) -> Message {
        Message::new(Format::Text, text.as_bytes())
    }

    fn room(name: &str) -> PlaceName {
        PlaceName::Room(name.into())
    }

    #[test]
    fn a_room_hears_its_members_and_no_other_room() {
        let hub = Hub::new(&Rc::default(), true, None);
        let ears: [Rc<Ear>; 3] = Default::default();
        let a = hub.join(room("a"), ears[0].clone());
        let _b = hub.join(room("a"), ears[1].clone());
        let _c = hub.join(room("c"), ears[2].clone());
        a.publish(&text("hi"));
        assert_eq!(ears.map(|e| e.heard.borrow().len()), [1, 1, 0]);
    }

    #[test]
    fn a_publisher_may_be_left_out_but_never_of_its_echo() {
        let hub = Hub::new(&Rc::default(), false, None);
        let ears: [Rc<Ear>; 2] = Default::default();
        let member = hub.join(room("a"), ears[0].clone());
        member.publish(&text("hi"));
        assert!(ears[0].heard.borrow().is_empty());
        hub.join(PlaceName::Echo, ears[1].clone()).publish(&text("hi"));
        assert_eq!(ears[1].heard.borrow().len(), 1);
    }

    #[test]
    fn a_topic_takes_no_messages_from_its_members() {
        let counts = Rc::new(Counts::default());
        let hub = Hub::new(&counts, true, None);
        let ear = Rc::new(Ear::default());
        let topic = PlaceName::Topic("1".into());
        let member = hub.join(topic.clone(), ear.clone());
        member.publish(&text("no"));
        assert_eq!((counts.received.get(), ear.heard.borrow().len()), (1, 0));
        hub.originate(&topic, &text("yes"));
        assert_eq!(*ear.heard.borrow(), [text("yes")]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn every_hundredth_copy_of_a_thousand_members_is_ten_a_message() {
        let oracle = Actor::new(&toml::from_str("drop_copy = 100").unwrap()).unwrap();
        let hub = Hub::new(&Rc::default(), true, oracle.clone());
        let ears: Vec<Rc<Ear>> = (0..1000).map(|_| Rc::default()).collect();
        let members: Vec<Member> = ears.iter().map(|ear| hub.join(room("a"), ear.clone())).collect();
        (0..20).for_each(|n| members[n].publish(&text("x")));
        let heard: usize = ears.iter().map(|ear| ear.heard.borrow().len()).sum();
        assert_eq!(heard, 20 * 990);
        assert_eq!(oracle.unwrap().finish().unwrap().copies_dropped, 200);
    }

    #[test]
    fn an_empty_place_is_forgotten_and_a_log_is_kept_only_for_readers() {
        let hub = Hub::new(&Rc::default(), true, None);
        let member = hub.join(room("a"), Rc::new(Ear::default()));
        member.publish(&text("1"));
        assert_eq!((member.log().len(), member.log().next()), (0, 1));
        let reader = hub.join(room("a"), Rc::new(Ear { reads: true, ..Ear::default() }));
        member.publish(&text("2"));
        assert_eq!((member.log().len(), member.log().next()), (1, 2));
        drop(reader);
        assert_eq!((member.log().len(), member.log().next()), (0, 2));
        drop(member);
        assert!(hub.shared.borrow().is_empty());
    }

    #[test]
    fn what_every_reader_has_passed_is_let_go() {
        struct Reader(Cell<u64>);
        impl Receiver for Reader {
            fn deliver(self: Rc<Self>, _: &Message) {}
            fn reads_from(&self) -> Option<u64> {
                Some(self.0.get())
            }
        }
        let hub = Hub::new(&Rc::default(), true, None);
        let readers = [Rc::new(Reader(Cell::new(0))), Rc::new(Reader(Cell::new(0)))];
        let members = readers.clone().map(|reader| hub.join(room("a"), reader));
        readers[0].0.set(1000);
        readers[1].0.set(100);
        (0..TRIM_FROM).for_each(|_| members[0].publish(&text("x")));
        assert_eq!((members[0].log().first(), members[0].log().next()), (100, TRIM_FROM as u64));
    }
}

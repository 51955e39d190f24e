//! Agents and their coordinator over a bus within this process. Nobody starts a worker here.

use super::*;
use crate::bus::Inbox;
use crate::cluster::agent::{AgentNews, AgentOptions, Allowance, serve};
use crate::cluster::coordinator::Halt;
use bytes::Bytes;
use tokio::sync::{mpsc, watch};

/// Everyone who subscribed: to what, and by which way it comes.
type Subscribers = RefCell<Vec<(String, mpsc::UnboundedSender<Received>)>>;

#[derive(Clone, Default)]
struct Bus(Rc<Subscribers>);

struct Subscription(mpsc::UnboundedReceiver<Received>);

impl Inbox for Subscription {
    async fn next(&mut self) -> Option<Received> {
        self.0.recv().await
    }
}

fn matches(pattern: &str, subject: &str) -> bool {
    let (pattern, subject): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), subject.split('.').collect());
    pattern.len() == subject.len() && pattern.iter().zip(subject).all(|(p, s)| *p == "*" || *p == s)
}

impl Bus {
    fn carry(&self, subject: &str, reply: Option<&str>, bytes: Vec<u8>) {
        let (bytes, reply) = (Bytes::from(bytes), reply.map(str::to_owned));
        for (_, tell) in self.0.borrow().iter().filter(|(pattern, _)| matches(pattern, subject)) {
            // Some have gone.
            let _ = tell.send(Received { subject: subject.to_owned(), bytes: bytes.clone(), reply: reply.clone() });
        }
    }
}

impl Carrier for Bus {
    type Inbox = Subscription;

    async fn publish(&self, subject: &str, bytes: Vec<u8>) -> Result<(), BusError> {
        self.carry(subject, None, bytes);
        Ok(())
    }

    async fn ask(&self, subject: &str, reply: &str, bytes: Vec<u8>) -> Result<(), BusError> {
        self.carry(subject, Some(reply), bytes);
        Ok(())
    }

    async fn subscribe(&self, subject: &str) -> Result<Subscription, BusError> {
        let (tell, told) = mpsc::unbounded_channel();
        self.0.borrow_mut().push((subject.to_owned(), tell));
        Ok(Subscription(told))
    }

    fn limit(&self) -> usize {
        1000
    }

    fn now(&self) -> Nanos {
        crate::clock::now()
    }
}

fn options(name: &str) -> AgentOptions {
    AgentOptions {
        program: "/nowhere".into(),
        prefix: "t".to_owned(),
        name: name.to_owned(),
        labels: BTreeMap::new(),
        allowance: Allowance::default(),
    }
}

/// `n`: 0 for all.
fn wanted(n: u32, wait: u64) -> Wanted {
    let wait = Duration::from_millis(wait);
    Wanted { how_many: std::num::NonZeroU32::new(n), wait, labels: Vec::new(), prefix: "t".to_owned() }
}

/// Runs `work` while agents of these names live; what they told of themselves.
async fn among<T>(bus: &Bus, names: &[&str], work: impl Future<Output = T>) -> (T, Vec<String>) {
    let told = RefCell::new(Vec::new());
    let (want, wanted) = watch::channel(false);
    let lives = names.iter().map(|name| {
        let (options, halt, told) = (options(name), Halt::new(wanted.clone()), &told);
        async move {
            let mut news = |news: AgentNews| told.borrow_mut().push(format!("{name}: {news:?}"));
            serve(bus, &options, halt, &mut news).await.unwrap();
        }
    });
    let lives = join_all(lives);
    tokio::pin!(lives);
    let done = tokio::select! {
        done = work => done,
        _ = &mut lives => panic!("the agents ended"),
    };
    want.send(true).unwrap();
    lives.await;
    let told = told.borrow().clone();
    (done, told)
}

/// A coordinator of the given agents, until `work` is over.
async fn hire<T>(bus: &Bus, found: &Found, work: impl AsyncFnOnce(&Fleet) -> T) -> T {
    let mut inbox = found.listen(bus).await.unwrap();
    let fleet = Fleet::new(bus, found, AgentLoss::Abort);
    tokio::select! {
        done = work(&fleet) => done,
        never = fleet.attend(bus, found, &mut inbox) => match never {},
    }
}

#[tokio::test(flavor = "current_thread")]
async fn agents_are_found_hired_and_free_again_and_work_for_one_run_at_a_time() {
    let bus = Bus::default();
    let work = async {
        let found = find(&bus, &wanted(2, 20_000)).await.unwrap();
        assert_eq!(found.cards.iter().map(|card| card.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        // A second run found them too, before they were hired.
        let late = Found { run: "other".to_owned(), ..find(&bus, &wanted(2, 20_000)).await.unwrap() };
        hire(&bus, &found, async |fleet| {
            fleet.hired().await.unwrap();
            let refused = hire(&bus, &late, async |fleet| fleet.hired().await).await.unwrap_err().to_string();
            assert!(refused.contains("could not be hired: it works for run"), "{refused}");
            let busy = find(&bus, &wanted(1, 10)).await.err().unwrap().to_string();
            assert!(busy.contains("agent `a`: it works for another run"), "{busy}");
            assert!(fleet.member(0).offset().is_some() && fleet.lead() >= LEAD);
            fleet.dismiss().await;
        })
        .await;
        find(&bus, &wanted(2, 20_000)).await.unwrap();
    };
    let ((), told) = among(&bus, &["a", "b"], work).await;
    for words in ["a: Hired", "b: Wanted", "b: Released { why: \"the run is over\" }"] {
        assert!(told.iter().any(|news| news.starts_with(words)), "{words}: {told:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn an_agent_that_ends_says_good_bye_and_one_whose_coordinator_is_gone_is_free_again() {
    let bus = Bus::default();
    let work = async {
        let all = find(&bus, &wanted(1, 20_000)).await.unwrap();
        hire(&bus, &all, async |fleet| fleet.hired().await.unwrap()).await;
        // A coordinator that comes back knows nothing of those conversations.
        hire(&bus, &Found { cards: Vec::new(), ..all }, async |_| {
            find(&bus, &wanted(1, 20_000)).await.unwrap();
        })
        .await;
    };
    let ((), told) = among(&bus, &["a"], work).await;
    assert!(told.iter().any(|news| news.contains("its coordinator had given it up")), "{told:?}");
    // Hired, and told to end.
    let work = async {
        let found = find(&bus, &wanted(1, 20_000)).await.unwrap();
        let mut inbox = found.listen(&bus).await.unwrap();
        let fleet = Fleet::new(&bus, &found, AgentLoss::Continue);
        tokio::select! {
            hired = fleet.hired() => hired.unwrap(),
            never = fleet.attend(&bus, &found, &mut inbox) => match never {},
        }
        (fleet, found, inbox)
    };
    let ((fleet, found, mut inbox), _) = among(&bus, &["b"], work).await;
    let lost = async {
        while fleet.member(0).is_there() {
            fleet.heard.notified().await;
        }
    };
    tokio::select! {
        () = lost => {}
        never = fleet.attend(&bus, &found, &mut inbox) => match never {},
    }
    assert_eq!(fleet.take_losses(), [("b".to_owned(), "it was told to end".to_owned())]);
    assert_eq!(fleet.take_losses(), []);
    assert!(fleet.member(0).say(&ToAgent::EndTrial).is_err());
}

#[tokio::test(flavor = "current_thread")]
async fn where_all_are_wanted_those_are_taken_who_are_there_when_the_wait_is_over() {
    let bus = Bus::default();
    let found = async { find(&bus, &wanted(0, 1000)).await.unwrap() };
    let (found, _) = among(&bus, &["a", "b", "c"], found).await;
    assert_eq!(found.cards.iter().map(|card| card.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    let nobody = find(&bus, &wanted(0, 10)).await.err().unwrap().to_string();
    assert!(nobody.contains("there is none"), "{nobody}");
}

#[tokio::test(flavor = "current_thread")]
async fn what_strangers_say_changes_nothing() {
    let bus = Bus::default();
    let work = async {
        let found = find(&bus, &wanted(1, 20_000)).await.unwrap();
        let to = found.subjects.agent(&found.cards[0].id);
        let mut elsewhere = bus.subscribe("orders.new").await.unwrap();
        let mut opening = Conversation::new(7, 1000, bus.now());
        opening.say(br#"{"hire":{"run":"r","grace":1}}"#).unwrap();
        for packet in opening.packets(bus.now()) {
            // An agent answers to runs alone.
            bus.carry(&to, Some("orders.new"), packet);
        }
        bus.carry(&to, Some("orders.new"), vec![1; 80]);
        bus.carry(&found.subjects.who(), None, b"nonsense".to_vec());
        hire(&bus, &found, async |fleet| {
            fleet.hired().await.unwrap();
            fleet.dismiss().await;
        })
        .await;
        assert!(elsewhere.0.try_recv().is_err());
    };
    among(&bus, &["a"], work).await;
}

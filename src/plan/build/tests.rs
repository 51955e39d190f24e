//! What scenarios and flags resolve to.

use super::*;
use crate::catalog::{Closer, Dialect, Engine, FirstMessage, HttpMethod, Transport};
use crate::plan::{TargetFlag, Workload};
use crate::schedule::Stage;
use crate::units::Rate;

const ECHO: &str = "[workload.echo]\n[load]\nrate = \"100/s\"\nduration = \"2s\"\n";

fn planned(text: &str, overrides: &Overrides) -> Plan {
    let scenario = scenario::parse("dir/t.toml", text).unwrap_or_else(|e| panic!("{}", e.render(false)));
    build(&scenario, overrides).unwrap_or_else(|e| panic!("{}", e.render(false)))
}

fn plain(text: &str) -> Plan {
    planned(text, &Overrides::default())
}

fn arms(plan: &Plan) -> Vec<&str> {
    plan.cells.iter().map(|cell| cell.arm.as_str()).collect()
}

fn target(text: &str) -> TargetFlag {
    text.parse().unwrap()
}

fn rate(per_second: f64) -> Rate {
    Rate::new(per_second).unwrap()
}

#[test]
fn arms_keep_the_order_of_the_file_and_long_polling_is_the_reference() {
    let plan = plain(&format!("{ECHO}[transports.udp]\n[transports.long-polling]\n[transports.tcp]"));
    assert_eq!(arms(&plan), ["udp", "long-polling", "tcp"]);
    assert_eq!(plan.reference.as_deref(), Some("long-polling"));
    assert_eq!(plan.name, "t");
    assert_eq!(plain(&format!("{ECHO}[transports.udp]\n[transports.tcp]")).reference.as_deref(), Some("udp"));
    assert_eq!(plain(&format!("{ECHO}[transports.udp]")).reference, None);
}

#[test]
fn defaults_are_filled_in() {
    let plan = plain(&format!("{ECHO}[transports.short-polling]\n[transports.websocket]"));
    let cell = &plan.cells[0];
    assert_eq!((plan.seed, plan.trials, cell.load.sessions), (1, 1, 1));
    assert_eq!(cell.load.connect_timeout, Span::from_millis(2000));
    assert_eq!((cell.load.timeout, cell.load.drain), (Span::from_millis(2000), Span::from_millis(1000)));
    assert_eq!((&cell.target, &cell.dialect), (&Target::Embedded, &Dialect::Wsbench));
    assert_eq!(cell.workload.payload().range(), (128, 128));
    let Transport::ShortPolling(http) = &cell.transport else { panic!("{:?}", cell.transport) };
    assert_eq!((http.interval, http.keep_alive, http.batch), (Some(Span::from_millis(250)), true, true));
    assert_eq!(plan.cells[1].transport.engine(), Some(Engine::Native));
}

#[test]
fn by_http_2_a_session_takes_one_socket_and_a_websocket_a_library() {
    let arms = "[transports.sse]\nhttp = 2\n[transports.websocket]\nhttp = 2\n[transports.long-polling]\nhttp = 1";
    let plan = plain(&format!("{ECHO}{arms}"));
    let sockets: Vec<u64> = plan.cells.iter().map(|cell| cell.transport.sockets_per_session()).collect();
    assert_eq!(sockets, [1, 1, 2]);
    assert_eq!(plan.cells[1].transport.engine(), Some(Engine::Fastwebsockets));
    assert_eq!(plan.cells[0].transport.settings(), [("http".to_owned(), "2".to_owned())]);
    assert_eq!(plan.cells[2].transport.settings(), []);
}

#[test]
fn plain_requests_post_and_speak_the_targets_dialect_or_none() {
    let plan = plain(&format!("{ECHO}[transports.http]\n[transports.get]\ntransport = \"http\"\nmethod = \"GET\""));
    let of = |at: usize| match &plan.cells[at].transport {
        Transport::Http(requests) => requests.method,
        other => panic!("{other:?}"),
    };
    assert_eq!((of(0), of(1), &plan.cells[0].dialect), (HttpMethod::Post, HttpMethod::Get, &Dialect::Wsbench));
    let url = plain(&format!("{ECHO}[target.urls]\nhttp = \"https://h/api\"\n[transports.http]"));
    assert_eq!(url.cells[0].dialect, Dialect::Raw);
    let storm = "[workload.connect]\n[load]\nrate = \"1/s\"\nduration = \"1s\"\n[transports.http]\n[transports.tcp]";
    let firsts = plain(storm).cells.into_iter().map(|cell| match cell.workload {
        Workload::Connect { first, .. } => first,
        other => panic!("{other:?}"),
    });
    assert!(firsts.eq([FirstMessage::Echo, FirstMessage::Greeting]));
    let push = ECHO.replace("[workload.echo]", "[workload.push]\ntopics = 1");
    let plan = plain(&format!("{push}[transports.http]\n[transports.sse]"));
    assert_eq!((arms(&plan), plan.omitted[0].arm.as_str()), (vec!["sse"], "http"));
}

#[test]
fn a_flat_load_has_a_stage_for_warmup_and_one_for_the_window() {
    let plan = plain(&format!("{ECHO}warmup = \"1s\"\nconnect_timeout = \"9s\"\n[transports.tcp]"));
    let load = &plan.cells[0].load;
    let flat = |over| Stage { from: rate(100.0), to: rate(100.0), over };
    assert_eq!(load.schedule.stages, [flat(Span::from_millis(1000)), flat(Span::from_millis(2000))]);
    assert_eq!(load.schedule.seed, plan.seed);
    assert_eq!(load.connect_timeout, Span::from_millis(9000));
}

#[test]
fn stages_start_from_the_rate_and_go_on_from_one_another() {
    let text = "[workload.echo]\n[load]\nrate = \"10/s\"\nstages = [{ to = \"20/s\", over = \"1s\" }, \
                { to = \"50/s\", over = \"0s\" }, { to = \"50/s\", over = \"2s\" }]\n[transports.tcp]";
    let plan = plain(text);
    let load = &plan.cells[0].load;
    let steps: Vec<_> = load.schedule.stages.iter().map(|s| (s.from.per_second(), s.to.per_second())).collect();
    assert_eq!(steps, [(10.0, 10.0), (10.0, 20.0), (20.0, 50.0), (50.0, 50.0)]);
    assert_eq!(load.duration, Span::from_millis(3000));
    let from_nothing = plain(&text.replace("rate = \"10/s\"\n", ""));
    assert_eq!(from_nothing.cells[0].load.schedule.stages[1].from, rate(0.0));
    let flags = Overrides { rate: Some(rate(7.0)), duration: Some(Span::from_millis(500)), ..Overrides::default() };
    assert_eq!(planned(text, &flags).cells[0].load.schedule.stages[1].to, rate(7.0));
}

#[test]
fn a_closed_load_schedules_nothing() {
    let text = format!("{ECHO}arrival = \"closed\"\noutstanding = 4\nthink = \"5ms\"\n[transports.tcp]");
    let plan = plain(&text.replace("rate = \"100/s\"\n", ""));
    let load = &plan.cells[0].load;
    assert_eq!((load.outstanding, load.think, load.duration), (4, Span::from_millis(5), Span::from_millis(2000)));
    assert_eq!(load.schedule.arrivals().count(), 0);
}

#[test]
fn a_flag_beats_the_file() {
    let text = format!("seed = 5\n{ECHO}[transports.tcp]\n[transports.udp]\n[transports.sse]");
    let overrides = Overrides {
        sessions: 9.try_into().ok(),
        rate: Some(rate(7.0)),
        duration: Some(Span::from_millis(500)),
        warmup: Some(Span::from_millis(50)),
        trials: 4.try_into().ok(),
        seed: Some(6),
        transports: vec!["sse".into(), "tcp".into()],
        reference: Some("sse".into()),
        charts: Some(false),
        ..Overrides::default()
    };
    let plan = planned(&text, &overrides);
    assert_eq!(arms(&plan), ["tcp", "sse"]);
    assert_eq!((plan.seed, plan.trials, plan.reference.as_deref(), plan.output.charts), (6, 4, Some("sse"), false));
    let load = &plan.cells[0].load;
    assert_eq!((load.sessions, load.schedule.seed), (9, 6));
    assert_eq!(load.schedule.stages[0], Stage { from: rate(7.0), to: rate(7.0), over: Span::from_millis(50) });
}

#[test]
fn a_reference_that_was_not_chosen_gives_way() {
    let text = format!("reference = \"udp\"\n{ECHO}[transports.tcp]\n[transports.udp]\n[transports.sse]");
    let chosen = Overrides { transports: vec!["tcp".into(), "sse".into()], ..Overrides::default() };
    assert_eq!(plain(&text).reference.as_deref(), Some("udp"));
    assert_eq!(planned(&text, &chosen).reference.as_deref(), Some("tcp"));
}

#[test]
fn a_target_flag_replaces_the_embedded_target_and_its_network() {
    let text = format!("{ECHO}[network]\ndelay = \"10ms\"\n[transports.websocket]\n[transports.long-polling]");
    assert_eq!(plain(&text).cells[0].network.delay, Span::from_millis(10));
    assert!(plain(&text).embedded.is_some());
    let targets = vec![target("websocket=ws://h:1/"), target("long-polling=http://h:2/")];
    let plan = planned(&text, &Overrides { targets, ..Overrides::default() });
    assert_eq!((plan.cells[0].network.delay, plan.embedded), (Span::ZERO, None));
    let dialects: Vec<_> = plan.cells.iter().map(|cell| cell.dialect.clone()).collect();
    assert_eq!(dialects, [Dialect::Raw, Dialect::Wsbench]);
    assert!(matches!(&plan.cells[1].target, Target::Url(url) if url.port == 2));
}

#[test]
fn a_target_flag_beats_a_url_of_the_file_and_leaves_the_others() {
    let text =
        format!("{ECHO}[target.urls]\ntcp = \"tcp://h:1\"\nudp = \"udp://h:2\"\n[transports.tcp]\n[transports.udp]");
    let plan = planned(&text, &Overrides { targets: vec![target("tcp=tcp://h:9")], ..Overrides::default() });
    let ports: Vec<_> = plan.cells.iter().map(|c| if let Target::Url(u) = &c.target { u.port } else { 0 }).collect();
    assert_eq!(ports, [9, 2]);
}

#[test]
fn connect_leaves_udp_out_with_the_reason_and_asks_for_what_the_dialect_knows() {
    let text = ECHO.replace("echo", "connect") + "[transports.udp]\n[transports.websocket]\n[transports.sse]";
    let plan = plain(&text);
    assert_eq!(arms(&plan), ["websocket", "sse"]);
    assert_eq!(plan.omitted[0].arm, "udp");
    assert!(plan.omitted[0].reason.contains("no connection"));
    let first = |plan: &Plan| match plan.cells[0].workload {
        Workload::Connect { first, closer, .. } => (first, closer),
        _ => panic!("not connect"),
    };
    assert_eq!(first(&plan), (FirstMessage::Greeting, Closer::Client));
    let targets = vec![target("websocket=ws://h"), target("sse=http://h")];
    assert_eq!(first(&planned(&text, &Overrides { targets, ..Overrides::default() })).0, FirstMessage::Echo);
}

#[test]
fn a_plan_survives_being_saved() {
    let plan = plain(&format!("{ECHO}[transports.udp]\n[transports.websocket]\nping_every = \"1s\""));
    let saved = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&saved).unwrap(), plan);
}

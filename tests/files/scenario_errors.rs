//! What a person sees who made a mistake in a scenario: file, line, column, a caret, and what to do.

use proptest::prelude::*;
use wsbench::plan::{self, Overrides, PlanError};
use wsbench::scenario::{self, ScenarioError};

/// A scenario with nothing wrong, for one line to be replaced in.
const GOOD: &str = r#"name = "mine"

[workload.chat]
rooms = 10
payload = "128B"

[load]
sessions = 100
rate = "500/s"
duration = "1s"

[transports.websocket]
[transports.tcp]
[transports.long-polling]
"#;

fn seen(text: &str) -> String {
    seen_with(text, &Overrides::default())
}

fn seen_with(text: &str, overrides: &Overrides) -> String {
    let parsed: Result<_, ScenarioError> = scenario::parse("mine.toml", text);
    match parsed.map(|scenario| plan::build(&scenario, overrides)) {
        Err(error) => error.render(false),
        Ok(Err(error)) => error.render(false),
        Ok(Ok(_)) => panic!("nothing is wrong with\n{text}"),
    }
}

fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

/// One snapshot for each: its name, and the good scenario with one thing changed.
macro_rules! mistakes {
    ($($name:ident: $from:literal => $to:literal;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), seen(&with($from, $to)));
        }
    )*};
}

mistakes! {
    an_unknown_mark_in_a_url: "[load]" => "[target.urls]\nwebsocket = \"ws://h/{rooom}\"\ntcp = \"tcp://h:1\"\nlong-polling = \"http://h\"\n[load]";
    a_mark_before_the_path: "[load]" => "[target.urls]\nwebsocket = \"ws://h{room}/\"\ntcp = \"tcp://h:1\"\nlong-polling = \"http://h\"\n[load]";
    credentials_without_a_header: "[load]" => "[target.urls]\nwebsocket = \"ws://h\"\ntcp = \"tcp://joe:x@h:1\"\nlong-polling = \"http://h\"\n[load]";
    credentials_in_two_places: "[load]" => "[transports.sse]\nauth = { bearer = \"x\" }\n[target.urls]\nsse = \"http://joe:x@h\"\nwebsocket = \"ws://h\"\ntcp = \"tcp://h:1\"\nlong-polling = \"http://h\"\n[load]";
    an_unknown_mark_in_a_header: "[transports.websocket]" => "[transports.websocket]\nextra_headers = { X-A = \"{user.nam}\" }\n[values]\nuser = { csv = \"tests/fixtures/users.csv\" }";
    a_file_of_values_that_is_not_there: "[load]" => "[values]\nuser = { csv = \"nowhere.csv\" }\n[load]";
    a_file_of_values_that_is_none: "[load]" => "[values]\nuser = { csv = \"Cargo.toml\" }\n[load]";
    a_value_by_the_name_of_a_mark: "[load]" => "[values]\nroom = { counter = 1 }\n\"a b\" = { counter = 1 }\n[load]";
    a_value_of_two_kinds: "[load]" => "[values]\nn = { counter = 1, csv = \"x\" }\n[load]";
    a_variable_that_is_not_set: "[transports.websocket]" => "[transports.websocket]\nauth = { bearer = \"a-${WSBENCH_NOT_SET}\" }";
    credentials_without_a_colon: "[transports.websocket]" => "[transports.websocket]\nauth = { basic = \"joe\" }";
    credentials_said_twice: "[transports.websocket]" => "[transports.websocket]\norigin = \"https://h\"\nauth = { bearer = \"x\" }\nextra_headers = { authorization = \"y\", Origin = \"z\" }";
    a_host_that_is_none: "[transports.websocket]" => "[transports.websocket]\nhost = \"a b\"";
    cookies_of_a_websocket: "[transports.websocket]" => "[transports.websocket]\ncookies = false";
    an_address_to_leave_from_that_is_none: "[load]" => "[load]\nsource_ips = [\"127.0.0.1\", \"127.0.0.0/8\"]";
    an_address_to_listen_on_that_is_all: "[load]" => "[target.embedded]\nlisten = \"0.0.0.0\"\n[load]";
    values_in_an_event: "[workload.chat]\nrooms = 10\npayload = \"128B\"" => "[workload.push]\ntopics = 1\ntemplate = \"{{tag}}{{session}}{{fill}}\"";
    values_that_leave_no_room_for_the_size: "payload = \"128B\"" => "payload = \"40B\"\ntemplate = \"{{tag}}{{fill}} of {{session}}\"";
    credentials_in_the_url_of_a_broker: "[load]" => "[target.urls]\nwebsocket = \"ws://h\"\ntcp = \"nats://joe:x@h\"\nlong-polling = \"http://h\"\n[load]";
    tls_over_datagrams: "[transports.tcp]" => "[transports.udp]\ntls = true";
    an_authority_that_is_not_there: "[workload.chat]" => "[tls]\nca = \"none.pem\"\n\n[workload.chat]";
    sessions_to_resume_without_tls: "[transports.tcp]" => "[transports.tcp]\nresumption = true";
    a_misspelt_key: "sessions = 100" => "sesions = 100";
    a_misspelt_table: "[load]" => "[laod]";
    an_unknown_key_that_resembles_none: "rooms = 10" => "rooms = 10\ncolour = \"red\"";
    a_key_in_the_wrong_table: "rooms = 10" => "rooms = 10\ntrials = 3";
    a_key_that_stands_above_its_table: "name = \"mine\"" => "name = \"mine\"\nrate = \"500/s\"";
    a_bad_duration: "duration = \"1s\"" => "duration = \"1 parsec\"";
    a_bare_number_for_a_duration: "duration = \"1s\"" => "duration = 1";
    a_bad_rate: "\"500/s\"" => "\"fast\"";
    text_for_a_number: "sessions = 100" => "sessions = \"100\"";
    a_negative_number: "sessions = 100" => "sessions = -1";
    no_rooms: "rooms = 10" => "rooms = 0";
    a_fraction: "rooms = 10" => "rooms = 2.5";
    a_missing_key: "rooms = 10\n" => "";
    a_syntax_error: "rooms = 10" => "rooms = = 10";
    an_unclosed_string: "\"128B\"" => "\"128B";
    a_duplicate_key: "rooms = 10" => "rooms = 10\nrooms = 11";
    two_workloads: "[load]" => "[workload.echo]\n\n[load]";
    an_unknown_workload: "[workload.chat]" => "[workload.chatt]";
    two_targets: "[load]" => "[target.embedded]\n[target.urls]\n[load]";
    an_unknown_arrival: "rate = \"500/s\"" => "rate = \"500/s\"\narrival = \"poison\"";
    an_unknown_answer_to_a_lost_agent: "rate = \"500/s\"" => "rate = \"500/s\"\non_agent_loss = \"contine\"";
    duration_beside_stages: "duration = \"1s\"" => "duration = \"1s\"\nstages = [{ to = \"1k/s\", over = \"1s\" }]";
    a_stage_without_its_length: "duration = \"1s\"" => "stages = [{ to = \"1k/s\" }]";
    a_window_without_length: "duration = \"1s\"" => "duration = \"0s\"";
    neither_duration_nor_stages: "duration = \"1s\"\n" => "";
    no_rate: "rate = \"500/s\"\n" => "";
    a_rate_of_zero: "\"500/s\"" => "\"0/s\"";
    a_rate_with_closed_arrival: "rate = \"500/s\"" => "rate = \"500/s\"\narrival = \"closed\"";
    think_time_with_open_arrival: "rate = \"500/s\"" => "rate = \"500/s\"\nthink = \"10ms\"";
    more_messages_than_anyone_means: "duration = \"1s\"" => "stages = [{ to = \"5M/s\", over = \"1h\" }]";
    a_payload_smaller_than_the_tag: "\"128B\"" => "\"16B\"";
    a_payload_range_upside_down: "\"128B\"" => "{ min = \"1KiB\", max = \"100B\" }";
    a_payload_of_the_wrong_type: "\"128B\"" => "128";
    a_misspelt_key_in_a_payload_range: "\"128B\"" => "{ min = \"64B\", mx = \"100B\" }";
    a_huge_payload: "\"128B\"" => "\"17MiB\"";
    a_datagram_too_large: "\"128B\"" => "\"64KiB\"\n[transports.udp]";
    a_template_without_its_tag: "payload = \"128B\"" => "template = '{\"text\":\"{{fill}}\"}'";
    a_template_with_a_misspelt_mark: "payload = \"128B\"" => "template = '{\"id\":\"{{tag}}\",\"text\":\"{{fil}}\"}'";
    a_template_that_leaves_no_room_for_the_size: "payload = \"128B\"" => "payload = \"128B\"\ntemplate = '<{{tag}}>'";
    a_binary_template: "payload = \"128B\"" => "format = \"binary\"\ntemplate = '<{{tag}}>'";
    more_rooms_than_sessions: "rooms = 10" => "rooms = 1000";
    nobody_to_hear: "rooms = 10" => "rooms = 100\necho_self = false";
    an_arm_that_is_no_transport: "[transports.websocket]" => "[transports.websockets]";
    an_arm_with_a_bad_name: "[transports.websocket]" => "[transports.\"web socket\"]\ntransport = \"websocket\"";
    a_setting_of_another_transport: "[transports.tcp]" => "[transports.tcp]\nengine = \"tungstenite\"";
    an_unknown_engine: "[transports.websocket]" => "[transports.websocket]\nengine = \"tungsten\"";
    newline_framing_of_binary_payloads: "payload = \"128B\"" => "format = \"binary\"\n[transports.nl]\ntransport = \"tcp\"\nframing = \"newline\"";
    fixed_framing_of_several_sizes: "payload = \"128B\"" => "payload = [{ size = \"64B\", weight = 1 }, { size = \"1KiB\", weight = 1 }]\n[transports.fixed]\ntransport = \"tcp\"\nframing = \"fixed\"";
    a_close_code_that_may_not_be_sent: "[transports.websocket]" => "[transports.websocket]\nclose_code = 1006";
    a_header_that_wsbench_sets: "[transports.websocket]" => "[transports.websocket]\nextra_headers = { Host = \"x\" }";
    a_header_that_can_not_be_sent: "[transports.websocket]" => "[transports.websocket]\nextra_headers = { \"X Y\" = \"a\", X = \"a\\nb\" }";
    a_method_that_is_none: "[transports.tcp]" => "[transports.http]\nmethod = \"PUT\"";
    a_setting_of_other_requests: "[transports.tcp]" => "[transports.http]\nkeep_alive = false";
    a_version_of_http_that_is_none: "[transports.websocket]" => "[transports.websocket]\nhttp = 3";
    http_2_without_keep_alive: "[transports.long-polling]" => "[transports.long-polling]\nhttp = 2\nkeep_alive = false";
    http_2_by_an_engine_that_reads_sockets: "[transports.websocket]" => "[transports.websocket]\nhttp = 2\nengine = \"native\"";
    beginning_by_polling_over_http_2: "[transports.websocket]" => "[transports.websocket]\nhttp = 2\nstart = \"polling\"";
    http_2_for_plain_requests: "[transports.tcp]" => "[transports.http]\nhttp = 2";
    compression_by_a_library: "[transports.websocket]" => "[transports.websocket]\ndeflate = true\nengine = \"tungstenite\"";
    compression_of_a_stream_of_http_2: "[transports.websocket]" => "[transports.websocket]\ndeflate = true\nhttp = 2";
    a_raw_dialect_over_http: "[transports.long-polling]" => "[transports.long-polling]\ndialect = \"raw\"";
    an_unknown_reference: "name = \"mine\"" => "name = \"mine\"\nreference = \"long-poling\"";
    a_name_with_a_slash: "\"mine\"" => "\"a/b\"";
    an_arm_without_a_url: "[load]" => "[target.urls]\nwebsocket = \"ws://127.0.0.1:9001/\"\nlong-polling = \"http://127.0.0.1/\"\n[load]";
    a_url_of_the_wrong_scheme: "[load]" => "[target.urls]\nwebsocket = \"http://h\"\ntcp = \"tcp://h:1\"\nlong-polling = \"http://h\"\n[load]";
    a_url_for_an_unknown_arm: "[load]" => "[target.urls]\nwebsocket = \"ws://h\"\ntcp = \"tcp://h:1\"\nlong-polling = \"http://h\"\nudpp = \"udp://h:1\"\n[load]";
    a_url_that_is_none: "[load]" => "[target.urls]\nwebsocket = \"localhost:80\"\n[load]";
    an_emulated_network_before_a_real_server: "[load]" => "[network]\ndelay = \"10ms\"\n[target.urls]\nwebsocket = \"ws://h\"\ntcp = \"tcp://h:1\"\nlong-polling = \"http://h\"\n[load]";
    warmup_counts_too: "\"500/s\"" => "\"1M/s\"\nwarmup = \"1h\"";
    an_unknown_key_of_the_oracle: "[load]" => "[target.embedded.oracle]\nstal = \"200ms/1s\"\n\n[load]";
    a_distribution_that_is_none: "[load]" => "[target.embedded.oracle]\nreply_delay = \"gamma(1ms)\"\n\n[load]";
    a_stall_without_end: "[load]" => "[target.embedded.oracle]\nstall = \"2s/1s\"\n\n[load]";
    every_zeroth_copy: "[load]" => "[target.embedded.oracle]\ndrop_copy = 0\n\n[load]";
    more_fates_than_datagrams: "[load]" => "[target.embedded.oracle]\nudp_drop = \"60%\"\nudp_duplicate = \"30%\"\nudp_swap = \"20%\"\n\n[load]";
    delays_longer_than_anything_is_held: "[load]" => "[target.embedded.oracle]\nreply_delay = \"uniform(1s, 11s)\"\ndelay_copy = 2\ncopy_delay = \"1m\"\n\n[load]";
    intervals_that_nobody_keeps: "[load]" => "[target.embedded.oracle]\npings = \"10us\"\npongs = \"0s\"\nclose_after = \"2h\"\n\n[load]";
    oracle_keys_that_stand_alone: "[load]" => "[target.embedded.oracle]\nupgrade = 2\ncopy_delay = \"10ms\"\nclose_code = 1000\n\n[load]";
    a_close_code_that_a_server_may_not_send: "[load]" => "[target.embedded.oracle]\nclose_after = \"1s\"\nclose_code = 1010\n\n[load]";
    a_threshold_of_an_unknown_metric: "name = \"mine\"" => "name = \"mine\"\nthresholds = [\"errors == 0\", \"tcp: p98 < 50ms\"]";
    a_threshold_of_an_unknown_arm: "name = \"mine\"" => "name = \"mine\"\nthresholds = [\"websocket.p99 <= 0.5 * long-poling.p99\"]";
    a_threshold_that_compares_nothing: "name = \"mine\"" => "name = \"mine\"\nthresholds = [{ hold = \"p99 = 50ms\", abort = true }]";
    a_threshold_with_escapes: "name = \"mine\"" => "name = \"mine\"\nthresholds = [\"tcp\\u003a p98 < 50ms\"]";
    a_threshold_on_what_an_arm_can_not_have: "name = \"mine\"" => "name = \"mine\"\nthresholds = [\"p50 first-message < 50ms\"]";
    several_at_once: "rooms = 10\npayload = \"128B\"" => "rums = 10\npayload = \"128 bananas\"";
}

/// The good scenario at brokers' URLs, with this in place of its workload's and its dialects' tables.
fn at_a_broker(workload: &str, dialects: &str) -> String {
    let urls = "[target.urls]\nwebsocket = \"ws://h\"\ntcp = \"tcp://h:1\"\n";
    let text = with("[workload.chat]\nrooms = 10\n", workload).replace("[transports.long-polling]\n", "");
    text.replace("[load]", &format!("{urls}{dialects}\n[load]"))
}

#[test]
fn a_subject_that_is_one_for_all_rooms() {
    insta::assert_snapshot!(seen(&at_a_broker(
        "[workload.chat]\nrooms = 10\n",
        "[dialect.nats]\nsubject = \"chat\"\n"
    )));
}

#[test]
fn a_chat_by_requests_or_in_a_queue_group() {
    let chat = "[workload.chat]\nrooms = 10\necho_self = false\n";
    let table = "[dialect.nats]\nrequest = \"a b\"\nqueue = \"q\"\npassword = \"p\"\ntoken = \"t\"\n";
    insta::assert_snapshot!("a_chat_by_requests", seen(&at_a_broker(chat, table)));
    insta::assert_snapshot!("a_chat_in_a_queue_group", seen(&at_a_broker(chat, "[dialect.nats]\nqueue = \"q\"\n")));
}

#[test]
fn what_mqtt_does_not_know() {
    let table = "[dialect.mqtt]\ntopic = \"a/+/{room}\"\nqos = 2\npassword = \"p\"\n";
    insta::assert_snapshot!(seen(&at_a_broker("[workload.echo]\n", table)));
}

#[test]
fn a_framing_or_a_scheme_that_contradicts_the_dialect() {
    let text = at_a_broker("[workload.echo]\n", "").replace("tcp://", "nats://");
    let text = text.replace("[transports.tcp]", "[transports.tcp]\nframing = \"newline\"");
    insta::assert_snapshot!("a_framing_that_the_dialect_does_without", seen(&text));
    let text = text.replace("framing = \"newline\"", "dialect = \"mqtt\"");
    insta::assert_snapshot!("a_scheme_of_another_dialect", seen(&text));
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(seen(""));
}

#[test]
fn closed_push() {
    let text = with("[workload.chat]\nrooms", "[workload.push]\ntopics");
    insta::assert_snapshot!(seen(&text.replace("rate = \"500/s\"", "arrival = \"closed\"")));
}

#[test]
fn connect_over_udp_alone() {
    let text = with("[workload.chat]\nrooms = 10", "[workload.connect]");
    let text = text.replace("[transports.tcp]\n[transports.long-polling]\n", "").replace("websocket", "udp");
    insta::assert_snapshot!(seen(&text));
}

#[test]
fn a_chat_by_plain_requests_alone() {
    let text = with("[transports.tcp]\n[transports.long-polling]\n", "");
    insta::assert_snapshot!(seen(&text.replace("websocket", "http")));
}

#[test]
fn a_greeting_by_who_only_answers() {
    let text = with("[workload.chat]\nrooms = 10", "[workload.connect]\nfirst = \"greeting\"\nclose = \"server\"");
    insta::assert_snapshot!(seen(&text.replace("[transports.websocket]", "[transports.http]")));
}

#[test]
fn a_greeting_from_a_server_that_knows_no_greeting() {
    let text = with("[workload.chat]\nrooms = 10", "[workload.connect]\nfirst = \"greeting\"\nclose = \"server\"");
    let urls = "[target.urls]\nwebsocket = \"ws://h\"\ntcp = \"tcp://h:1\"\nlong-polling = \"http://h\"\n[load]";
    insta::assert_snapshot!(seen(&text.replace("[load]", urls)));
}

#[test]
fn nchan_without_a_beginning_with_no_paths_and_with_payloads_that_it_takes_apart() {
    let text = with(
        "[transports.websocket]\n[transports.tcp]\n",
        "[transports.short-polling]\n[transports.sse]\n[transports.http-streaming]\n",
    );
    let urls = ["short-polling", "sse", "http-streaming", "long-polling"].map(|arm| format!("{arm} = \"http://h\"\n"));
    let at_urls = text.replace("[load]", &format!("[dialect.nchan]\n[target.urls]\n{}[load]", urls.concat()));
    let binary = at_urls.replace("\"128B\"", "\"128B\"\nformat = \"binary\"");
    let lines = at_urls.replace("\"128B\"", "\"128B\"\ntemplate = \"{{tag}}\\n{{fill}}\"");
    let paths = at_urls.replace("nchan]", "nchan]\npublish = \"http://h/pub\"\ninfo = \"/pub/ x\"");
    insta::assert_snapshot!(format!("{}\n{}\n{}", seen(&binary), seen(&lines), seen(&paths)));
}

#[test]
fn a_template_for_a_greeting() {
    let text = with("[workload.chat]\nrooms = 10", "[workload.connect]\ntemplate = '<{{tag}}{{fill}}>'");
    insta::assert_snapshot!(seen(&text));
}

#[test]
fn flags_are_named_where_they_are_wrong() {
    let overrides = Overrides {
        sessions: 5.try_into().ok(),
        rate: "0/s".parse().ok(),
        transports: vec!["websocket".into(), "tpc".into()],
        targets: vec!["websokcet=ws://h".parse().unwrap()],
        reference: Some("tcp".into()),
        ..Overrides::default()
    };
    insta::assert_snapshot!(seen_with(GOOD, &overrides));
}

#[test]
fn a_rate_flag_over_stages() {
    let text = with("duration = \"1s\"", "stages = [{ to = \"1k/s\", over = \"1s\" }]");
    insta::assert_snapshot!(seen_with(&text, &Overrides { rate: "9/s".parse().ok(), ..Overrides::default() }));
}

#[test]
fn in_colour_and_in_one_line() {
    let error = scenario::parse("mine.toml", &with("sessions", "sesions")).unwrap_err();
    assert!(error.render(true).contains("\u{1b}["));
    assert_eq!(error.to_string(), "mine.toml:8:1: unknown key `sesions` in `[load]`");
    let plain = scenario::parse("mine.toml", &with("duration = \"1s\"\n", "")).unwrap();
    let error: PlanError = plan::build(&plain, &Overrides::default()).unwrap_err();
    assert!(error.to_string().starts_with("mine.toml:7:"), "{error}");
}

#[test]
fn a_hostile_key_sends_nothing_to_the_terminal() {
    let text = with("rooms = 10", "rooms = 10\n\"\\u001b[2J\" = 1");
    let seen = seen(&text);
    assert!(!seen.contains('\u{1b}'), "{seen:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_text_never_panics(text in "(?s).{0,300}") {
        check(&text);
    }

    #[test]
    fn a_damaged_scenario_never_panics(at in 0..GOOD.len(), cut in 0usize..40, put in "[\\PC\n]{0,12}") {
        let end = (at + cut).min(GOOD.len());
        check(&format!("{}{put}{}", &GOOD[..at], &GOOD[end..]));
    }

    #[test]
    fn any_value_for_any_key_never_panics(key in 0..20usize, value in "(-?[0-9]{1,22}|\"[0-9]{0,20}[a-zA-Z/µ]{0,4}\"|[\\[{]{1,200}|nan|1e999|1979-05-27)") {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        let at = key % lines.len();
        if let Some((name, _)) = lines[at].clone().split_once(" = ") {
            lines[at] = format!("{name} = {value}");
        }
        check(&lines.join("\n"));
    }
}

/// Parses, plans and renders whatever is wrong.
fn check(text: &str) {
    match scenario::parse("any.toml", text) {
        Err(error) => assert!(!error.render(true).is_empty() && !error.to_string().is_empty()),
        Ok(scenario) => match plan::build(&scenario, &Overrides::default()) {
            Err(error) => assert!(!error.render(false).is_empty()),
            Ok(plan) => assert!(!plan.cells.is_empty()),
        },
    }
}

/// One snapshot for each: its name, and lines of `[dialect.custom]` that make no sense.
macro_rules! custom_mistakes {
    ($($name:ident: $lines:literal;)*) => {$(
        #[test]
        fn $name() {
            let target = "[target.urls]\nwebsocket = \"ws://h/\"\nlong-polling = \"http://h/\"\n[dialect.custom]\n";
            let text = with("[transports.websocket]\n[transports.tcp]\n", &format!("{target}{}\n[transports.websocket]\n", $lines));
            insta::assert_snapshot!(stringify!($name), seen(&text));
        }
    )*};
}

custom_mistakes! {
    a_protocol_with_an_unknown_mark: "open = [\"HELLO\", 'SUB {rom}']";
    a_protocol_with_a_bad_regex: "answers = [{ when = \"ping(\", say = \"pong\" }]";
    a_protocol_without_a_payload: "publish = '{\"text\":\"hello\"}'";
    a_protocol_with_a_pointer_that_is_none: "publish = \"{id}\"\ncorrelate = { pointer = \"id\" }";
    a_protocol_with_half_a_byte: "publish = { hex = \"0a f {payload}\" }";
    a_protocol_with_a_short_number_in_a_chat: "publish = { hex = \"{id:u16be}\" }\ncorrelate = { at = 0, length = 2 }";
    a_protocol_that_asks_for_an_unknown_cursor: "[dialect.custom.http]\npoll = { path = \"/c?{cursor}\" }";
    a_protocol_with_an_unknown_key: "publisch = \"{payload}\"";
    a_protocol_with_a_number_for_text: "open = [1]";
}

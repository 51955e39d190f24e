use super::super::{Quantile, Threshold};
use super::*;
use crate::units::{ByteSize, Rate, Share, Span};
use proptest::prelude::*;

fn read(text: &str) -> Threshold {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn reads_what_people_write_and_prints_it_so_that_it_reads_the_same() {
    for (text, printed) in [
        ("websocket: p99 < 50ms", "websocket: p99 < 50ms"),
        ("reach>=0.999", "reach >= 0.999"),
        (" errors == 0 ", "errors == 0"),
        ("udp : loss <= 1%", "udp: loss <= 1%"),
        ("udp.loss <= 1%", "udp: loss <= 1%"),
        ("websocket.p99 <= 0.5*long-polling.p99", "websocket.p99 <= 0.5 * long-polling.p99"),
        ("a.p99.9 < b.max", "a.p99.9 < b.max"),
        ("p99.9 < 1.5s", "p99.9 < 1500ms"),
        ("p99 <= 1 * tcp.p99 response_time", "p99 <= tcp.p99"),
        ("p99 service_time != 5µs", "p99 service-time != 5us"),
        ("my.arm.mean connect > 2 * other.p50 first-message", "my.arm.mean connect > 2 * other.p50 first-message"),
        ("tcp: errors.connect-timeout < 3", "tcp: errors.connect-timeout < 3"),
        ("tcp.errors.http-status-503 <= tcp2.errors", "tcp.errors.http-status-503 <= tcp2.errors"),
        ("rate > 2k/s", "rate > 2000/s"),
        ("cpu < 20us", "cpu < 20us"),
        ("memory < 4KB", "memory < 4KB"),
        ("bytes <= 1KiB", "bytes <= 1KiB"),
        ("connections <= 1.5", "connections <= 1.5"),
        ("skipped == 0", "skipped == 0%"),
    ] {
        let threshold = read(text);
        assert_eq!(threshold.to_string(), printed);
        assert_eq!(read(printed), threshold);
    }
    let between = read("x.p99.9 <= 0.5 * y.p99");
    assert_eq!(
        (between.arm.as_deref(), &between.metric),
        (Some("x"), &Metric::Quantile(Quantile::P999, Time::ResponseTime))
    );
    assert_eq!(between.arms().collect::<Vec<_>>(), ["x", "y"]);
}

#[test]
fn a_mistake_is_told_with_its_column_and_a_hint() {
    for (text, column, said) in [
        ("", 1, "write such as `p99 < 50ms`"),
        ("p99", 4, "there is no `<`"),
        ("p98 < 5ms", 1, "did you mean `p9"),
        ("websocket: p98 < 5ms", 12, "did you mean `p9"),
        ("websocket.p98 < 5ms", 11, "did you mean `p9"),
        ("speed < 5ms", 1, "choose one of p50, p90"),
        ("connect < 5ms", 1, "`p99 connect`"),
        ("p99 respons-time < 5ms", 5, "did you mean `response-time`?"),
        ("p99 connect time < 5ms", 13, "`time` is too much"),
        ("reach connect > 1%", 7, "leave out `connect`"),
        ("p99 = 5ms", 5, "write `==`"),
        ("p99 =< 5ms", 5, "write `<=`"),
        ("p99 <> 5ms", 5, "write `!=`"),
        ("p99 << 5ms", 5, "choose one of <"),
        ("p99 <", 6, "nothing stands after"),
        ("< 5ms", 1, "nothing stands before"),
        (": p99 < 5ms", 1, "the name of an arm is missing"),
        ("tcp: < 5ms", 5, "a metric is missing"),
        ("p99 < 5", 7, "250ms"),
        ("p99 < 5%", 7, "250ms"),
        ("reach > 2", 9, "5%"),
        ("errors == few", 11, "0 or 1.5"),
        ("errors == -1", 11, "0 or 1.5"),
        ("memory < 4", 10, "128B"),
        ("a.p99 < half * b.p99", 9, "0.5 before `*`"),
        ("a.p99 < -1 * b.p99", 9, "0.5 before `*`"),
        ("a.p99 < 0.5 * p99", 15, "`long-polling.p99`"),
        ("a.p99 < p50", 9, "`long-polling.p99`"),
        ("a.p99 < 0.5 *", 14, "`long-polling.p99`"),
        ("a.p99 < 0.5 * b.reach", 15, "compare like with like: `b.p99`"),
        ("a.p99 < 2 * b.p98", 15, "did you mean `p9"),
        ("µs: p98 < 5ms", 5, "did you mean `p9"),
        ("errors.Connect == 0", 8, "choose one of"),
    ] {
        let error = text.parse::<Threshold>().unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.to_string().contains(said), "{text}: {error}");
        assert!(error.span.end <= text.len() && text.is_char_boundary(error.span.start), "{text}: {error}");
    }
}

fn metrics() -> impl Strategy<Value = Metric> {
    let all: Vec<Metric> = Metric::all()
        .chain(Metric::all().flat_map(|metric| Time::ALL.into_iter().filter_map(move |time| metric.clone().of(time))))
        .chain([Metric::Errors(Some("refused".into())), Metric::Errors(Some("http-status-503".into()))])
        .collect();
    proptest::sample::select(all)
}

/// A value of the metric's own kind.
fn value_of(kind: Kind, n: u64) -> Value {
    match kind {
        Kind::Time => Value::Time(Span(std::time::Duration::from_nanos(n))),
        Kind::Share => Value::Share(Share::new((n % 1001) as f64 / 1000.0).unwrap()),
        Kind::Rate => Value::Rate(Rate::new((n % 1_000_000) as f64 / 7.0).unwrap()),
        Kind::Bytes => Value::Bytes(ByteSize(n)),
        Kind::Number => Value::Number(n as f64 / 3.0),
    }
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(
        arm in proptest::option::of("[a-z][a-z0-9._-]{0,12}"), metric in metrics(), op in 0usize..6,
        n in 0u64..10_000_000_000, other in proptest::option::of(("[a-z][a-z0-9._-]{0,12}", 0.001f64..1000.0)),
    ) {
        let limit = match other {
            Some((arm, factor)) => Limit::Of { factor, arm, metric: metric.clone() },
            None => Limit::Value(value_of(metric.kind(), n)),
        };
        let threshold = Threshold { arm, metric, op: Op::ALL[op], limit };
        let again: Threshold = threshold.to_string().parse().unwrap();
        prop_assert_eq!(again.to_string(), threshold.to_string());
        prop_assert_eq!((&again.arm, &again.metric, again.op), (&threshold.arm, &threshold.metric, threshold.op));
        let by_serde: Threshold = serde_json::from_str(&serde_json::to_string(&threshold).unwrap()).unwrap();
        prop_assert_eq!(by_serde, again);
    }

    #[test]
    fn never_panics(text in "(p99|errors|max|tcp|<|=|:|\\.|\\*| |µ|5ms|1%|connect|.){0,12}") {
        let _ = text.parse::<Threshold>();
    }
}
